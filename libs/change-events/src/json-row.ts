import { isCanonicalKey } from './canonical-form.ts';
import { normalizeJson, normalizeNumber } from './canonical-equality.ts';
import { findMembers } from './json-members.ts';
import { type BigintMode } from './json-values.ts';
import { compileValueEncoder } from './row-encoder.ts';
import { type CanonicalValue, type Column, type ColumnKind, type Row, type TableLayout } from './table-layout.ts';

/** A column whose values differ, as JSON texts; null for a column that this side does not have. */
export interface JsonDifference {
  readonly column: string;
  readonly expected: string | null;
  readonly found: string | null;
}

const INTEGER = /^-?\d+$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** The JSON texts of an object's members by name; null for what is not one. */
function readTexts(json: Buffer): Map<string, string> | null {
  const members = findMembers(json);
  if (members === null) return null;
  return new Map(members.map(({ name, start, end }) => [name, json.toString('utf8', start, end)]));
}

/**
 * The row from the JSON object that `compileJsonRowEncoder` makes of it. Null when it is not the object of a row of this
 * layout: other columns, or a value that its column can't have.
 */
export function decodeJsonRow(layout: TableLayout, json: Buffer, bigint: BigintMode): Row | null {
  return decodeColumns(layout, [...layout.columns.keys()], json, bigint);
}

/** The row of a key, as `rowOfKey` makes it, from the text of `compileKeyEncoder`; null when it is not one. */
export function decodeJsonKey(layout: TableLayout, json: Buffer, bigint: BigintMode): Row | null {
  const row = decodeColumns(layout, layout.key, json, bigint);
  const isKey = layout.key.every((index) => isCanonicalKey(layout.columns[index], row?.[index] ?? null));
  return isKey ? row : null;
}

function decodeColumns(
  { columns }: TableLayout,
  indexes: readonly number[],
  json: Buffer,
  bigint: BigintMode,
): Row | null {
  const texts = readTexts(json);
  if (texts?.size !== indexes.length) return null;
  const row = new Array<CanonicalValue>(columns.length).fill(null);
  for (const index of indexes) {
    const column = columns[index] as Column;
    const text = texts.get(column.name);
    const value = text === undefined ? undefined : decodeValue(column.kind, text, bigint);
    if (value === undefined) return null;
    row[index] = value;
  }
  return row;
}

/** Undefined for what the kind can't have. */
function decodeValue(kind: ColumnKind, text: string, bigint: BigintMode): CanonicalValue | undefined {
  if (text === 'null') return null;
  switch (kind) {
    case 'integer':
      return decodeInteger(text);
    case 'bigint':
      return decodeInteger(bigint === 'string' ? (parseText(text) ?? '') : text);
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'float':
    case 'double':
      return parseNumber(text);
    case 'bytes':
    case 'bits':
      return decodeBase64(parseText(text));
    case 'geometry':
      return decodeGeometry(text);
    case 'vector':
      return decodeVector(text);
    case 'decimal':
    case 'text':
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
    case 'enum':
    case 'set':
    case 'json':
      return parseText(text);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseNumber(text: string): number | undefined {
  const value = parse(text);
  return typeof value === 'number' ? value : undefined;
}

function parseText(text: string): string | undefined {
  const value = parse(text);
  return typeof value === 'string' ? value : undefined;
}

function decodeInteger(text: string): CanonicalValue | undefined {
  if (!INTEGER.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

function decodeBase64(text: string | undefined): Buffer | undefined {
  return text === undefined || !BASE64.test(text) ? undefined : Buffer.from(text, 'base64');
}

/** SRID 0 is written as null; an empty value, which DDL leaves in a NOT NULL column, has no SRID. */
function decodeGeometry(text: string): Buffer | undefined {
  const { wkb, srid } = (parse(text) ?? {}) as { readonly wkb?: unknown; readonly srid?: unknown };
  const body = typeof wkb === 'string' ? decodeBase64(wkb) : undefined;
  if (body === undefined || !(srid === null || (typeof srid === 'number' && srid >= 0 && srid < 2 ** 32)))
    return undefined;
  if (body.length === 0 && srid === null) return body;
  const head = Buffer.alloc(4);
  head.writeUInt32LE(srid ?? 0);
  return Buffer.concat([head, body]);
}

function decodeVector(text: string): Buffer | undefined {
  const numbers = parse(text);
  if (!Array.isArray(numbers) || !numbers.every((number) => typeof number === 'number')) return undefined;
  const value = Buffer.alloc(4 * numbers.length);
  for (const [i, number] of numbers.entries()) value.writeFloatLE(number, 4 * i);
  return value;
}

/**
 * What differs between a row and the JSON object of one, by value: 1.50 and 1.5 in a DECIMAL are equal, JSON documents
 * are by exact numeric value and whatever their key order, a number is by its exact text, a string by what its escapes
 * mean. Null when `json` is not an object or has a value that is not JSON.
 */
export function compareJsonRow(
  { columns }: TableLayout,
  row: Row,
  json: Buffer,
  bigint: BigintMode,
): readonly JsonDifference[] | null {
  const texts = readTexts(json);
  if (texts === null) return null;
  const differences: JsonDifference[] = [];
  try {
    for (const [index, { name, kind }] of columns.entries()) {
      const value = row[index] ?? null;
      const expected = value === null ? 'null' : compileValueEncoder(kind, bigint)(value);
      const found = texts.get(name) ?? null;
      texts.delete(name);
      if (found === expected) continue;
      if (found === null || !isSameValue(kind, expected, found)) differences.push({ column: name, expected, found });
    }
    for (const [column, found] of texts) {
      JSON.parse(found);
      differences.push({ column, expected: null, found });
    }
  } catch {
    return null;
  }
  return differences;
}

/** Throws for what is not JSON. */
function isSameValue(kind: ColumnKind, expected: string, found: string): boolean {
  const a: unknown = JSON.parse(expected);
  const b: unknown = JSON.parse(found);
  if (typeof a !== 'string' || typeof b !== 'string') return normalizeJson(expected) === normalizeJson(found);
  if (kind === 'decimal') return isSameBy(normalizeNumber, a, b);
  return kind === 'json' ? isSameBy(normalizeJson, a, b) : a === b;
}

/** What can't be brought to its normal form is no value of the column, so it differs. */
function isSameBy(normalize: (text: string) => string, expected: string, found: string): boolean {
  try {
    return normalize(expected) === normalize(found);
  } catch {
    return false;
  }
}
