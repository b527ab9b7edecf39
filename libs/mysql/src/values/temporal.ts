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

const THREE_DIGITS: readonly string[] = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, '0'));

function three(n: number): string {
  return THREE_DIGITS[n] ?? String(n);
}

/** `.f…` of `digits` digits from a fraction stored in hundredths, ten-thousandths or millionths. */
function fractionText(stored: number, digits: number): string {
  const fraction = checkFraction(stored, digits);
  switch (digits) {
    case 0:
      return '';
    case 1:
      return `.${Math.floor(fraction / 10)}`;
    case 2:
      return `.${two(fraction)}`;
    case 3:
      return `.${three(Math.floor(fraction / 10))}`;
    case 4:
      return `.${two(Math.floor(fraction / 100))}${two(fraction % 100)}`;
    case 5:
      return `.${three(Math.floor(fraction / 1000))}${two(Math.floor((fraction % 1000) / 10))}`;
    default:
      return `.${three(Math.floor(fraction / 1000))}${three(fraction % 1000)}`;
  }
}

const MOST_FRACTION = [0, 99, 99, 9999, 9999, 999_999, 999_999] as const;

/** The stored fraction of a value with `digits` digits after the point. */
export function checkFraction(fraction: number, digits: number): number {
  if (fraction > (MOST_FRACTION[digits] ?? 0)) throw new RangeError(`a fraction of ${fraction} in ${digits} digits`);
  return fraction;
}

export function checkYear(year: number): number {
  if (year < 0 || year > 9999) throw new RangeError(`the year ${year}`);
  return year;
}

/** TIME goes to 838:59:59. */
export function checkHours(hours: number): number {
  if (hours > 838) throw new RangeError(`a TIME of ${hours} hours`);
  return hours;
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
  return `${four(checkYear(packed >> 9))}-${two((packed >> 5) & 15)}-${two(packed & 31)}`;
}

/** TIME(n): offset binary, big-endian; negative values count down, the fraction included. */
export function timeText(bytes: Uint8Array, offset: number, digits: number): string {
  const extra = fractionBytes(digits);
  const unit = 256 ** extra;
  const signed = readBigEndian(bytes, offset, 3 + extra) - 0x800000 * unit;
  const packed = Math.abs(signed);
  const whole = Math.floor(packed / unit);
  const sign = signed < 0 ? '-' : '';
  return `${sign}${two(checkHours((whole >> 12) & 1023))}:${two((whole >> 6) & 63)}:${two(whole & 63)}${fractionText(packed % unit, digits)}`;
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
      `${four(checkYear(Math.floor(yearMonth / 13)))}-${two(yearMonth % 13)}-${two(date & 31)}` +
      `T${two(time >> 12)}:${two((time >> 6) & 63)}:${two(time & 63)}`;
    lastDatetimeHigh = high;
    lastDatetimeLow = low;
  }
  if (digits === 0) return lastDatetimeText;
  return lastDatetimeText + fractionText(readBigEndian(bytes, offset + 5, fractionBytes(digits)), digits);
}

const SECONDS_OF_A_DAY = 86_400;
let lastDay = -1;
let lastDayText = '';

/** TIMESTAMP(n): seconds since 1970 in UTC, four bytes, big-endian, then the fraction. Zero means the zero timestamp. */
export function timestampText(bytes: Uint8Array, offset: number, digits: number): string {
  const seconds = readBigEndian(bytes, offset, 4);
  const fraction = digits === 0 ? 0 : readBigEndian(bytes, offset + 4, fractionBytes(digits));
  if (seconds === 0 && fraction === 0) return `0000-00-00T00:00:00${fractionText(0, digits)}Z`;
  const day = Math.floor(seconds / SECONDS_OF_A_DAY);
  if (day !== lastDay) {
    lastDayText = new Date(day * SECONDS_OF_A_DAY * 1000).toISOString().slice(0, 11);
    lastDay = day;
  }
  const second = seconds - day * SECONDS_OF_A_DAY;
  const clock = `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`;
  return `${lastDayText}${clock}${fractionText(fraction, digits)}Z`;
}
