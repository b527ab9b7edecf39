import { ColumnType } from '../layout/wire-types.ts';
import { canonicalNumber } from './json-text.ts';
import { decimalBytes, decimalText } from './numbers.ts';

/** Value types of MySQL's binary JSON (MySQL source, `sql-common/json_binary.h`). */
const JsonType = {
  smallObject: 0,
  largeObject: 1,
  smallArray: 2,
  largeArray: 3,
  literal: 4,
  int16: 5,
  uint16: 6,
  int32: 7,
  uint32: 8,
  int64: 9,
  uint64: 10,
  double: 11,
  string: 12,
  opaque: 15,
} as const;

/** The canonical text (see json-text.ts) of a binary JSON document. Throws on anything that it does not know. */
export function jsonTextFromBinary(bytes: Buffer): string {
  // MySQL reads an empty value (a NOT NULL column filled by DDL) as the JSON null literal
  if (bytes.length === 0) return 'null';
  unspent = bytes.length;
  return valueText(bytes, bytes[0] ?? 0, 1);
}

/** Bytes of the document that no value has taken yet. */
let unspent = 0;

/**
 * Each byte belongs to one value only. Offsets of a damaged document may point anywhere, so that its text would be
 * longer than any memory.
 */
function spend(bytes: number): void {
  unspent -= bytes;
  if (unspent < 0) throw new RangeError('values of a JSON document overlap');
}

function textAt(bytes: Buffer, start: number, length: number): string {
  if (start + length > bytes.length) throw new RangeError('a JSON string does not end in its document');
  spend(length);
  return bytes.toString('utf8', start, start + length);
}

function valueText(bytes: Buffer, type: number, at: number): string {
  switch (type) {
    case JsonType.smallObject:
      return objectText(bytes, at, 2);
    case JsonType.largeObject:
      return objectText(bytes, at, 4);
    case JsonType.smallArray:
      return arrayText(bytes, at, 2);
    case JsonType.largeArray:
      return arrayText(bytes, at, 4);
    case JsonType.literal:
      return literalText(bytes.readUInt8(at));
    case JsonType.int16:
      return String(bytes.readInt16LE(at));
    case JsonType.uint16:
      return String(bytes.readUInt16LE(at));
    case JsonType.int32:
      return String(bytes.readInt32LE(at));
    case JsonType.uint32:
      return String(bytes.readUInt32LE(at));
    case JsonType.int64:
      return String(bytes.readBigInt64LE(at));
    case JsonType.uint64:
      return String(bytes.readBigUInt64LE(at));
    case JsonType.double: {
      const value = bytes.readDoubleLE(at);
      return value === 0 ? '0' : String(value);
    }
    case JsonType.string: {
      const [length, start] = readLength(bytes, at);
      return JSON.stringify(textAt(bytes, start, length));
    }
    case JsonType.opaque:
      return opaqueText(bytes, at);
    default:
      throw new Error(`unknown JSON value type ${type}`);
  }
}

function literalText(literal: number): string {
  const text = ['null', 'true', 'false'][literal];
  if (text === undefined) throw new Error(`unknown JSON literal ${literal}`);
  return text;
}

/** A variable length: seven bits a byte, lowest first, the high bit says that more follow. */
function readLength(bytes: Buffer, at: number): [length: number, start: number] {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes.readUInt8(at + i);
    length += (byte & 0x7f) * 2 ** (7 * i);
    if ((byte & 0x80) === 0) return [length, at + i + 1];
  }
  throw new Error('a JSON length takes more than five bytes');
}

/** Where the value of a value entry lies: in the entry itself if it is short enough, else in the container. */
function entryValueAt(bytes: Buffer, container: number, entry: number, size: 2 | 4): number {
  const type = bytes.readUInt8(entry);
  const inlined =
    type === JsonType.literal ||
    type === JsonType.int16 ||
    type === JsonType.uint16 ||
    (size === 4 && (type === JsonType.int32 || type === JsonType.uint32));
  return inlined ? entry + 1 : container + bytes.readUIntLE(entry + 1, size);
}

function entryText(bytes: Buffer, container: number, entry: number, size: 2 | 4): string {
  return valueText(bytes, bytes.readUInt8(entry), entryValueAt(bytes, container, entry, size));
}

function keyText(bytes: Buffer, container: number, entry: number, size: 2 | 4): string {
  return textAt(bytes, container + bytes.readUIntLE(entry, size), bytes.readUInt16LE(entry + size));
}

/** Count, size, key entries (offset, 2-byte length), value entries (type, offset or value); offsets from the count. */
function objectText(bytes: Buffer, at: number, size: 2 | 4): string {
  const count = bytes.readUIntLE(at, size);
  spend(2 * size + count * (2 * size + 3));
  const keys = at + 2 * size;
  const values = keys + count * (size + 2);
  let text = '{';
  for (let i = 0; i < count; i++) {
    const key = keyText(bytes, at, keys + i * (size + 2), size);
    if (i > 0) text += ', ';
    text += `${JSON.stringify(key)}: ${entryText(bytes, at, values + i * (size + 1), size)}`;
  }
  return `${text}}`;
}

function arrayText(bytes: Buffer, at: number, size: 2 | 4): string {
  const count = bytes.readUIntLE(at, size);
  spend(2 * size + count * (size + 1));
  const values = at + 2 * size;
  let text = '[';
  for (let i = 0; i < count; i++) {
    if (i > 0) text += ', ';
    text += entryText(bytes, at, values + i * (size + 1), size);
  }
  return `${text}]`;
}

/** A value in the bytes of a binary document. */
export interface BinaryJsonValue {
  readonly bytes: Buffer;
  readonly type: number;
  readonly at: number;
}

/** Null for an empty document, which MySQL reads as the JSON null literal. */
export function binaryJsonRoot(bytes: Buffer): BinaryJsonValue | null {
  return bytes.length === 0 ? null : { bytes, type: bytes[0] ?? 0, at: 1 };
}

/** Calls `print` to print values that have `bytes` bytes in all; more than that is an error. */
export function printBinaryJson(bytes: number, print: (text: (value: BinaryJsonValue) => string) => string): string {
  unspent = bytes;
  return print((value) => valueText(value.bytes, value.type, value.at));
}

/** The values one level below an object (`keys` as stored) or an array (`keys` null); null for a scalar. */
export function binaryJsonChildren({
  bytes,
  type,
  at,
}: BinaryJsonValue): { keys: string[] | null; values: BinaryJsonValue[] } | null {
  const isObject = type === JsonType.smallObject || type === JsonType.largeObject;
  if (!isObject && type !== JsonType.smallArray && type !== JsonType.largeArray) return null;
  const size = type === JsonType.smallObject || type === JsonType.smallArray ? 2 : 4;
  const count = bytes.readUIntLE(at, size);
  unspent = bytes.length;
  spend(2 * size + count * (isObject ? 2 * size + 3 : size + 1));
  const keyEntries = at + 2 * size;
  const valueEntries = isObject ? keyEntries + count * (size + 2) : keyEntries;
  const keys: string[] = [];
  const values: BinaryJsonValue[] = [];
  for (let i = 0; i < count; i++) {
    if (isObject) keys.push(keyText(bytes, at, keyEntries + i * (size + 2), size));
    const entry = valueEntries + i * (size + 1);
    values.push({ bytes, type: bytes.readUInt8(entry), at: entryValueAt(bytes, at, entry, size) });
  }
  return { keys: isObject ? keys : null, values };
}

/** Values of SQL types inside JSON, as the server prints them (MySQL source, `sql-common/json_dom.cc`). */
function opaqueText(bytes: Buffer, at: number): string {
  const type = bytes.readUInt8(at);
  const [length, start] = readLength(bytes, at + 1);
  const end = start + length;
  if (end > bytes.length) throw new RangeError('a JSON value does not end in its document');
  spend(length);
  switch (type) {
    case ColumnType.newDecimal: {
      const precision = bytes.readUInt8(start);
      const scale = bytes.readUInt8(start + 1);
      if (scale > precision || 2 + decimalBytes(precision, scale) > length)
        throw new RangeError('a decimal in a JSON document is cut off');
      return canonicalNumber(decimalText(bytes, start + 2, precision, scale));
    }
    case ColumnType.date:
      return `"${packedDate(bytes.readBigInt64LE(start))}"`;
    case ColumnType.time:
      return `"${packedTime(bytes.readBigInt64LE(start))}"`;
    case ColumnType.datetime:
    case ColumnType.timestamp: {
      const packed = bytes.readBigInt64LE(start);
      return `"${packedDate(packed)} ${packedClock(packed)}"`;
    }
    default:
      return JSON.stringify(`base64:type${type}:${wrapBase64(bytes.toString('base64', start, end))}`);
  }
}

/** The server's base64 breaks lines after 76 characters. */
function wrapBase64(text: string): string {
  return text.replace(/.{76}(?=.)/g, '$&\n');
}

function digits(value: bigint, count: number): string {
  return String(value).padStart(count, '0');
}

/** Packed temporal values: date 17 bits (year × 13 + month, day), time 17 bits, microseconds 24 bits. */
function packedDate(packed: bigint): string {
  const date = packed >> 41n;
  const yearMonth = date >> 5n;
  return `${digits(yearMonth / 13n, 4)}-${digits(yearMonth % 13n, 2)}-${digits(date & 31n, 2)}`;
}

function packedClock(packed: bigint): string {
  const time = (packed >> 24n) & 0x1ffffn;
  return `${digits(time >> 12n, 2)}:${digits((time >> 6n) & 63n, 2)}:${digits(time & 63n, 2)}.${digits(packed & 0xffffffn, 6)}`;
}

function packedTime(signed: bigint): string {
  const packed = signed < 0n ? -signed : signed;
  const time = packed >> 24n;
  const clock = `${digits((time >> 12n) & 1023n, 2)}:${digits((time >> 6n) & 63n, 2)}:${digits(time & 63n, 2)}`;
  return `${signed < 0n ? '-' : ''}${clock}.${digits(packed & 0xffffffn, 6)}`;
}
