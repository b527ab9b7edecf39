import { type Column } from '#change-events';
import { mongo } from 'mongoose';
import { readElements, readString } from './bson-reader.ts';
import { bsonToJson } from './bson-to-json.ts';
import { BsonType, GENERIC_BINARY } from './bson-writer.ts';

/** The value of one element: its type and its bytes. */
export interface BsonValue {
  readonly type: number;
  readonly bytes: Buffer;
}

const { Decimal128 } = mongo;
const LENGTH_BYTES = 4;
const BINARY_HEADER_BYTES = 5;
const DECIMAL = /^-?\d+(?:\.\d+)?(?:E[+-]\d+)?$/;
export function readText({ type, bytes }: BsonValue): string | undefined {
  return type === BsonType.string ? readString(bytes) : undefined;
}

/** Of any width: a document keeps the one that its column had. */
export function readInteger({ type, bytes }: BsonValue): number | bigint | undefined {
  if (type === BsonType.int32) return bytes.readInt32LE();
  if (type === BsonType.long) return toInteger(bytes.readBigInt64LE());
  if (type !== BsonType.decimal128) return undefined;
  const text = decimalText(new Decimal128(bytes).toString(), 0);
  return text === undefined ? undefined : integerOfText(text);
}

/** With the column's scale where it has no more digits than that. */
export function readDecimal(stored: BsonValue, { scale }: Column): string | undefined {
  const { type, bytes } = stored;
  const text = type === BsonType.decimal128 ? new Decimal128(bytes).toString() : readText(stored);
  if (text === undefined || !DECIMAL.test(text)) return undefined;
  return (type === BsonType.decimal128 ? decimalText(text, scale) : undefined) ?? text;
}

export function readDouble({ type, bytes }: BsonValue): number | undefined {
  if (type !== BsonType.double) return undefined;
  const value = bytes.readDoubleLE();
  return Number.isFinite(value) ? value : undefined;
}

export function readBinary({ type, bytes }: BsonValue): Buffer | undefined {
  if (type !== BsonType.binary || bytes[LENGTH_BYTES] !== GENERIC_BINARY) return undefined;
  return bytes.subarray(BINARY_HEADER_BYTES);
}

export function readBoolean({ type, bytes: [byte = 0] }: BsonValue): boolean | undefined {
  return type === BsonType.boolean && byte <= 1 ? byte === 1 : undefined;
}

export function readJson({ type, bytes }: BsonValue): string | undefined {
  return bsonToJson(type, bytes);
}

/** Little-endian 32-bit floats; undefined where an element is not a number. */
export function readVector({ type, bytes }: BsonValue): Buffer | undefined {
  if (type !== BsonType.array) return undefined;
  const floats: number[] = [];
  for (const { type: of, name, start, end } of readElements(bytes)) {
    const value = readDouble({ type: of, bytes: bytes.subarray(start, end) });
    if (value === undefined || Math.fround(value) !== value || name !== String(floats.length)) return undefined;
    floats.push(value);
  }
  const vector = Buffer.alloc(floats.length * Float32Array.BYTES_PER_ELEMENT);
  for (const [i, value] of floats.entries()) vector.writeFloatLE(value, i * Float32Array.BYTES_PER_ELEMENT);
  return vector;
}

/** A small one is a number in rows. */
function toInteger(exact: bigint): number | bigint {
  const number = Number(exact);
  return Number.isSafeInteger(number) ? number : exact;
}

export function integerOfText(text: string): number | bigint {
  return toInteger(BigInt(text));
}

/** Decimal128 prints an exponent when it likes; MySQL prints all digits of the scale. Undefined for what has more. */
export function decimalText(printed: string, scale: number): string | undefined {
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
