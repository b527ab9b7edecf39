import { type CanonicalValue, type Column, type ColumnKind } from '#change-events';
import { mongo } from 'mongoose';
import { BsonType, type BsonWriter, GENERIC_BINARY } from './bson-writer.ts';
import {
  type BsonValue,
  decimalText,
  integerOfText,
  readBinary,
  readBoolean,
  readDecimal,
  readDouble,
  readInteger,
  readJson,
  readText,
  readVector,
} from './stored-values.ts';

type WriteMethod = Exclude<keyof BsonWriter, 'at' | 'bytes' | 'begin' | 'beginIn' | 'end' | 'raw' | 'null'>;

/** How a value that is not null is written: a method of `BsonWriter`, and the type of its element. */
type Writing = readonly [method: WriteMethod, type: number];

interface BsonEncoding {
  readonly writing: (column: Column) => Writing;
  /** The value of a key column from what `_id` has for it; undefined for what no value of the column is stored as. */
  readonly readKey: (stored: unknown, column: Column) => CanonicalValue | undefined;
  /** The value of any column from the bytes of its element; undefined for what no value of its kind is stored as. */
  readonly read: (stored: BsonValue, column: Column) => CanonicalValue | undefined;
}

const INT32: Writing = ['int32', BsonType.int32];
const LONG: Writing = ['long', BsonType.long];
const DECIMAL: Writing = ['decimal', BsonType.decimal128];
const STRING: Writing = ['string', BsonType.string];

const TEXT: BsonEncoding = { writing: () => STRING, readKey: textOf, read: readText };
const DOUBLE: BsonEncoding = {
  writing: () => ['double', BsonType.double],
  readKey: (stored) => (stored instanceof mongo.Double ? stored.valueOf() : undefined),
  read: readDouble,
};
const BINARY: BsonEncoding = {
  writing: () => ['binary', BsonType.binary],
  // another subtype is another key to MongoDB
  readKey: (stored) =>
    stored instanceof mongo.Binary && stored.sub_type === GENERIC_BINARY ? Buffer.from(stored.value()) : undefined,
  read: readBinary,
};

const MAX_DECIMAL128_DIGITS = 34;

/** Canonical values in BSON, and back from keys (docs/types.md). */
export const BSON_ENCODING: Readonly<Record<ColumnKind, BsonEncoding>> = {
  integer: {
    writing: ({ type, unsigned }) => (type.startsWith('int') && unsigned ? LONG : INT32),
    readKey: integerOf,
    read: readInteger,
  },
  bigint: { writing: () => ['bigInteger', BsonType.long], readKey: integerOf, read: readInteger },
  decimal: {
    writing: ({ precision }) => (precision <= MAX_DECIMAL128_DIGITS ? DECIMAL : STRING),
    readKey: (stored, { scale }) =>
      stored instanceof mongo.Decimal128 ? decimalText(stored.toString(), scale) : textOf(stored),
    read: readDecimal,
  },
  float: DOUBLE,
  double: DOUBLE,
  text: TEXT,
  bytes: BINARY,
  boolean: {
    writing: () => ['boolean', BsonType.boolean],
    readKey: (stored) => (typeof stored === 'boolean' ? stored : undefined),
    read: readBoolean,
  },
  bits: BINARY,
  date: TEXT,
  time: TEXT,
  datetime: TEXT,
  timestamp: TEXT,
  enum: TEXT,
  set: TEXT,
  json: { writing: () => ['json', BsonType.document], readKey: inNoKey, read: readJson },
  geometry: BINARY,
  vector: { writing: () => ['vector', BsonType.array], readKey: inNoKey, read: readVector },
};

function inNoKey(): undefined {
  return undefined;
}

function textOf(stored: unknown): string | undefined {
  return typeof stored === 'string' ? stored : undefined;
}

function integerOf(stored: unknown): number | bigint | undefined {
  if (stored instanceof mongo.Int32) return stored.valueOf();
  if (!(stored instanceof mongo.Long) && !(stored instanceof mongo.Decimal128)) return undefined;
  const text = stored instanceof mongo.Long ? stored.toString() : decimalText(stored.toString(), 0);
  return text === undefined ? undefined : integerOfText(text);
}
