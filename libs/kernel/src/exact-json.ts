/** JSON with every digit of its numbers: one that a double can't hold is written out again as it was read. */
export function parseJsonExactly(text: string): unknown {
  return JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown);
}

type RawJson = typeof JSON & { rawJSON(text: string): unknown };

function keepDigits(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  const { source } = context;
  return typeof value === 'number' && source !== undefined && String(value) !== source
    ? (JSON as RawJson).rawJSON(source)
    : value;
}
