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

const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

function bytesOfDigits(digits: number): number {
  return Math.floor(digits / 9) * 4 + (BYTES_OF_DIGITS[digits % 9] ?? 0);
}

/** Stored size of DECIMAL(precision, scale) in bytes. */
export function decimalBytes(precision: number, scale: number): number {
  return bytesOfDigits(precision - scale) + bytesOfDigits(scale);
}

/**
 * Exact text of a stored DECIMAL, as MySQL prints it (without ZEROFILL's zeros). Groups of nine digits in four bytes,
 * big-endian, the highest bit flipped, all bits flipped when negative (MySQL source, `strings/decimal.cc`, bin2decimal).
 */
export function decimalText(bytes: Uint8Array, offset: number, precision: number, scale: number): string {
  const whole = precision - scale;
  const flip = ((bytes[offset] ?? 0) & 0x80) === 0 ? 0xff : 0;
  let at = offset;
  const readGroup = (size: number): number => {
    let value = 0;
    for (let i = 0; i < size; i++, at++) {
      const byte = (bytes[at] ?? 0) ^ flip ^ (at === offset ? 0x80 : 0);
      value = value * 256 + byte;
    }
    return value;
  };
  let text = '';
  const leading = whole % 9;
  if (leading > 0) {
    const value = readGroup(BYTES_OF_DIGITS[leading] ?? 0);
    if (value > 0) text = String(value);
  }
  for (let group = Math.floor(whole / 9); group > 0; group--) {
    const value = readGroup(4);
    if (text !== '') text += String(value).padStart(9, '0');
    else if (value > 0) text = String(value);
  }
  if (text === '') text = '0';
  if (flip !== 0) text = `-${text}`;
  if (scale === 0) return text;
  text += '.';
  for (let group = Math.floor(scale / 9); group > 0; group--) text += String(readGroup(4)).padStart(9, '0');
  const trailing = scale % 9;
  if (trailing > 0) text += String(readGroup(BYTES_OF_DIGITS[trailing] ?? 0)).padStart(trailing, '0');
  return text;
}
