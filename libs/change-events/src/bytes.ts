const ZERO = 48;

/** Writes text of ASCII characters; returns the end. */
export function writeAscii(target: Buffer, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) target[at++] = text.charCodeAt(i);
  return at;
}

/** Writes text in UTF-8; returns the end. Throws `RangeError` where the target ends before it: `Buffer.write` would leave out the rest. */
export function writeString(target: Buffer, at: number, text: string): number {
  const end = at + target.write(text, at);
  if (end + 3 > target.length && Buffer.byteLength(text) !== end - at) throw new RangeError('the target is too small');
  return end;
}

/** Writes an integer from 0 to 2^53-1 in decimal; returns the end. */
export function writeDigits(target: Buffer, at: number, value: number): number {
  if (value >= 1e9) {
    const high = Math.floor(value / 1e9);
    return writePadded(target, writeDigits(target, at, high), value - high * 1e9);
  }
  let end = at + 1;
  for (let limit = 10; value >= limit; limit *= 10) end++;
  let rest = value | 0;
  for (let i = end - 1; i >= at; i--) {
    const tens = (rest / 10) | 0;
    target[i] = ZERO + rest - tens * 10;
    rest = tens;
  }
  return end;
}

/** Nine digits. */
function writePadded(target: Buffer, at: number, value: number): number {
  let rest = value | 0;
  for (let i = at + 8; i >= at; i--) {
    const tens = (rest / 10) | 0;
    target[i] = ZERO + rest - tens * 10;
    rest = tens;
  }
  return at + 9;
}

const HEX = Buffer.from('0123456789abcdef');

/** Writes eight hexadecimal digits of an integer from 0 to 2^32-1; returns the end. */
export function writeHex32(target: Buffer, at: number, value: number): number {
  for (let shift = 28; shift >= 0; shift -= 4) target[at++] = HEX[(value >>> shift) & 15] as number;
  return at;
}
