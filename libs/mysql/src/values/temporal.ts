/**
 * Text of MySQL's temporal values from their packed binary forms (MySQL source, `mysys/my_time.cc`,
 * my_datetime_packed_from_binary and its siblings).
 */

const TWO_DIGITS: readonly string[] = Array.from({ length: 100 }, (_, n) => (n < 10 ? `0${n}` : String(n)));

function two(n: number): string {
  return TWO_DIGITS[n] ?? String(n);
}

function four(n: number): string {
  return two(Math.floor(n / 100)) + two(n % 100);
}

/** `.f…` of `digits` digits from a fraction stored in hundredths, ten-thousandths or millionths. */
function fractionText(fraction: number, digits: number): string {
  if (digits === 0) return '';
  const stored = digits + (digits & 1);
  return `.${String(fraction).padStart(stored, '0').slice(0, digits)}`;
}

function readBigEndian(bytes: Uint8Array, offset: number, length: number): number {
  let value = 0;
  for (let i = 0; i < length; i++) value = value * 256 + (bytes[offset + i] ?? 0);
  return value;
}

/** Bytes that a fraction of `digits` digits takes. */
export function fractionBytes(digits: number): number {
  return (digits + 1) >> 1;
}

/** DATE: three bytes, little-endian: day 5 bits, month 4, year 15. */
export function dateText(packed: number): string {
  return `${four(packed >> 9)}-${two((packed >> 5) & 15)}-${two(packed & 31)}`;
}

/** TIME(n): offset binary, big-endian; negative values count down, the fraction included. */
export function timeText(bytes: Uint8Array, offset: number, digits: number): string {
  const extra = fractionBytes(digits);
  const unit = 256 ** extra;
  const signed = readBigEndian(bytes, offset, 3 + extra) - 0x800000 * unit;
  const packed = Math.abs(signed);
  const whole = Math.floor(packed / unit);
  const sign = signed < 0 ? '-' : '';
  return `${sign}${two((whole >> 12) & 1023)}:${two((whole >> 6) & 63)}:${two(whole & 63)}${fractionText(packed % unit, digits)}`;
}

let lastDatetimeHigh = -1;
let lastDatetimeLow = -1;
let lastDatetimeText = '';

/** DATETIME(n): five bytes, offset binary, big-endian, then the fraction. Remembers the last second's text. */
export function datetimeText(bytes: Uint8Array, offset: number, digits: number): string {
  const high = bytes[offset] ?? 0;
  const low = readBigEndian(bytes, offset + 1, 4);
  if (high !== lastDatetimeHigh || low !== lastDatetimeLow) {
    const packed = (high - 0x80) * 0x100000000 + low;
    const date = Math.floor(packed / 0x20000);
    const time = packed % 0x20000;
    const yearMonth = date >> 5;
    lastDatetimeText =
      `${four(Math.floor(yearMonth / 13))}-${two(yearMonth % 13)}-${two(date & 31)}` +
      `T${two(time >> 12)}:${two((time >> 6) & 63)}:${two(time & 63)}`;
    lastDatetimeHigh = high;
    lastDatetimeLow = low;
  }
  if (digits === 0) return lastDatetimeText;
  return lastDatetimeText + fractionText(readBigEndian(bytes, offset + 5, fractionBytes(digits)), digits);
}

let lastSeconds = -1;
let lastSecondsText = '';

/** TIMESTAMP(n): seconds since 1970 in UTC, four bytes, big-endian, then the fraction. Zero means the zero timestamp. */
export function timestampText(bytes: Uint8Array, offset: number, digits: number): string {
  const seconds = readBigEndian(bytes, offset, 4);
  const fraction = digits === 0 ? 0 : readBigEndian(bytes, offset + 4, fractionBytes(digits));
  if (seconds === 0 && fraction === 0) return `0000-00-00T00:00:00${fractionText(0, digits)}Z`;
  if (seconds !== lastSeconds) {
    lastSecondsText = new Date(seconds * 1000).toISOString().slice(0, 19);
    lastSeconds = seconds;
  }
  return `${lastSecondsText}${fractionText(fraction, digits)}Z`;
}
