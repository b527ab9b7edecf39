import { type CanonicalValue, type Column, rowOfKey, type Row, type TableLayout } from '#change-events';
import { mongo } from 'mongoose';
import { readElements } from './bson-reader.ts';
import { BSON_ENCODING } from './bson-values.ts';
import { BsonType } from './bson-writer.ts';
import { idFieldName } from './mirror-document.ts';

const AS_STORED = { promoteValues: false, promoteLongs: false, promoteBuffers: false };

/**
 * The row, of which only the key is known, that a document is the mirror of: the inverse of `DocumentEncoder.id`. Null
 * when its `_id` is not a key of the layout: the fields of an embedded document are the fields of the key, in its order.
 */
export function decodeId(layout: TableLayout, document: Uint8Array): Row | null {
  const columns = layout.key.map((index) => layout.columns[index] as Column);
  const [first, ...others] = columns;
  if (first === undefined) return null;
  const plain = others.length === 0 ? readPlainKey(first, document) : undefined;
  if (plain !== undefined) return rowOfKey(layout, [plain]);
  for (const { type, name, start, end } of readElements(document)) {
    if (name !== '_id') continue;
    const id = readId(document);
    if (others.length === 0) return keyOf(layout, [readKey(first, id)]);
    if (type !== BsonType.document) return null;
    const names = [...readElements(document.subarray(start, end))].map((field) => field.name);
    if (names.length !== columns.length || columns.some((column, i) => idFieldName(column.name) !== names[i]))
      return null;
    const fields = (id ?? {}) as Readonly<Record<string, unknown>>;
    return keyOf(
      layout,
      columns.map((column, i) => readKey(column, fields[names[i] as string])),
    );
  }
  return null;
}

/** Undefined for what the driver can't read: a text that is not UTF-8, a pattern that JavaScript does not know. */
function readId(document: Uint8Array): unknown {
  try {
    return mongo.BSON.deserialize(document, AS_STORED)['_id'];
  } catch {
    return undefined;
  }
}

const PLAIN_START = Buffer.from('_id\0');
const TYPE_AT = 4;
const VALUE_AT = TYPE_AT + 1 + PLAIN_START.length;
/** With the longest value that is read, and the end. */
const LEAST_BYTES = VALUE_AT + 9;

/** An integer as most are stored, without the driver's decoder; undefined for all else. */
function readPlainKey({ kind }: Column, document: Uint8Array): CanonicalValue | undefined {
  if (kind !== 'integer' && kind !== 'bigint') return undefined;
  if (document.length < LEAST_BYTES) return undefined;
  for (let i = 0; i < PLAIN_START.length; i++) if (document[TYPE_AT + 1 + i] !== PLAIN_START[i]) return undefined;
  const view = new DataView(document.buffer, document.byteOffset, document.byteLength);
  if (document[TYPE_AT] === BsonType.int32) return view.getInt32(VALUE_AT, true);
  if (document[TYPE_AT] !== BsonType.long) return undefined;
  const high = view.getInt32(VALUE_AT + 4, true);
  const value = high * 0x1_0000_0000 + view.getUint32(VALUE_AT, true);
  return Number.isSafeInteger(value) ? value : undefined;
}

function keyOf(layout: TableLayout, values: readonly (CanonicalValue | undefined)[]): Row | null {
  return values.includes(undefined) ? null : rowOfKey(layout, values as CanonicalValue[]);
}

function readKey(column: Column, stored: unknown): CanonicalValue | undefined {
  return BSON_ENCODING[column.kind].readKey(stored, column);
}
