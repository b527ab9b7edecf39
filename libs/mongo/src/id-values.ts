import { type CanonicalValue, type Column, type Row, rowOfKey, type TableLayout } from '#change-events';
import { BSON_ENCODING } from './bson-values.ts';
import { findFirstEnd, readElements } from './bson-reader.ts';
import { BsonType } from './bson-writer.ts';
import { decimal128FromText } from './decimal128.ts';
import { idFieldName } from './mirror-document.ts';
import { RawValue } from './raw-value.ts';

export type IdType = 'object' | 'string' | 'binData' | 'bool' | 'number';

const MAX_INT64 = (1n << 63n) - 1n;

/**
 * The `_id` of a row as the driver takes it in a filter. Numbers may have another type than the document's, which is
 * equal to the server. The fields of several columns are in a Map: an object would reorder names that are numbers.
 */
export function idValue(layout: TableLayout, row: Row): unknown {
  return idValueOf(layout, (index) => row[index] ?? null);
}

/** The same of canonical values of a key, in key order. */
export function keyIdValue(layout: TableLayout, key: Row): unknown {
  return idValue(layout, rowOfKey(layout, key));
}

/** The same of a row whose value of a column `read` gives. */
export function idValueOf({ key, columns }: TableLayout, read: (index: number) => CanonicalValue): unknown {
  const [only, ...others] = key;
  const valueAt = (index: number): unknown => driverValue(columns[index] as Column, read(index));
  if (others.length === 0) return valueAt(only as number);
  return new Map(key.map((index) => [idFieldName((columns[index] as Column).name), valueAt(index)]));
}

/** The same of what is stored, to the last byte: the first field of the document is `_id`. */
export function storedIdValue(document: Uint8Array): RawValue {
  const { value: id } = readElements(document).next();
  if (id === undefined) throw new RangeError('a document without _id');
  return new RawValue(id.type, document.subarray(id.start, id.end));
}

/** The type that an `_id` has, as `$type` names it; numbers of all types have one order. */
export function typeOfIds({ key, columns }: TableLayout): IdType {
  const [first, ...others] = key.map((index) => columns[index]);
  if (first === undefined || others.length > 0) return 'object';
  const [, type] = BSON_ENCODING[first.kind].writing(first);
  switch (type) {
    case BsonType.string:
      return 'string';
    case BsonType.binary:
      return 'binData';
    case BsonType.boolean:
      return 'bool';
    default:
      return 'number';
  }
}

/** Whether MySQL and MongoDB have the keys of the table in the same order. */
export function haveSameOrder({ key, columns }: TableLayout): boolean {
  return key.every((index) => ['integer', 'bigint'].includes(columns[index]?.kind ?? ''));
}

/** A document of nothing but the `_id` of another. */
export function idDocument(document: Buffer): Buffer {
  const end = findFirstEnd(document);
  const id = Buffer.alloc(end + 1);
  id.set(document.subarray(0, end));
  id.writeInt32LE(id.length);
  return id;
}

function driverValue(column: Column, value: CanonicalValue): unknown {
  if (typeof value === 'bigint' && value > MAX_INT64) return decimal128FromText(String(value));
  const [, type] = BSON_ENCODING[column.kind].writing(column);
  return type === BsonType.decimal128 ? decimal128FromText(String(value)) : value;
}
