import { formatTableName, parseTableName } from '#change-events';
import { parseJsonExactly } from '#kernel';
import { z } from 'zod';

export const eventQuerySchema = z.strictObject({
  source: z.string().min(1),
  table: z
    .string()
    .transform((text, context) => {
      const table = parseTableName(text);
      if (table !== null) return formatTableName(table);
      context.addIssue('must be database.table, with backquotes around a name that holds a point');
      return z.NEVER;
    })
    .optional(),
  key: z.string().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(50),
});
export type EventQuery = z.output<typeof eventQuerySchema>;

/**
 * Whether a message key is the one asked for: its JSON text, except spaces, or for a key of one column just the value
 * (`42`, `abc`).
 */
export function compileKeyMatch(asked: string): (key: string) => boolean {
  const canonical = parseJson(asked);
  const text = typeof canonical === 'object' && canonical !== null ? withoutSpaces(asked) : null;
  return (key) => {
    if (key === asked || key === text) return true;
    return text === null && onlyValueOf(key) === asked;
  };
}

/** Strings with their quotes, or what is between strings and spaces. Sticky: it never looks for another place to begin. */
const TOKEN = /\s*("(?:[^"\\]|\\.)*"|[^\s"]+)\s*/gy;

/** JSON text without the spaces between its strings, numbers and marks. */
function withoutSpaces(json: string): string {
  return Array.from(json.matchAll(TOKEN), ([, token]) => token).join('');
}

/** The value of a key of one column as text, with all its digits; null for any other key. */
function onlyValueOf(key: string): string | null {
  const columns = parseJson(key, parseJsonExactly);
  const values = typeof columns === 'object' && columns !== null ? Object.values(columns) : [];
  if (values.length !== 1) return null;
  return typeof values[0] === 'string' ? values[0] : JSON.stringify(values[0]);
}

function parseJson(text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
