import { BYTES_OF_DIGITS, checkDigits, type DecimalGroups } from '../values/numbers.ts';
import { MINUS, POINT, writeNine, writePadded, writeUnsigned, ZERO } from './digit-writers.ts';

/** The number in `size` bytes, big-endian; `flip` is -1 where all bits are flipped, the very first bit always is. */
function readGroup(v: DataView, s: number, size: number, flip: number, isFirst: boolean): number {
  switch (size) {
    case 4:
      return (v.getInt32(s) ^ flip ^ (isFirst ? 0x80000000 : 0)) >>> 0;
    case 3:
      return (((v.getUint16(s) << 8) | v.getUint8(s + 2)) ^ flip ^ (isFirst ? 0x800000 : 0)) & 0xffffff;
    case 2:
      return (v.getUint16(s) ^ flip ^ (isFirst ? 0x8000 : 0)) & 0xffff;
    default:
      return (v.getUint8(s) ^ flip ^ (isFirst ? 0x80 : 0)) & 0xff;
  }
}

/** The DECIMAL at `s` as `decimalText` has it, without quotes. */
export function writeDecimal(v: DataView, s: number, w: DataView, p: number, groups: DecimalGroups): number {
  const { leading, whole, fraction, trailing } = groups;
  const flip = (v.getUint8(s) & 0x80) === 0 ? -1 : 0;
  if (flip !== 0) w.setUint8(p++, MINUS);
  let at = s;
  let isZero = true;
  if (leading > 0) {
    const size = BYTES_OF_DIGITS[leading] as number;
    const value = checkDigits(readGroup(v, at, size, flip, true), leading);
    at += size;
    if (value > 0) {
      p = writeUnsigned(w, p, value);
      isZero = false;
    }
  }
  for (let group = 0; group < whole; group++, at += 4) {
    const value = checkDigits(readGroup(v, at, 4, flip, at === s), 9);
    if (!isZero) p = writeNine(w, p, value);
    else if (value > 0) {
      p = writeUnsigned(w, p, value);
      isZero = false;
    }
  }
  if (isZero) w.setUint8(p++, ZERO);
  if (fraction === 0 && trailing === 0) return p;
  w.setUint8(p++, POINT);
  for (let group = 0; group < fraction; group++, at += 4)
    p = writeNine(w, p, checkDigits(readGroup(v, at, 4, flip, at === s), 9));
  if (trailing === 0) return p;
  const size = BYTES_OF_DIGITS[trailing] as number;
  return writePadded(w, p, checkDigits(readGroup(v, at, size, flip, at === s), trailing), trailing);
}
