import { type CanonicalValue, type Column, type ColumnKind } from '#change-events';
import { mongo } from 'mongoose';
import { BsonType, type BsonWriter } from './bson-writer.ts';

type WriteMethod = Exclude<keyof BsonWriter, 'at' | 'bytes' | 'begin' | 'beginIn' | 'end' | 'raw' | 'null'>;

/** How a value that is not null is written: a method of `BsonWriter`, and the type of its element. */
type Writing = readonly [method: WriteMethod, type: number];

interface BsonEncoding {
  readonly writing: (column: Column) => Writing;
  /** The value of a key column from what `_id` has for it; undefined for what no value of the column is stored as. */
  readonly readKey: (stored: unknown, column: Column) => CanonicalValue | undefined;
}

const INT32: Writing = ['int32', BsonType.int32];
const LONG: Writing = ['long', BsonType.long];
const DECIMAL: Writing = ['decimal', BsonType.decimal128];
const STRING: Writing = ['string', BsonType.string];

const TEXT: BsonEncoding = { writing: () => STRING, readKey: textOf };
const DOUBLE: BsonEncoding = {
  writing: () => ['double', BsonType.double],
  readKey: (stored) => (stored instanceof mongo.Double ? stored.valueOf() : undefined),
};
const BINARY: BsonEncoding = {
  writing: () => ['binary', BsonType.binary],
  readKey: (stored) => (stored instanceof mongo.Binary ? Buffer.from(stored.value()) : undefined),
};

const MAX_DECIMAL128_DIGITS = 34;

/** Canonical values in BSON, and back from keys (docs/types.md). */
export const BSON_ENCODING: Readonly<Record<ColumnKind, BsonEncoding>> = {
  integer: {
    writing: ({ type, unsigned }) => (type.startsWith('int') && unsigned ? LONG : INT32),
    readKey: integerOf,
  },
  bigint: { writing: () => ['bigInteger', BsonType.long], readKey: integerOf },
  decimal: {
    writing: ({ precision }) => (precision <= MAX_DECIMAL128_DIGITS ? DECIMAL : STRING),
    readKey: (stored, { scale }) =>
      stored instanceof mongo.Decimal128 ? decimalText(stored.toString(), scale) : textOf(stored),
  },
  float: DOUBLE,
  double: DOUBLE,
  text: TEXT,
  bytes: BINARY,
  boolean: {
    writing: () => ['boolean', BsonType.boolean],
    readKey: (stored) => (typeof stored === 'boolean' ? stored : undefined),
  },
  bits: BINARY,
  date: TEXT,
  time: TEXT,
  datetime: TEXT,
  timestamp: TEXT,
  enum: TEXT,
  set: TEXT,
  json: { writing: () => ['json', BsonType.document], readKey: inNoKey },
  geometry: BINARY,
  vector: { writing: () => ['vector', BsonType.array], readKey: inNoKey },
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
