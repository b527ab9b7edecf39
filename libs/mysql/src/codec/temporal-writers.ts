import { checkFraction, checkHours, checkYear } from '../values/temporal.ts';
import { MINUS, pair, POINT, writeFour, writePadded, ZERO } from './digit-writers.ts';

const T = 0x54;
const Z = 0x5a;
const COLON = 0x3a;
/** `-` in the first and the last of four bytes. */
const DASHES = 0x2d00002d;
const SECONDS_OF_A_DAY = 86_400;

/** `YYYY-MM-DD` */
function writeDate(w: DataView, p: number, year: number, month: number, day: number): number {
  writeFour(w, p, year);
  w.setInt32(p + 4, DASHES | (pair(month) << 8), true);
  w.setInt16(p + 8, pair(day), true);
  return p + 10;
}

/** `HH:MM:SS` */
function writeClock(w: DataView, p: number, hours: number, minutes: number, seconds: number): number {
  w.setInt32(p, pair(hours) | (COLON << 16), true);
  w.setInt32(p + 3, pair(minutes) | (COLON << 16), true);
  w.setInt16(p + 6, pair(seconds), true);
  return p + 8;
}

/** `.f…` of `digits` digits from the bytes at `s`; nothing for none. */
function writeFraction(v: DataView, s: number, w: DataView, p: number, digits: number): number {
  switch (digits) {
    case 0:
      return p;
    case 1:
    case 2: {
      const fraction = checkFraction(v.getUint8(s), digits);
      w.setInt32(p, POINT | (pair(fraction) << 8), true);
      break;
    }
    case 3:
    case 4: {
      const fraction = checkFraction(v.getUint16(s), digits);
      w.setUint8(p, POINT);
      writeFour(w, p + 1, fraction);
      break;
    }
    default: {
      const fraction = checkFraction((v.getUint16(s) << 8) | v.getUint8(s + 2), digits);
      const high = (fraction / 10_000) | 0;
      w.setInt32(p, POINT | (pair(high) << 8), true);
      writeFour(w, p + 3, fraction - high * 10_000);
    }
  }
  return p + 1 + digits;
}

/** The DATE at `s`: three bytes, little-endian. */
export function writeDateAt(v: DataView, s: number, w: DataView, p: number): number {
  const packed = v.getUint16(s, true) | (v.getUint8(s + 2) << 16);
  return writeDate(w, p, checkYear(packed >> 9), (packed >> 5) & 15, packed & 31);
}

/** The DATETIME at `s` (see `datetimeText`). */
export function writeDatetimeAt(v: DataView, s: number, w: DataView, p: number, digits: number): number {
  // 40 bits: sign 1 (always set), year and month 17, day 5, hour 5, minute 6, second 6
  const high = v.getUint16(s);
  const low = (v.getUint16(s + 2) << 8) | v.getUint8(s + 4);
  const yearMonth = ((high & 0x7fff) << 2) | (low >> 22);
  const year = (yearMonth / 13) | 0;
  writeDate(w, p, checkYear(high < 0x8000 ? -1 : year), yearMonth - year * 13, (low >> 17) & 31);
  w.setUint8(p + 10, T);
  writeClock(w, p + 11, (low >> 12) & 31, (low >> 6) & 63, low & 63);
  return writeFraction(v, s + 5, w, p + 19, digits);
}

let lastDay = -1;
let lastYear = 0;
let lastMonth = 0;
let lastDate = 0;

function setDay(day: number): void {
  const date = new Date(day * SECONDS_OF_A_DAY * 1000);
  lastDay = day;
  lastYear = date.getUTCFullYear();
  lastMonth = date.getUTCMonth() + 1;
  lastDate = date.getUTCDate();
}

/** The TIMESTAMP at `s` (see `timestampText`). */
export function writeTimestampAt(v: DataView, s: number, w: DataView, p: number, digits: number): number {
  const seconds = v.getUint32(s);
  if (seconds === 0 && isZeroFraction(v, s + 4, digits)) {
    writeDate(w, p, 0, 0, 0);
    w.setUint8(p + 10, T);
    writeClock(w, p + 11, 0, 0, 0);
  } else {
    const day = Math.floor(seconds / SECONDS_OF_A_DAY);
    if (day !== lastDay) setDay(day);
    const second = seconds - day * SECONDS_OF_A_DAY;
    const hours = (second / 3600) | 0;
    const minutes = ((second - hours * 3600) / 60) | 0;
    writeDate(w, p, lastYear, lastMonth, lastDate);
    w.setUint8(p + 10, T);
    writeClock(w, p + 11, hours, minutes, second - hours * 3600 - minutes * 60);
  }
  const end = writeFraction(v, s + 4, w, p + 19, digits);
  w.setUint8(end, Z);
  return end + 1;
}

function isZeroFraction(v: DataView, s: number, digits: number): boolean {
  const end = s + ((digits + 1) >> 1);
  for (let at = s; at < end; at++) if (v.getUint8(at) !== 0) return false;
  return true;
}

/** The TIME at `s` (see `timeText`): a negative one counts down, its fraction included. */
export function writeTimeAt(v: DataView, s: number, w: DataView, p: number, digits: number): number {
  const offset = ((v.getUint16(s) << 8) | v.getUint8(s + 2)) - 0x800000;
  const fractionAt = s + 3;
  if (offset >= 0) return writeFraction(v, fractionAt, w, writeWhole(w, p, offset), digits);
  w.setUint8(p, MINUS);
  return writeNegativeTime(v, fractionAt, w, p + 1, offset, digits);
}

function writeWhole(w: DataView, p: number, whole: number): number {
  const hours = checkHours((whole >> 12) & 1023);
  const high = (hours / 100) | 0;
  if (high > 0) w.setUint8(p++, ZERO + high);
  return writeClock(w, p, hours - high * 100, (whole >> 6) & 63, whole & 63);
}

/** All bytes together are a number below zero: with a fraction, the whole part is one more and the fraction its complement. */
function writeNegativeTime(v: DataView, s: number, w: DataView, p: number, offset: number, digits: number): number {
  const size = (digits + 1) >> 1;
  let fraction = 0;
  for (let i = 0; i < size; i++) fraction = fraction * 256 + v.getUint8(s + i);
  if (fraction === 0) return writeFraction(v, s, w, writeWhole(w, p, -offset), digits);
  const end = writeWhole(w, p, -offset - 1);
  const value = checkFraction(256 ** size - fraction, digits);
  w.setUint8(end, POINT);
  // stored in hundredths, ten-thousandths or millionths: an odd count of digits leaves the last one out
  return writePadded(w, end + 1, (digits & 1) === 0 ? value : Math.floor(value / 10), digits);
}
