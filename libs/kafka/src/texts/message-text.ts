import { createHash } from 'node:crypto';
import { type Column, type TableLayout } from '#change-events';
import { type StoredTexts } from '#verification';

/** As the server of the source shows them. */
const MOST_SHOWN_BYTES = 65_536;
const SRID_BYTES = 4;
const DECODER = new TextDecoder('utf-8', { fatal: true });
/** Digits that tell every 32-bit float from all others. */
const MOST_SINGLE_DIGITS = 9;

/** A number with all of its digits, which a double may not hold. */
class NumberToken {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Fields = Readonly<Record<string, unknown>>;
type ParseWithSource = (
  text: string,
  revive: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

/**
 * Texts of the values in a message, read as any consumer reads it, by JSON.parse: the second way of a comparison, which
 * shares nothing with the encoders and the reader of the first. They are those of `serverText` of libs/mysql up to what
 * `compareTexts` of libs/verification takes for equal. A value of a type that the column's have not begins with that type's
 * name. Null when the value is no JSON, or has no row.
 */
export function readMessageTexts(
  { layout, bigint }: { readonly layout: TableLayout; readonly bigint: 'number' | 'string' },
  { key, value }: { readonly key: Uint8Array; readonly value: Uint8Array | null },
): StoredTexts | null {
  const envelope = value === null ? null : parse(value);
  const after = isFields(envelope) ? envelope['after'] : null;
  if (!isFields(after)) return null;
  const columns = new Map(layout.columns.map((column) => [column.name, column]));
  const row = Object.entries(after).map(([name, found]) => {
    const column = columns.get(name);
    return [name, column === undefined ? describe(found) : textOf(column, found, bigint)] as const;
  });
  return { key: readKey(layout, parse(key), bigint), row: new Map(row) };
}

function readKey({ columns, key }: TableLayout, fields: unknown, bigint: string): readonly (string | null)[] {
  if (!isFields(fields) || Object.keys(fields).length !== key.length) return [];
  return key.map((index) => {
    const column = columns[index];
    return column === undefined || !Object.hasOwn(fields, column.name)
      ? null
      : textOf(column, fields[column.name], bigint);
  });
}

/** Undefined for what is no JSON. */
function parse(json: Uint8Array): unknown {
  try {
    return (JSON.parse as ParseWithSource)(DECODER.decode(json), (_, value, { source }) =>
      typeof value === 'number' && source !== undefined ? new NumberToken(source) : value,
    );
  } catch {
    return undefined;
  }
}

function textOf(column: Column, value: unknown, bigint: string): string | null {
  if (value === null) return null;
  return textOfKind(column.kind, value, bigint) ?? describe(value);
}

/** Undefined for a value of a type that the kind does not have. */
function textOfKind(kind: Column['kind'], value: unknown, bigint: string): string | undefined {
  switch (kind) {
    case 'integer':
    case 'float':
    case 'double':
      return numberText(value);
    case 'bigint':
      return bigint === 'number' ? numberText(value) : stringText(value);
    case 'boolean':
      return typeof value === 'boolean' ? String(value) : undefined;
    case 'decimal':
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
    case 'json':
      return stringText(value);
    case 'text':
    case 'enum':
    case 'set':
      return typeof value === 'string' ? bytesText(Buffer.from(value)) : undefined;
    case 'bits':
    case 'bytes':
      return optionalText(base64Bytes(value));
    case 'geometry':
      return optionalText(geometryBytes(value));
    case 'vector':
      return optionalText(vectorBytes(value));
  }
}

function numberText(value: unknown): string | undefined {
  return value instanceof NumberToken ? value.text : undefined;
}

function stringText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function optionalText(bytes: Buffer | undefined): string | undefined {
  return bytes === undefined ? undefined : bytesText(bytes);
}

function bytesText(bytes: Buffer): string {
  return bytes.length > MOST_SHOWN_BYTES
    ? `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    : bytes.toString('hex').toUpperCase();
}

/** Node reads much as base64 that others refuse. */
function base64Bytes(value: unknown): Buffer | undefined {
  if (typeof value !== 'string') return undefined;
  const bytes = Buffer.from(value, 'base64');
  return bytes.toString('base64') === value ? bytes : undefined;
}

/** As MySQL stores it: the SRID, then the WKB; nothing at all for the empty value that DDL can leave. */
function geometryBytes(value: unknown): Buffer | undefined {
  if (!isFields(value) || Object.keys(value).length !== 2) return undefined;
  const wkb = base64Bytes(value['wkb']);
  const srid = value['srid'] === null ? '0' : numberText(value['srid']);
  if (wkb === undefined || srid === undefined || !/^\d{1,10}$/.test(srid) || Number(srid) > 0xffffffff)
    return undefined;
  if (wkb.length === 0 && value['srid'] === null) return wkb;
  const bytes = Buffer.alloc(SRID_BYTES);
  bytes.writeUInt32LE(Number(srid));
  return Buffer.concat([bytes, wkb]);
}

/** Four bytes a number, little-endian; each must be the shortest text of one. */
function vectorBytes(value: unknown): Buffer | undefined {
  if (!Array.isArray(value)) return undefined;
  const bytes = Buffer.alloc(4 * value.length);
  for (const [i, item] of value.entries()) {
    const number = Number(numberText(item) ?? NaN);
    if (!isShortestSingle(number)) return undefined;
    bytes.writeFloatLE(number, 4 * i);
  }
  return bytes;
}

function isShortestSingle(number: number): boolean {
  const exact = Math.fround(number);
  if (!Number.isFinite(exact)) return false;
  for (let digits = 1; digits < MOST_SINGLE_DIGITS; digits++) {
    const shorter = Number(exact.toPrecision(digits));
    if (Math.fround(shorter) === exact) return shorter === number;
  }
  return Number(exact.toPrecision(MOST_SINGLE_DIGITS)) === number;
}

/** For people, and equal to no text of a value. */
function describe(value: unknown): string {
  if (value === null) return 'null null';
  if (value instanceof NumberToken) return `number ${value.text}`;
  return `${Array.isArray(value) ? 'array' : typeof value} ${JSON.stringify(value)}`;
}

function isFields(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null) return false;
  return Object.getPrototypeOf(value) === Object.prototype;
}
