import { DittoError, RESYNC } from '#kernel';
import { isCanonicalKey } from './canonical-form.ts';
import { encodeBase64, encodeDouble, quoteJson } from './json-values.ts';
import { type CanonicalValue, type Column, type Row, type TableLayout, VALUE_TYPE } from './table-layout.ts';

/** Whether rows of this layout can be identified: a table without a key is published, not mirrored. */
export function hasKey(layout: TableLayout): boolean {
  return layout.key.length > 0;
}

/** A row that has the values of a key, given in key order, and NULL in every other column. */
export function rowOfKey(layout: TableLayout, values: Row): Row {
  const row = new Array<CanonicalValue>(layout.columns.length).fill(null);
  layout.key.forEach((index, i) => (row[index] = values[i] ?? null));
  return row;
}

/** The canonical values of a row's key, in key order. */
export function keyValues(layout: TableLayout, row: Row): Row {
  return layout.key.map((index) => row[index] ?? null);
}

/** Whether two rows of a table have one key, byte for byte: 'a' and 'A' are two keys under every collation. */
export function hasSameKey(layout: TableLayout, a: Row, b: Row): boolean {
  return hasSameValues(layout.key, a, b);
}

/** Whether two rows of a table have the same values, byte for byte, in the columns at these indexes. */
export function hasSameValues(indexes: readonly number[], a: Row, b: Row): boolean {
  for (const index of indexes) {
    const left = a[index];
    const right = b[index];
    if (left === right) continue;
    if (!(left instanceof Uint8Array && right instanceof Uint8Array && Buffer.compare(left, right) === 0)) return false;
  }
  return true;
}

function keyColumns(layout: TableLayout): Column[] {
  return layout.key.map((index) => {
    const column = layout.columns[index];
    if (column === undefined) throw new RangeError(`No column ${index} in ${layout.database}.${layout.table}.`);
    return column;
  });
}

function encodeKeyValue(value: CanonicalValue): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return quoteJson(value);
  if (typeof value === 'number') return encodeDouble(value + 0);
  if (typeof value === 'bigint') return `"${value}"`;
  if (typeof value === 'boolean') return String(value);
  return encodeBase64(value);
}

/**
 * JSON text of an array: the canonical key values of `row` (a whole row, not only its key) in key order, exact for
 * every kind: `[1,"a"]`. Integers beyond 2^53 and bytes are strings; the layout says which.
 */
export function encodeKeyValues(layout: TableLayout, row: Row): string {
  let text = '[';
  let separator = '';
  for (const index of layout.key) {
    text += separator + encodeKeyValue(row[index] ?? null);
    separator = ',';
  }
  return text + ']';
}

function invalidKeyText(layout: TableLayout, text: string, cause?: unknown): DittoError {
  const table = `${layout.database}.${layout.table}`;
  return new DittoError('DITTO_KEY_TEXT_INVALID', `"${text}" holds no key of ${table} as its layout is now.`, {
    remedy: `If the key of the table was changed, ${RESYNC}.`,
    context: { table, text },
    cause,
  });
}

/** A small one is a number in rows, however it was written. */
function toInteger(text: string): CanonicalValue {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

function decodeKeyValue(column: Column, value: unknown): CanonicalValue | undefined {
  switch (VALUE_TYPE[column.kind]) {
    case 'bytes':
      return typeof value === 'string' ? Buffer.from(value, 'base64') : undefined;
    case 'integer':
      if (typeof value === 'string') return /^-?\d+$/.test(value) ? toInteger(value) : undefined;
      return Number.isSafeInteger(value) ? (value as number) : undefined;
    case 'number':
      return typeof value === 'number' ? value : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'string':
      return typeof value === 'string' ? value : undefined;
  }
}

/**
 * The key's canonical values in key order (not a whole row) from the text of `encodeKeyValues`.
 * Throws `DITTO_KEY_TEXT_INVALID` when the text does not fit the layout's key, or no row can have these values: a key that
 * is looked up, and is not there, becomes a delete, and `1.5` is the `_id` of 1.50 to MongoDB.
 */
export function decodeKeyValues(layout: TableLayout, text: string): Row {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw invalidKeyText(layout, text, error);
  }
  const columns = keyColumns(layout);
  if (!Array.isArray(parsed) || parsed.length !== columns.length) throw invalidKeyText(layout, text);
  const values: readonly unknown[] = parsed;
  return columns.map((column, i) => {
    const value = decodeKeyValue(column, values[i]);
    if (value === undefined || !isCanonicalKey(column, value)) throw invalidKeyText(layout, text);
    return value;
  });
}
