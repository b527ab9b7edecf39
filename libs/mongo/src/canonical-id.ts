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

function keyOf(layout: TableLayout, values: readonly (CanonicalValue | undefined)[]): Row | null {
  return values.includes(undefined) ? null : rowOfKey(layout, values as CanonicalValue[]);
}

function readKey(column: Column, stored: unknown): CanonicalValue | undefined {
  return BSON_ENCODING[column.kind].readKey(stored, column);
}
