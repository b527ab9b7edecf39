import { formatTableName, parseTableName } from '#change-events';
import { z } from 'zod';

const MOST_KEY_CHARACTERS = 20_000;

export const explainQuerySchema = z.strictObject({
  source: z.string().min(1),
  table: z.string().transform((text, context) => {
    const table = parseTableName(text);
    if (table !== null) return { ...table, name: formatTableName(table) };
    context.addIssue('must be database.table, with backquotes around a name that holds a point');
    return z.NEVER;
  }),
  key: z.string().min(1).max(MOST_KEY_CHARACTERS),
});
export type ExplainQuery = z.output<typeof explainQuerySchema>;
