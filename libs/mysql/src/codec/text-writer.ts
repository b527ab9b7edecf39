import { assertUtf8 } from '../values/charset.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const SMALL_U = 0x75;
const HIGH_BITS = 0x80808080;

/** The character after the backslash for bytes that have a short escape; else 0. */
const SHORT_ESCAPES: Uint8Array = new Uint8Array(128);
for (const [byte, letter] of [
  [8, 'b'],
  [9, 't'],
  [10, 'n'],
  [12, 'f'],
  [13, 'r'],
  [QUOTE, '"'],
  [BACKSLASH, '\\'],
] as const)
  SHORT_ESCAPES[byte] = letter.charCodeAt(0);

const HEX_DIGITS: Uint8Array = Buffer.from('0123456789abcdef');

/** As JSON.stringify escapes: the short form where there is one, else `\u00xx` in small letters. */
function writeEscape(w: DataView, p: number, byte: number): number {
  w.setUint8(p, BACKSLASH);
  const letter = SHORT_ESCAPES[byte] as number;
  if (letter !== 0) {
    w.setUint8(p + 1, letter);
    return p + 2;
  }
  w.setUint8(p + 1, SMALL_U);
  w.setUint16(p + 2, 0x3030);
  w.setUint8(p + 4, HEX_DIGITS[byte >> 4] as number);
  w.setUint8(p + 5, HEX_DIGITS[byte & 15] as number);
  return p + 6;
}

/** Bits of the bytes that the newest `copyEscaped` saw: the bits of `HIGH_BITS` say whether one was 0x80 or above. */
let seenBits = 0;

/**
 * Copies bytes and escapes those that a JSON string can't hold. Four bytes at a time: the three subtractions borrow
 * into a byte's high bit exactly where the four bytes hold one below 0x20, a quote or a backslash.
 */
function copyEscaped(v: DataView, start: number, end: number, w: DataView, at: number): number {
  const fours = end - 3;
  let s = start;
  let p = at;
  let seen = 0;
  for (;;) {
    while (s < fours) {
      const x = v.getInt32(s, true);
      const q = x ^ 0x22222222;
      const k = x ^ 0x5c5c5c5c;
      if (((((x - 0x20202020) & ~x) | ((q - 0x01010101) & ~q) | ((k - 0x01010101) & ~k)) & HIGH_BITS) !== 0) break;
      w.setInt32(p, x, true);
      seen |= x;
      s += 4;
      p += 4;
    }
    if (s >= end) break;
    const stop = s < fours ? s + 4 : end;
    for (; s < stop; s++) {
      const byte = v.getUint8(s);
      seen |= byte;
      if (byte < SPACE || byte === QUOTE || byte === BACKSLASH) p = writeEscape(w, p, byte);
      else w.setUint8(p++, byte);
    }
  }
  seenBits = seen;
  return p;
}

/** The content of a JSON string of UTF-8 bytes. Throws `UndecodableTextError` for bytes that are not UTF-8. */
export function writeUtf8Text(b: Buffer, v: DataView, s: number, e: number, w: DataView, p: number): number {
  const end = copyEscaped(v, s, e, w, p);
  if ((seenBits & HIGH_BITS) !== 0) assertUtf8(b, s, e);
  return end;
}

/** The content of a JSON string of bytes below 0x80; -1 when there are others, with rubbish after `p`. */
export function writeAsciiText(v: DataView, s: number, e: number, w: DataView, p: number): number {
  const end = copyEscaped(v, s, e, w, p);
  return (seenBits & HIGH_BITS) === 0 ? end : -1;
}
