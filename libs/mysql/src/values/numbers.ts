/** BIGINT within ±2^53 as a number, else as a bigint; from its two 32-bit halves (`high` signed unless unsigned). */
export function joinInteger(low: number, high: number): number | bigint {
  if (high >= -0x200000 && high < 0x200000 && (low !== 0 || high !== -0x200000)) return high * 0x100000000 + low;
  return (BigInt(high) << 32n) | BigInt(low);
}

/** BIGINT from its decimal text, in the same form as `joinInteger`. */
export function integerFromText(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** Stored bytes of 0 to 9 digits. */
export const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

function bytesOfDigits(digits: number): number {
  return Math.floor(digits / 9) * 4 + (BYTES_OF_DIGITS[digits % 9] ?? 0);
}

/** Stored size of DECIMAL(precision, scale) in bytes. */
export function decimalBytes(precision: number, scale: number): number {
  return bytesOfDigits(precision - scale) + bytesOfDigits(scale);
}

/** How the digits of a DECIMAL are stored: groups of nine in the middle, what is left over at both ends. */
export interface DecimalGroups {
  /** Digits before the first whole group. */
  readonly leading: number;
  /** Groups of nine before the point, and after it. */
  readonly whole: number;
  readonly fraction: number;
  /** Digits after the last group. */
  readonly trailing: number;
}

export function decimalGroups(precision: number, scale: number): DecimalGroups {
  const digits = precision - scale;
  return {
    leading: digits % 9,
    whole: Math.floor(digits / 9),
    fraction: Math.floor(scale / 9),
    trailing: scale % 9,
  };
}

const POWERS_OF_TEN = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9] as const;

/** A stored group has no more digits than its place in the number. */
export function checkDigits(value: number, digits: number): number {
  if (value >= (POWERS_OF_TEN[digits] ?? 0)) throw new RangeError(`${value} in a DECIMAL group of ${digits} digits`);
  return value;
}

/**
 * Exact text of a stored DECIMAL, as MySQL prints it (without ZEROFILL's zeros). Groups of nine digits in four bytes,
 * big-endian, the highest bit flipped, all bits flipped when negative (MySQL source, `strings/decimal.cc`, bin2decimal,
 * which refuses groups of too many digits as well).
 */
export function decimalText(bytes: Uint8Array, offset: number, precision: number, scale: number): string {
  const { leading, whole, fraction, trailing } = decimalGroups(precision, scale);
  const flip = ((bytes[offset] ?? 0) & 0x80) === 0 ? 0xff : 0;
  let at = offset;
  const readGroup = (digits: number): number => {
    const end = at + (BYTES_OF_DIGITS[digits] ?? 0);
    let value = 0;
    for (; at < end; at++) value = value * 256 + ((bytes[at] ?? 0) ^ flip ^ (at === offset ? 0x80 : 0));
    return checkDigits(value, digits);
  };
  let text = '';
  if (leading > 0) {
    const value = readGroup(leading);
    if (value > 0) text = String(value);
  }
  for (let group = whole; group > 0; group--) {
    const value = readGroup(9);
    if (text !== '') text += String(value).padStart(9, '0');
    else if (value > 0) text = String(value);
  }
  if (text === '') text = '0';
  if (flip !== 0) text = `-${text}`;
  if (scale === 0) return text;
  text += '.';
  for (let group = fraction; group > 0; group--) text += String(readGroup(9)).padStart(9, '0');
  if (trailing > 0) text += String(readGroup(trailing)).padStart(trailing, '0');
  return text;
}
