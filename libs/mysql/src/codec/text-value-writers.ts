import { encodeGeometry, encodeVector, quoteJson, writeString } from '#change-events';
import { ZERO } from './digit-writers.ts';

const NINE = 0x39;
const TIME_SEPARATOR = 0x54;
/** Of a date: what comes after it is a space. */
const DATE_LENGTH = 10;

/** Bytes that need no escape. */
export function writeQuoted(v: DataView, start: number, end: number, w: DataView, at: number): number {
  let s = start;
  let p = at;
  for (; s < end - 3; s += 4, p += 4) w.setInt32(p, v.getInt32(s), false);
  for (; s < end; s++) w.setUint8(p++, v.getUint8(s));
  return p;
}

/** ZEROFILL prints zeros that are no part of the value. */
export function writeNumberText(v: DataView, start: number, end: number, w: DataView, p: number): number {
  let s = start;
  while (s < end - 1 && v.getUint8(s) === ZERO && isDigit(v.getUint8(s + 1))) s++;
  return writeQuoted(v, s, end, w, p);
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

export function writeDateTimeText(v: DataView, s: number, e: number, w: DataView, p: number): number {
  const end = writeQuoted(v, s, e, w, p);
  w.setUint8(p + DATE_LENGTH, TIME_SEPARATOR);
  return end;
}

export function writeGeometryText(b: Buffer, s: number, e: number, o: Buffer, p: number): number {
  return writeString(o, p, encodeGeometry(b.subarray(s, e)));
}

export function writeVectorText(b: Buffer, s: number, e: number, o: Buffer, p: number): number {
  return writeString(o, p, encodeVector(b.subarray(s, e)));
}

/** A text that is there as value. */
export function writeStringified(o: Buffer, p: number, text: string): number {
  return writeString(o, p, quoteJson(text));
}
