import { mongo } from 'mongoose';

/** The driver gives its classes by getters: looked up once, not for each value. */
const { Decimal128 } = mongo;

/** An exponent of 0 as IEEE 754-2008 decimal128 stores it; BSON uses the binary integer form of that standard. */
const EXPONENT_BIAS = 6176;
const ZERO = 48;
const NINE = 57;
const POINT = 46;
const MINUS = 45;
/** Characters of a decimal whose digits a double holds. */
const MOST_SHORT = 17;

/** `writeDecimal128` as a value of the driver. */
export function decimal128FromText(text: string): mongo.Decimal128 {
  const bytes = new Uint8Array(16);
  writeDecimal128(text, bytes, 0);
  return new Decimal128(bytes);
}

/**
 * Writes the exact decimal, trailing zeros kept, as 16 bytes. Short plain decimals are built here, about 20 times faster
 * than by `Decimal128.fromString`, which serves the others. Throws what that throws for text that is no decimal of at
 * most 34 digits.
 */
export function writeDecimal128(text: string, target: Uint8Array, at: number): void {
  if (!writeShort(text, target, at)) target.set(Decimal128.fromString(text).bytes, at);
}

/** As `writeDecimal128`, from a text in bytes; false, and nothing is written, for what is long or no plain decimal. */
export function writeShortDecimal(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): boolean {
  const negative = bytes[start] === MINUS;
  const first = negative ? start + 1 : start;
  if (end - start > MOST_SHORT || end === first) return false;
  let coefficient = 0;
  let point = -1;
  for (let index = first; index < end; index++) {
    const code = bytes[index] as number;
    if (code >= ZERO && code <= NINE) coefficient = coefficient * 10 + (code - ZERO);
    else if (code === POINT && point === -1 && index > first && index < end - 1) point = index;
    else return false;
  }
  if (coefficient > Number.MAX_SAFE_INTEGER) return false;
  pack(coefficient, EXPONENT_BIAS - (point === -1 ? 0 : end - 1 - point), negative, target, at);
  return true;
}

/** False for what is long, or no plain decimal. */
function writeShort(text: string, target: Uint8Array, at: number): boolean {
  const negative = text.charCodeAt(0) === MINUS;
  const start = negative ? 1 : 0;
  const { length } = text;
  if (length > MOST_SHORT || length === start) return false;
  let coefficient = 0;
  let point = -1;
  for (let index = start; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code >= ZERO && code <= NINE) coefficient = coefficient * 10 + (code - ZERO);
    else if (code === POINT && point === -1 && index > start && index < length - 1) point = index;
    else return false;
  }
  if (coefficient > Number.MAX_SAFE_INTEGER) return false;
  const exponent = EXPONENT_BIAS - (point === -1 ? 0 : length - 1 - point);
  pack(coefficient, exponent, negative, target, at);
  return true;
}

/** Coefficient below 2^53 in the low bytes, the exponent in bits 113 to 126, the sign on top; little-endian. */
function pack(coefficient: number, exponent: number, negative: boolean, target: Uint8Array, at: number): void {
  const low = coefficient >>> 0;
  const high = (coefficient - low) / 0x1_0000_0000;
  target[at] = low;
  target[at + 1] = low >>> 8;
  target[at + 2] = low >>> 16;
  target[at + 3] = low >>> 24;
  target[at + 4] = high;
  target[at + 5] = high >>> 8;
  target[at + 6] = high >>> 16;
  target.fill(0, at + 7, at + 14);
  target[at + 14] = exponent << 1;
  target[at + 15] = (exponent >>> 7) | (negative ? 0x80 : 0);
}
