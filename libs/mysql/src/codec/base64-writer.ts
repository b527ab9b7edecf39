const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PADDING = 0x3d;

function letter(sextet: number): number {
  return ALPHABET.charCodeAt(sextet);
}

/** Two letters for each twelve bits, the first in the low byte. */
const LETTER_PAIRS: Uint16Array = Uint16Array.from(
  { length: 4096 },
  (_, bits) => letter(bits >> 6) | (letter(bits & 63) << 8),
);

/** The bytes in base64, without quotes. */
export function writeBase64(v: DataView, s: number, e: number, w: DataView, p: number): number {
  const threes = e - 2;
  let at = s;
  for (; at < threes; at += 3, p += 4) {
    const bits = (v.getUint16(at) << 8) | v.getUint8(at + 2);
    w.setInt32(p, (LETTER_PAIRS[bits >> 12] as number) | ((LETTER_PAIRS[bits & 4095] as number) << 16), true);
  }
  if (at === e) return p;
  const hasTwo = e - at === 2;
  const bits = (v.getUint8(at) << 16) | (hasTwo ? v.getUint8(at + 1) << 8 : 0);
  w.setUint16(p, LETTER_PAIRS[bits >> 12] as number, true);
  w.setUint8(p + 2, hasTwo ? letter((bits >> 6) & 63) : PADDING);
  w.setUint8(p + 3, PADDING);
  return p + 4;
}
