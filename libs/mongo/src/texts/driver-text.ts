import { createHash } from 'node:crypto';
import { mongo } from 'mongoose';
import { type Column, type TableLayout } from '#change-events';

const { BSON, Binary, Decimal128, Double, Int32, Long } = mongo;

/** As the server of the source shows them. */
const MOST_SHOWN_BYTES = 65_536;

/** What the driver's own decoder finds in a document of the mirror, as texts. */
export interface DriverTexts {
  /** The parts of `_id` in key order; empty when it does not have just these. */
  readonly key: readonly (string | null)[];
  /** The fields of `row` by name; null is NULL. */
  readonly row: ReadonlyMap<string, string | null>;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Texts of a document's values by the types of their columns: the second way of a comparison, which shares nothing with
 * the writer and the reader of BSON of the first. They are those of `serverText` of libs/mysql up to what
 * `compareTexts` of libs/verification takes for equal. A value of a type that the column's have not begins with that
 * type's name. Null when the document can't be decoded, or has no row.
 */
export function readDriverTexts(layout: TableLayout, document: Uint8Array): DriverTexts | null {
  const decoded = tryDecode(document);
  const row = decoded?.['row'];
  if (decoded === null || !isFields(row)) return null;
  const columns = new Map(layout.columns.map((column) => [column.name, column]));
  const texts = Object.entries(row).map(([name, value]) => {
    const column = columns.get(name);
    return [name, column === undefined ? describe(value) : textOf(column, value)] as const;
  });
  return { key: readKey(layout, decoded['_id']), row: new Map(texts) };
}

function tryDecode(document: Uint8Array): Fields | null {
  try {
    return BSON.deserialize(document, { promoteValues: false });
  } catch {
    return null;
  }
}

/** A single key column is the bare `_id`; several are an embedded document, in key order. */
function readKey({ columns, key }: TableLayout, id: unknown): readonly (string | null)[] {
  const parts = key.length === 1 ? [id] : isFields(id) ? Object.values(id) : [];
  if (parts.length !== key.length) return [];
  return key.map((index, at) => {
    const column = columns[index];
    return column === undefined ? null : textOf(column, parts[at]);
  });
}

function textOf(column: Column, value: unknown): string | null {
  if (value === null) return null;
  return textOfKind(column.kind, value) ?? describe(value);
}

/** Undefined for a value of a type that the kind does not have. */
function textOfKind(kind: Column['kind'], value: unknown): string | undefined {
  switch (kind) {
    case 'integer':
    case 'bigint':
    case 'decimal':
      if (value instanceof Int32 || value instanceof Decimal128 || Long.isLong(value)) return value.toString();
      return kind === 'decimal' && typeof value === 'string' ? value : undefined;
    case 'float':
    case 'double':
      return value instanceof Double ? doubleText(value.value) : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? String(value) : undefined;
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
      return typeof value === 'string' ? value : undefined;
    case 'text':
    case 'enum':
    case 'set':
      return typeof value === 'string' ? bytesText(Buffer.from(value)) : undefined;
    case 'bits':
    case 'bytes':
    case 'geometry':
      return value instanceof Binary && value.sub_type === 0 ? bytesText(Buffer.from(value.value())) : undefined;
    case 'vector':
      return Array.isArray(value) ? vectorText(value) : undefined;
    case 'json':
      return jsonText(value);
  }
}

function bytesText(bytes: Buffer): string {
  return bytes.length > MOST_SHOWN_BYTES
    ? `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    : bytes.toString('hex').toUpperCase();
}

function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Four bytes a number, little-endian; each Double must be exactly one of 32 bits. */
function vectorText(values: readonly unknown[]): string | undefined {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) {
    if (!(value instanceof Double) || !Object.is(Math.fround(value.value), value.value)) return undefined;
    bytes.writeFloatLE(value.value, 4 * i);
  }
  return bytesText(bytes);
}

/** An embedded value as JSON text. What BSON can't hold is there as `{"$json": "<text>"}`. */
function jsonText(value: unknown): string | undefined {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Double) return doubleText(value.value);
  if (value instanceof Int32 || value instanceof Decimal128 || Long.isLong(value)) return value.toString();
  if (Array.isArray(value)) return joinTexts('[', value.map(jsonText), ']');
  if (!isFields(value)) return undefined;
  const entries = Object.entries(value);
  const [name, text] = entries[0] ?? [];
  if (entries.length === 1 && name === '$json' && typeof text === 'string') return text;
  const members = entries.map(([member, of]) => {
    const memberText = jsonText(of);
    return memberText === undefined ? undefined : `${JSON.stringify(member)}: ${memberText}`;
  });
  return joinTexts('{', members, '}');
}

function joinTexts(open: string, texts: readonly (string | undefined)[], close: string): string | undefined {
  return texts.includes(undefined) ? undefined : `${open}${texts.join(', ')}${close}`;
}

/** For people, and equal to no text of a value. */
function describe(value: unknown): string {
  const type = value === null ? 'Null' : (bsonType(value) ?? typeof value);
  return `${type} ${BSON.EJSON.stringify(value, { relaxed: false })}`;
}

function bsonType(value: unknown): string | undefined {
  return (value as { readonly _bsontype?: string })._bsontype;
}

/** An embedded document; not a value that the driver has a class for. */
function isFields(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null) return false;
  return Object.getPrototypeOf(value) === Object.prototype;
}
