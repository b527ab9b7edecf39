/** Decodes stored bytes; throws `UndecodableTextError` rather than inventing a character. */
export type TextDecode = (bytes: Buffer, start: number, end: number) => string;

export class UndecodableTextError extends Error {}

/** In a table: no character. A lone surrogate is not a character in any character set. */
export const NO_CHARACTER = 0xd800;

/** The byte that codes of three bytes begin with (ujis, eucjpms). */
export const THREE_BYTE_LEAD = 0x8f;

/**
 * What the codes of a character set mean, as UTF-16 units. No code of a set begins with another one, so reading is
 * greedy; beyond the Basic Multilingual Plane there is gb18030's formula only.
 */
export interface CharacterTable {
  /** By byte. */
  readonly one: Uint16Array;
  /** By the two bytes, the first one high. */
  readonly two: Uint16Array | null;
  /** By the two bytes after `THREE_BYTE_LEAD`. */
  readonly three: Uint16Array | null;
  /** gb18030: by `fourByteIndex`, for the codes of the Basic Multilingual Plane. */
  readonly four: Uint16Array | null;
}

/** First index of gb18030's supplementary planes (code 0x90308130, U+10000). */
const SUPPLEMENTARY_INDEX = 189_000;
const SUPPLEMENTARY_COUNT = 0x100000;

/** gb18030: the place of a code of four bytes in their order; -1 when the bytes are no such code. */
function fourByteIndex(bytes: Buffer, at: number): number {
  const first = (bytes[at] ?? 0) - 0x81;
  const second = (bytes[at + 1] ?? 0) - 0x30;
  const third = (bytes[at + 2] ?? 0) - 0x81;
  const fourth = (bytes[at + 3] ?? 0) - 0x30;
  const isCode =
    first >= 0 && first < 126 && second >= 0 && second < 10 && third >= 0 && third < 126 && fourth >= 0 && fourth < 10;
  return isCode ? ((first * 10 + second) * 126 + third) * 10 + fourth : -1;
}

/** Texts longer than this get a buffer of their own instead of one that is kept. */
const KEPT_UNITS = 16 * 1024;
const keptUnits = Buffer.allocUnsafeSlow(2 * KEPT_UNITS);

/** A decoder that reads by the table alone. */
export function tableDecoder(table: CharacterTable): TextDecode {
  const { one } = table;
  // when bytes below 0x80 mean themselves, pure ASCII needs no table
  const keepsAscii = one.subarray(0, 0x80).every((unit, byte) => unit === byte);
  return (bytes, start, end) => {
    let ascii = keepsAscii;
    for (let at = start; ascii && at < end; at++) ascii = (bytes[at] ?? 0) < 0x80;
    if (ascii) return bytes.toString('latin1', start, end);
    // no code has more units than bytes
    const units = end - start > KEPT_UNITS ? Buffer.allocUnsafeSlow(2 * (end - start)) : keptUnits;
    return units.toString('utf16le', 0, decodeUnits(table, bytes, start, end, units));
  };
}

/** Writes UTF-16, little-endian; returns how many bytes. */
function decodeUnits(
  { one, two, three, four }: CharacterTable,
  bytes: Buffer,
  start: number,
  end: number,
  units: Buffer,
): number {
  let length = 0;
  const write = (unit: number): void => {
    units[length] = unit & 0xff;
    units[length + 1] = unit >> 8;
    length += 2;
  };
  for (let at = start; at < end;) {
    const lead = bytes[at] ?? 0;
    const left = end - at;
    let unit = one[lead] ?? NO_CHARACTER;
    let size = 1;
    if (unit === NO_CHARACTER && two !== null && left >= 2) {
      unit = two[(lead << 8) | (bytes[at + 1] ?? 0)] ?? NO_CHARACTER;
      size = 2;
    }
    if (unit === NO_CHARACTER && three !== null && left >= 3 && lead === THREE_BYTE_LEAD) {
      unit = three[((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)] ?? NO_CHARACTER;
      size = 3;
    }
    if (unit === NO_CHARACTER && four !== null && left >= 4) {
      const index = fourByteIndex(bytes, at);
      const supplementary = index - SUPPLEMENTARY_INDEX;
      if (supplementary >= 0 && supplementary < SUPPLEMENTARY_COUNT) {
        write(0xd800 + (supplementary >> 10));
        unit = 0xdc00 + (supplementary & 0x3ff);
      } else unit = four[index] ?? NO_CHARACTER;
      size = 4;
    }
    if (unit === NO_CHARACTER)
      throw new UndecodableTextError(`bytes 0x${bytes.toString('hex', at, Math.min(at + 4, end))}`);
    write(unit);
    at += size;
  }
  return length;
}
