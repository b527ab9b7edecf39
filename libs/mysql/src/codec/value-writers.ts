import { encodeDouble, encodeGeometry, encodeVector, quoteJson, shortestFloat, writeString } from '#change-events';
import { type TextDecode } from '../values/charset.ts';
import { jsonTextFromBinary } from '../values/json-binary.ts';
import { ZERO, writeAscii, writeSafeInteger } from './digit-writers.ts';
import { checkGeometry, checkVector, paddedBytes, setLabels } from './row-decoder.ts';
import { writeAsciiText, writeUtf8Text } from './text-writer.ts';
import { writeBase64 } from './base64-writer.ts';

const QUOTE = 0x22;
/** `true` and `fals`, the first character in the low byte. */
const TRUE = 0x65757274;
const FALS = 0x736c6166;
const SMALL_E = 0x65;

/** The rest of a JSON string whose opening quote is written: UTF-8 bytes and the closing quote. */
export function writeUtf8(b: Buffer, v: DataView, s: number, e: number, w: DataView, p: number): number {
  const end = writeUtf8Text(b, v, s, e, w, p);
  w.setUint8(end, QUOTE);
  return end + 1;
}

/** The same for a character set whose bytes below 0x80 are ASCII; others are decoded. */
export function writeAsciiKeeping(
  b: Buffer,
  v: DataView,
  s: number,
  e: number,
  o: Buffer,
  w: DataView,
  p: number,
  decode: TextDecode,
): number {
  const end = writeAsciiText(v, s, e, w, p);
  if (end === -1) return writeString(o, p - 1, quoteJson(decode(b, s, e)));
  w.setUint8(end, QUOTE);
  return end + 1;
}

/** A whole JSON string of any character set. */
export function writeDecoded(b: Buffer, s: number, e: number, o: Buffer, p: number, decode: TextDecode): number {
  return writeString(o, p, quoteJson(decode(b, s, e)));
}

export function writeBoolean(w: DataView, p: number, value: boolean): number {
  if (value) {
    w.setInt32(p, TRUE, true);
    return p + 4;
  }
  w.setInt32(p, FALS, true);
  w.setUint8(p + 4, SMALL_E);
  return p + 5;
}

/** YEAR: 0, or years from 1901 on. */
export function writeYear(w: DataView, p: number, stored: number): number {
  if (stored === 0) {
    w.setUint8(p, ZERO);
    return p + 1;
  }
  return writeSafeInteger(w, p, 1900 + stored);
}

export function writeDouble(w: DataView, p: number, value: number): number {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return writeSafeInteger(w, p, value);
  return writeAscii(w, p, encodeDouble(value));
}

export function writeFloat(w: DataView, p: number, value: number): number {
  return writeDouble(w, p, shortestFloat(value));
}

/** The JSON strings of an ENUM's values by index: the empty error value, then the labels. */
export function encodeEnumLabels(labels: readonly string[]): readonly Buffer[] {
  return ['', ...labels].map((label) => Buffer.from(quoteJson(label)));
}

export function writeEnum(encoded: readonly Buffer[], index: number, w: DataView, p: number): number {
  const bytes = encoded[index];
  if (bytes === undefined) throw new RangeError(`ENUM index ${index} without a label`);
  for (let i = 0; i < bytes.length; i++) w.setUint8(p + i, bytes[i] as number);
  return p + bytes.length;
}

export function writeSet(b: Buffer, s: number, size: number, labels: readonly string[], o: Buffer, p: number): number {
  return writeString(o, p, quoteJson(setLabels(b, s, size, labels)));
}

export function writeJsonDocument(b: Buffer, s: number, e: number, o: Buffer, p: number): number {
  return writeString(o, p, JSON.stringify(jsonTextFromBinary(b.subarray(s, e))));
}

export function writeGeometry(b: Buffer, s: number, e: number, o: Buffer, p: number): number {
  return writeString(o, p, encodeGeometry(b.subarray(s, checkGeometry(s, e))));
}

export function writeVector(b: Buffer, s: number, e: number, o: Buffer, p: number): number {
  return writeString(o, p, encodeVector(b.subarray(s, checkVector(s, e))));
}

/** BINARY(n) in base64, the zero bytes added that the log leaves out. */
export function writePaddedBase64(
  b: Buffer,
  v: DataView,
  s: number,
  e: number,
  length: number,
  w: DataView,
  p: number,
): number {
  if (e - s === length) return writeBase64(v, s, e, w, p);
  const padded = paddedBytes(b, s, e, length);
  return writeBase64(new DataView(padded.buffer, padded.byteOffset, padded.byteLength), 0, length, w, p);
}
