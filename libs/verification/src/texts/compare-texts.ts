import { type Column, type TableLayout } from '#change-events';
import { type Difference } from '../ports/verified-sink.ts';
import { normalJson } from './normal-json.ts';
import { normalNumber, shortestSingle } from './normal-number.ts';

/** What a sink has stored of a row, as texts. */
export interface StoredTexts {
  /** The values of the key in key order, where the sink stores them once more; empty when they are not those. */
  readonly key: readonly (string | null)[];
  /** By column; null is NULL. */
  readonly row: ReadonlyMap<string, string | null>;
}

const SHOWN = /^[^]{0,200}/u;
const EXACT_DOUBLE = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * What differs between the texts that the source's server has made of a row, in column order, and those of what is stored.
 * Numbers are equal by their value, JSON also whatever the order of members; all else is equal when its text is.
 */
export function compareTexts(
  { columns, key }: TableLayout,
  source: readonly (string | null)[],
  stored: StoredTexts,
): readonly Difference[] {
  const differences: Difference[] = [];
  for (const [i, column] of columns.entries()) {
    const expected = source[i] ?? null;
    const found = stored.row.get(column.name);
    if (found === undefined) differences.push({ column: column.name, source: shown(expected), sink: null });
    else if (!isEqual(column, expected, found))
      differences.push({ column: column.name, source: shown(expected), sink: shown(found) });
  }
  const names = new Set(columns.map(({ name }) => name));
  for (const [name, text] of stored.row)
    if (!names.has(name)) differences.push({ column: name, source: null, sink: shown(text) });
  for (const [at, index] of key.entries()) {
    const column = columns[index];
    const expected = source[index] ?? null;
    const found = stored.key[at] ?? null;
    if (column !== undefined && !isEqualKey(column, expected, found))
      differences.push({ column: `${column.name} (key)`, source: shown(expected), sink: shown(found) });
  }
  return differences;
}

function isEqual({ kind }: Column, source: string | null, stored: string | null): boolean {
  if (source === null || stored === null) return source === stored;
  switch (kind) {
    case 'integer':
    case 'bigint':
    case 'decimal': {
      const number = normalNumber(source);
      return number !== null && number === normalNumber(stored);
    }
    case 'float':
      return isSameDouble(source, stored, shortestSingle);
    case 'double':
      return isSameDouble(source, stored, (value) => value);
    case 'json': {
      const document = normalJson(source);
      return document !== null && document === normalJson(stored);
    }
    case 'bits':
    case 'bytes':
    case 'geometry':
    case 'vector':
    case 'text':
    case 'enum':
    case 'set':
      return source.toLowerCase() === stored.toLowerCase();
    case 'boolean':
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
      return source === stored;
  }
}

/** A sink and the source hold 0 and −0 for one key. */
function isEqualKey(column: Column, source: string | null, stored: string | null): boolean {
  const isZero = (text: string | null): boolean => text !== null && EXACT_DOUBLE.test(text) && Number(text) === 0;
  return isEqual(column, source, stored) || (column.kind === 'double' && isZero(source) && isZero(stored));
}

/** Bit for bit; `storedAs`: the double that is stored for what the source has. */
function isSameDouble(source: string, stored: string, storedAs: (value: number) => number): boolean {
  if (!EXACT_DOUBLE.test(source) || !EXACT_DOUBLE.test(stored)) return false;
  const value = Number(source);
  return Object.is(Object.is(value, -0) ? value : storedAs(value), Number(stored));
}

function shown(text: string | null): string {
  if (text === null) return 'NULL';
  // by code points, and without halves of them, which no JSON column takes
  const [first = ''] = SHOWN.exec(text) ?? [];
  return `${first}${first.length < text.length ? '…' : ''}`.toWellFormed();
}
