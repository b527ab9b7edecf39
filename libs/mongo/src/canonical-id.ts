import { type CanonicalValue, type Column, rowOfKey, type Row, type TableLayout } from '#change-events';
import { mongo } from 'mongoose';
import { readElements } from './bson-reader.ts';
import { BsonType } from './bson-writer.ts';
import { idFieldName } from './mirror-document.ts';

const AS_STORED = { promoteValues: false, promoteLongs: false, promoteBuffers: false };

/**
 * The row, of which only the key is known, that a document is the mirror of: the inverse of `DocumentEncoder.id`. Null
 * when its `_id` is no key of the layout: the fields of an embedded document are the fields of the key, in its order.
 */
export function decodeId(layout: TableLayout, document: Uint8Array): Row | null {
  const columns = layout.key.map((index) => layout.columns[index] as Column);
  const [first, ...others] = columns;
  if (first === undefined) return null;
  for (const { type, name, start, end } of readElements(document)) {
    if (name !== '_id') continue;
    const id: unknown = mongo.BSON.deserialize(document, AS_STORED)['_id'];
    if (others.length === 0) return keyOf(layout, [decode(first, id)]);
    if (type !== BsonType.document) return null;
    const names = [...readElements(document.subarray(start, end))].map((field) => field.name);
    if (names.length !== columns.length || columns.some((column, i) => idFieldName(column.name) !== names[i]))
      return null;
    const fields = id as Readonly<Record<string, unknown>>;
    return keyOf(
      layout,
      columns.map((column, i) => decode(column, fields[names[i] as string])),
    );
  }
  return null;
}

function keyOf(layout: TableLayout, values: readonly (CanonicalValue | undefined)[]): Row | null {
  return values.includes(undefined) ? null : rowOfKey(layout, values as CanonicalValue[]);
}

/** Undefined for what no value of the column is stored as. */
function decode(column: Column, stored: unknown): CanonicalValue | undefined {
  switch (column.kind) {
    case 'integer':
    case 'bigint':
      return decodeInteger(stored);
    case 'decimal':
      return stored instanceof mongo.Decimal128 ? decimalText(stored.toString(), column.scale) : textOf(stored);
    case 'float':
    case 'double':
      return stored instanceof mongo.Double ? stored.valueOf() : undefined;
    case 'bytes':
    case 'bits':
      return stored instanceof mongo.Binary ? Buffer.from(stored.value()) : undefined;
    case 'boolean':
      return typeof stored === 'boolean' ? stored : undefined;
    case 'json':
    case 'geometry':
    case 'vector':
      return undefined; // are in no key
    default:
      return textOf(stored);
  }
}

function textOf(stored: unknown): string | undefined {
  return typeof stored === 'string' ? stored : undefined;
}

function decodeInteger(stored: unknown): number | bigint | undefined {
  if (stored instanceof mongo.Int32) return stored.valueOf();
  if (!(stored instanceof mongo.Long) && !(stored instanceof mongo.Decimal128)) return undefined;
  const text = stored instanceof mongo.Long ? stored.toString() : decimalText(stored.toString(), 0);
  if (text === undefined) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

/** Decimal128 prints an exponent when it likes; MySQL prints all digits of the scale. Undefined for what has more. */
function decimalText(printed: string, scale: number): string | undefined {
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]\d+))?$/.exec(printed);
  if (parts === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts;
  const zeros = scale - fraction.length + Number(exponent);
  if (zeros < 0 || zeros > 100) return undefined;
  const digits = (whole + fraction + '0'.repeat(zeros)).replace(/^0+/, '').padStart(scale + 1, '0');
  const point = digits.length - scale;
  const text = scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`;
  return sign + text;
}
