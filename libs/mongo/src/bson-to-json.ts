import { encodeDouble, quoteJson } from '#change-events';
import { mongo } from 'mongoose';
import { readElements, readString } from './bson-reader.ts';
import { BsonType } from './bson-writer.ts';

const { Decimal128 } = mongo;
const NUMBER = /^-?\d+(?:\.\d+)?(?:E[+-]\d+)?$/;

class UnreadableError extends Error {}

/**
 * The JSON text of an embedded value, the inverse of `jsonToBson`: every number with its exact value, members in their
 * order. Undefined for what no JSON document is stored as. Throws a RangeError for what is no BSON.
 */
export function bsonToJson(type: number, bytes: Buffer): string | undefined {
  try {
    return readKeptText(type, bytes) ?? jsonOf(type, bytes);
  } catch (error) {
    if (error instanceof UnreadableError) return undefined;
    throw error;
  }
}

/** Of `{"$json": "<text>"}`. */
function readKeptText(type: number, bytes: Buffer): string | null {
  if (type !== BsonType.document) return null;
  const elements = readElements(bytes);
  const first = elements.next().value;
  if (first?.name !== '$json' || first.type !== BsonType.string || elements.next().done !== true) return null;
  return textOf(bytes.subarray(first.start, first.end));
}

function jsonOf(type: number, bytes: Buffer): string {
  switch (type) {
    case BsonType.null:
      return 'null';
    case BsonType.boolean:
      if ((bytes[0] as number) > 1) throw new UnreadableError();
      return bytes[0] === 1 ? 'true' : 'false';
    case BsonType.int32:
      return String(bytes.readInt32LE());
    case BsonType.long:
      return String(bytes.readBigInt64LE());
    case BsonType.double: {
      const value = bytes.readDoubleLE();
      if (!Number.isFinite(value)) throw new UnreadableError();
      return encodeDouble(value);
    }
    case BsonType.decimal128: {
      const text = new Decimal128(bytes).toString();
      if (!NUMBER.test(text)) throw new UnreadableError();
      return text;
    }
    case BsonType.string:
      return quoteJson(textOf(bytes));
    case BsonType.document: {
      const members: string[] = [];
      for (const { type: of, name, start, end } of readElements(bytes))
        members.push(`${quoteJson(name)}: ${jsonOf(of, bytes.subarray(start, end))}`);
      return `{${members.join(', ')}}`;
    }
    case BsonType.array: {
      const items: string[] = [];
      for (const { type: of, name, start, end } of readElements(bytes)) {
        if (name !== String(items.length)) throw new UnreadableError();
        items.push(jsonOf(of, bytes.subarray(start, end)));
      }
      return `[${items.join(', ')}]`;
    }
    default:
      throw new UnreadableError();
  }
}

function textOf(bytes: Buffer): string {
  const text = readString(bytes);
  if (text === undefined) throw new UnreadableError();
  return text;
}
