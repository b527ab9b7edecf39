/** Zigzag varints of the record format: https://kafka.apache.org/documentation/#recordbatch */

/** Bytes of a number that is not negative. */
export function varintBytes(value: number): number {
  if (value < 0x40) return 1;
  if (value < 0x2000) return 2;
  if (value < 0x100000) return 3;
  return value < 0x8000000 ? 4 : 5;
}

/** Writes a number that is not negative; returns the end. */
export function writeVarint(target: Buffer, at: number, value: number): number {
  let rest = value * 2;
  while (rest > 0x7f) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}

/** Reads one; its end is `at` plus `varintLength`. Negative numbers are lengths of null. */
export function readVarint(source: Buffer, at: number): number {
  let value = 0;
  let factor = 1;
  for (;;) {
    const byte = source.readUInt8(at++);
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
    factor *= 128;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** Bytes of the varint at `at`. */
export function varintLength(source: Buffer, at: number): number {
  let end = at;
  while (source.readUInt8(end) >= 0x80) end++;
  return end + 1 - at;
}
