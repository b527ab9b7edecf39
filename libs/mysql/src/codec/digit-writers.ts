/**
 * Digits straight into bytes, two at a time. Each writer takes the view of the target and the place, and returns the
 * end. A writer may put up to three bytes of rubbish after its end, which what follows overwrites: `JsonBound` leaves
 * room for them.
 */

export const ZERO = 0x30;
export const MINUS = 0x2d;
export const POINT = 0x2e;

/** Two ASCII digits of 0 to 99, the first in the low byte. */
export const PAIRS: Uint16Array = Uint16Array.from(
  { length: 100 },
  (_, n) => (ZERO + Math.floor(n / 10)) | ((ZERO + (n % 10)) << 8),
);

/** `n` from 0 to 99. */
export function pair(n: number): number {
  return PAIRS[n] as number;
}

/** Four digits of 0 to 9999, leading zeros included. */
export function writeFour(w: DataView, p: number, n: number): number {
  const high = (n / 100) | 0;
  w.setInt32(p, pair(high) | (pair(n - high * 100) << 16), true);
  return p + 4;
}

function writeEight(w: DataView, p: number, n: number): number {
  const high = (n / 10_000) | 0;
  return writeFour(w, writeFour(w, p, high), n - high * 10_000);
}

/** Nine digits of 0 to 999,999,999. */
export function writeNine(w: DataView, p: number, n: number): number {
  const high = (n / 100_000_000) | 0;
  w.setUint8(p, ZERO + high);
  return writeEight(w, p + 1, n - high * 100_000_000);
}

/** An integer from 0 to 2^32 - 1. */
export function writeUnsigned(w: DataView, p: number, n: number): number {
  if (n < 100) {
    if (n < 10) {
      w.setUint8(p, ZERO + n);
      return p + 1;
    }
    w.setUint16(p, pair(n), true);
    return p + 2;
  }
  if (n < 10_000) {
    const high = (n / 100) | 0;
    const low = pair(n - high * 100);
    if (high < 10) {
      w.setUint8(p, ZERO + high);
      w.setUint16(p + 1, low, true);
      return p + 3;
    }
    w.setInt32(p, pair(high) | (low << 16), true);
    return p + 4;
  }
  const high = Math.floor(n / 10_000);
  return writeFour(w, writeUnsigned(w, p, high), n - high * 10_000);
}

export function writeSigned(w: DataView, p: number, n: number): number {
  if (n >= 0) return writeUnsigned(w, p, n);
  w.setUint8(p, MINUS);
  return writeUnsigned(w, p + 1, -n);
}

/** An integer within ±(2^53 - 1); minus zero is written as zero. */
export function writeSafeInteger(w: DataView, p: number, n: number): number {
  let value = n;
  if (n < 0) {
    w.setUint8(p++, MINUS);
    value = -n;
  }
  if (value < 0x100000000) return writeUnsigned(w, p, value);
  // below 2^53 the quotient is never rounded up to the next integer: 1e-8 is more than half a unit in its last place
  const high = Math.floor(value / 100_000_000);
  return writeEight(w, writeUnsigned(w, p, high), value - high * 100_000_000);
}

/** The BIGINT at `s`, all digits. */
export function writeBigInteger(v: DataView, s: number, w: DataView, p: number, unsigned: boolean): number {
  const low = v.getUint32(s, true);
  const high = unsigned ? v.getUint32(s + 4, true) : v.getInt32(s + 4, true);
  if (high === 0) return writeUnsigned(w, p, low);
  if (high >= -0x200000 && high < 0x200000 && (low !== 0 || high !== -0x200000))
    return writeSafeInteger(w, p, high * 0x100000000 + low);
  return writeAscii(w, p, String((BigInt(high) << 32n) | BigInt(low)));
}

/** Text of characters below 0x80 that need no escape, as numbers have it. */
export function writeAscii(w: DataView, p: number, text: string): number {
  for (let i = 0; i < text.length; i++) w.setUint8(p + i, text.charCodeAt(i));
  return p + text.length;
}

/** `n` with leading zeros up to `digits` digits. */
export function writePadded(w: DataView, p: number, n: number, digits: number): number {
  let rest = n;
  let at = p + digits;
  while (at - p >= 2) {
    const high = (rest / 100) | 0;
    at -= 2;
    w.setUint16(at, pair(rest - high * 100), true);
    rest = high;
  }
  if (at > p) w.setUint8(p, ZERO + rest);
  return p + digits;
}
