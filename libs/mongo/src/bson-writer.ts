import { mongo } from 'mongoose';
import { isUtf8 } from 'node:buffer';
import { writeDecimal128, writeShortDecimal } from './decimal128.ts';
import { isKeptText, jsonToBson } from './json-to-bson.ts';

/** Types of elements (https://bsonspec.org/spec.html). */
export const BsonType = {
  double: 0x01,
  string: 0x02,
  document: 0x03,
  array: 0x04,
  binary: 0x05,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  int32: 0x10,
  long: 0x12,
  decimal128: 0x13,
} as const;

/** What an element begins with: its type and its name, with the NUL after it. */
export type ElementLabel = Uint8Array;

export function makeLabel(type: number, name: string): ElementLabel {
  const label = Buffer.from(`\u0000${name}\u0000`);
  label[0] = type;
  return label;
}

/** Subtype of binary data that is nothing else. */
export const GENERIC_BINARY = 0x00;
const MAX_INT64 = (1n << 63n) - 1n;
const TWO_TO_32 = 0x1_0000_0000;
/** Longest UTF-8 form of one UTF-16 unit, in bytes. */
const MOST_BYTES_OF_UNIT = 3;
/** Longer texts are faster by a native call. */
const COPIED_CHARACTERS = 48;
/** Longer ones are measured: room for three times a wide value is memory that others lack. */
const MEASURED_CHARACTERS = 64 * 1024;
/** An index as text with its type and its end, and a double. */
const MOST_BYTES_OF_NUMBER = 24;

/** Digits that a double holds exactly, whatever they are. */
const EXACT_DIGITS = 15;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
/** Of `YYYY-MM-DD`. */
const DATE_CHARACTERS = 10;

/** The driver's writer takes no text as long as MySQL's may be. */
const KEPT_TEXT = makeLabel(BsonType.string, '$json');

/** Writes BSON documents one after the other into a buffer that grows. */
export class BsonWriter {
  bytes: Buffer;
  /** Where the next byte goes. */
  at = 0;
  #view: DataView;

  constructor(capacity = 64 * 1024) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
    this.#view = viewOf(this.bytes);
  }

  /** Begins a document; `end` takes what this returns. */
  begin(): number {
    this.#reserve(4);
    const start = this.at;
    this.at += 4;
    return start;
  }

  beginIn(label: ElementLabel): number {
    this.#label(label, 4);
    const start = this.at;
    this.at += 4;
    return start;
  }

  end(start: number): void {
    this.#reserve(1);
    this.bytes[this.at++] = 0;
    this.#view.setInt32(start, this.at - start, true);
  }

  null(label: ElementLabel): void {
    const start = this.#label(label, 0);
    this.bytes[start] = BsonType.null;
  }

  int32(label: ElementLabel, value: number): void {
    this.#label(label, 4);
    this.#view.setInt32(this.at, value, true);
    this.at += 4;
  }

  /** A whole number within ±2^53. */
  long(label: ElementLabel, value: number): void {
    this.#label(label, 8);
    this.#long(value);
  }

  /** The type of the label holds up to 2^63 − 1; above that it is a Decimal128. */
  bigInteger(label: ElementLabel, value: number | bigint): void {
    const start = this.#label(label, 16);
    if (typeof value === 'number') this.#long(value);
    else if (value <= MAX_INT64) {
      this.#view.setBigInt64(this.at, value, true);
      this.at += 8;
    } else {
      this.bytes[start] = BsonType.decimal128;
      writeDecimal128(value.toString(), this.bytes, this.at);
      this.at += 16;
    }
  }

  double(label: ElementLabel, value: number): void {
    this.#label(label, 8);
    this.#view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  decimal(label: ElementLabel, text: string): void {
    this.#label(label, 16);
    writeDecimal128(text, this.bytes, this.at);
    this.at += 16;
  }

  boolean(label: ElementLabel, value: boolean): void {
    this.#label(label, 1);
    this.bytes[this.at++] = value ? 1 : 0;
  }

  date(label: ElementLabel, milliseconds: number): void {
    this.long(label, milliseconds);
  }

  string(label: ElementLabel, text: string): void {
    const { length: units } = text;
    this.#label(label, 5 + (units > MEASURED_CHARACTERS ? Buffer.byteLength(text) : units * MOST_BYTES_OF_UNIT));
    const start = this.at + 4;
    const length = text.length <= COPIED_CHARACTERS ? this.#copyAscii(text, start) : -1;
    const end = start + (length === -1 ? this.bytes.write(text, start, 'utf8') : length);
    this.bytes[end] = 0;
    this.#view.setInt32(this.at, end + 1 - start, true);
    this.at = end + 1;
  }

  binary(label: ElementLabel, value: Uint8Array): void {
    this.#label(label, 5 + value.length);
    this.#view.setInt32(this.at, value.length, true);
    this.bytes[this.at + 4] = GENERIC_BINARY;
    this.bytes.set(value, this.at + 5);
    this.at += 5 + value.length;
  }

  /** As `int32`, from the digits between two places. */
  int32Text(label: ElementLabel, source: Buffer, from: number, to: number): void {
    this.int32(label, parseInteger(source, from, to));
  }

  /** As `bigInteger`. */
  longText(label: ElementLabel, source: Buffer, from: number, to: number): void {
    if (to - from <= EXACT_DIGITS) this.long(label, parseInteger(source, from, to));
    else {
      const value = BigInt(source.toString('latin1', from, to));
      this.bigInteger(label, value);
    }
  }

  /** As `decimal`; zeros before the first digit are no part of it. */
  decimalText(label: ElementLabel, source: Buffer, from: number, to: number): void {
    const start = this.#label(label, 16);
    if (!writeShortDecimal(source, from, to, this.bytes, this.at)) {
      this.at = start;
      this.decimal(label, source.toString('latin1', from, to).replace(/^0+(?=\d)/, ''));
    } else this.at += 16;
  }

  /** As `string`, from UTF-8; throws a RangeError for what is not. */
  utf8Text(label: ElementLabel, source: Buffer, from: number, to: number): void {
    const length = to - from;
    this.#label(label, 5 + length);
    const start = this.at + 4;
    if (length > COPIED_CHARACTERS || !this.#copyBelow0x80(source, from, to, start)) {
      source.copy(this.bytes, start, from, to);
      if (!isUtf8(this.bytes.subarray(start, start + length))) throw new RangeError('a text that is not UTF-8');
    }
    this.#endString(start + length);
  }

  /** A date, a space and a time, as a date, a T and a time. */
  datetimeText(label: ElementLabel, source: Buffer, from: number, to: number): void {
    this.#label(label, 5 + to - from);
    const start = this.at + 4;
    for (let i = 0; i < to - from; i++) this.bytes[start + i] = source[from + i] as number;
    this.bytes[start + DATE_CHARACTERS] = 0x54;
    this.#endString(start + to - from);
  }

  /** The same with a Z at the end. */
  timestampText(label: ElementLabel, source: Buffer, from: number, to: number): void {
    this.#label(label, 6 + to - from);
    const start = this.at + 4;
    for (let i = 0; i < to - from; i++) this.bytes[start + i] = source[from + i] as number;
    this.bytes[start + DATE_CHARACTERS] = 0x54;
    this.bytes[start + to - from] = 0x5a;
    this.#endString(start + to - from + 1);
  }

  /** As `binary`. */
  binaryText(label: ElementLabel, source: Buffer, from: number, to: number): void {
    const length = to - from;
    this.#label(label, 5 + length);
    this.#view.setInt32(this.at, length, true);
    this.bytes[this.at + 4] = GENERIC_BINARY;
    source.copy(this.bytes, this.at + 5, from, to);
    this.at += 5 + length;
  }

  /** Little-endian 32-bit floats as an array of doubles. */
  vector(label: ElementLabel, floats: Buffer): void {
    const start = this.beginIn(label);
    for (let i = 0; i * 4 + 4 <= floats.length; i++) {
      this.#reserve(MOST_BYTES_OF_NUMBER);
      this.bytes[this.at++] = BsonType.double;
      this.at += this.bytes.write(`${i}\u0000`, this.at, 'latin1');
      this.#view.setFloat64(this.at, floats.readFloatLE(i * 4), true);
      this.at += 8;
    }
    this.end(start);
  }

  /** A JSON document as an embedded value; throws a SyntaxError for text that is not JSON. The value decides the type. */
  json(label: ElementLabel, text: string): void {
    const value = jsonToBson(text);
    if (isKeptText(value)) {
      const kept = this.beginIn(label);
      this.string(KEPT_TEXT, value.$json);
      this.end(kept);
    } else this.#embed(label, value);
  }

  #embed(label: ElementLabel, json: unknown): void {
    // a document of one element whose name has one letter
    const wrapped = mongo.BSON.serialize({ v: json });
    const value = wrapped.subarray(7, wrapped.length - 1);
    const start = this.#label(label, value.length);
    this.bytes[start] = wrapped[4] as number;
    this.bytes.set(value, this.at);
    this.at += value.length;
  }

  /** Elements or documents that are BSON already. */
  raw(encoded: Uint8Array): void {
    this.#reserve(encoded.length);
    this.bytes.set(encoded, this.at);
    this.at += encoded.length;
  }

  #long(value: number): void {
    this.#view.setInt32(this.at, value | 0, true);
    this.#view.setInt32(this.at + 4, Math.floor(value / TWO_TO_32), true);
    this.at += 8;
  }

  /** Writes the label with room for `more` bytes after it; returns where it begins. */
  #label(label: ElementLabel, more: number): number {
    this.#reserve(label.length + more);
    const { bytes, at } = this;
    for (let i = 0; i < label.length; i++) bytes[at + i] = label[i] as number;
    this.at = at + label.length;
    return at;
  }

  /** The end of a string that begins with its length at `at`. */
  #endString(end: number): void {
    this.bytes[end] = 0;
    this.#view.setInt32(this.at, end - this.at - 3, true);
    this.at = end + 1;
  }

  /** False at the first byte that is not ASCII. */
  #copyBelow0x80(source: Buffer, from: number, to: number, start: number): boolean {
    const { bytes } = this;
    for (let i = from; i < to; i++) {
      const byte = source[i] as number;
      if (byte >= 0x80) return false;
      bytes[start + i - from] = byte;
    }
    return true;
  }

  /** The length, or -1 at the first character that is not ASCII. */
  #copyAscii(text: string, start: number): number {
    const { bytes } = this;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return -1;
      bytes[start + i] = code;
    }
    return text.length;
  }

  #reserve(more: number): void {
    if (this.at + more <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.at + more, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
    this.#view = viewOf(grown);
  }
}

/** Of at most 15 characters, or a RangeError. */
function parseInteger(source: Buffer, from: number, to: number): number {
  const isNegative = source[from] === MINUS;
  let value = 0;
  for (let i = isNegative ? from + 1 : from; i < to; i++) {
    const byte = source[i] as number;
    if (byte < ZERO || byte > NINE) throw new RangeError('an integer that has other characters than digits');
    value = value * 10 + (byte - ZERO);
  }
  return isNegative ? -value : value;
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}
