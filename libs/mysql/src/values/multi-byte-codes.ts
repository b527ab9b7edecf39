import { THREE_BYTE_LEAD } from './character-table.ts';

/** Bytes from `first` to `last`. */
type ByteRange = readonly [first: number, last: number];

/** The well-formed codes of two and three bytes of a character set; not all of them have a character. */
export interface CodeShape {
  readonly leads: readonly ByteRange[];
  readonly trails: readonly ByteRange[];
  /** Bytes other than ASCII that are codes alone. */
  readonly singles?: readonly ByteRange[];
  /** 0x8e and one of 0xa0…0xdf; 0x8f and two trail bytes (JIS X 0201 and 0212 in EUC). */
  readonly isEuc?: boolean;
  /** Codes of four bytes, digits in the second and fourth place. */
  readonly hasFourBytes?: boolean;
}

const SHIFT_JIS: CodeShape = {
  leads: [
    [0x81, 0x9f],
    [0xe0, 0xfc],
  ],
  trails: [
    [0x40, 0x7e],
    [0x80, 0xfc],
  ],
  singles: [[0xa1, 0xdf]],
};
const GBK: CodeShape = {
  leads: [[0x81, 0xfe]],
  trails: [
    [0x40, 0x7e],
    [0x80, 0xfe],
  ],
};
const EUC: CodeShape = { leads: [[0xa1, 0xfe]], trails: [[0xa1, 0xfe]], isEuc: true };

/** MySQL source, `strings/ctype-*.cc`, the macros and functions that `well_formed_len` of each set uses. */
export const CODE_SHAPES: Readonly<Record<string, CodeShape>> = {
  big5: {
    leads: [[0xa1, 0xf9]],
    trails: [
      [0x40, 0x7e],
      [0xa1, 0xfe],
    ],
  },
  gbk: GBK,
  gb2312: { leads: [[0xa1, 0xf7]], trails: [[0xa1, 0xfe]] },
  gb18030: { ...GBK, hasFourBytes: true },
  sjis: SHIFT_JIS,
  cp932: SHIFT_JIS,
  ujis: EUC,
  eucjpms: EUC,
  euckr: {
    leads: [[0x81, 0xfe]],
    trails: [
      [0x41, 0x5a],
      [0x61, 0x7a],
      [0x81, 0xfe],
    ],
  },
};

function bytesOf(ranges: readonly ByteRange[]): number[] {
  return ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
}

export function singleByteCodes({ singles = [] }: CodeShape): number[] {
  return bytesOf([[0, 0x7f], ...singles]);
}

/** As numbers, the first byte high. */
export function twoByteCodes({ leads, trails, isEuc = false }: CodeShape): number[] {
  const trailBytes = bytesOf(trails);
  const codes = bytesOf(leads).flatMap((lead) => trailBytes.map((trail) => (lead << 8) | trail));
  return isEuc ? [...codes, ...bytesOf([[0xa0, 0xdf]]).map((trail) => 0x8e00 | trail)] : codes;
}

/** The two bytes after `THREE_BYTE_LEAD`. */
export function threeByteCodes({ trails, isEuc = false }: CodeShape): number[] {
  if (!isEuc) return [];
  const bytes = bytesOf(trails);
  return bytes.flatMap((second) => bytes.map((third) => (second << 8) | third));
}

/** gb18030: codes of four bytes in the Basic Multilingual Plane, 0x81308130 to 0x8431a439. */
export const FOUR_BYTE_CODES = 39_420;

/** Codes in hexadecimal digits. */
export function twoByteHex(code: number): string {
  return code.toString(16).padStart(4, '0');
}

export function threeByteHex(code: number): string {
  return ((THREE_BYTE_LEAD << 16) | code).toString(16);
}

/** The inverse of `fourByteIndex`. */
export function fourByteHex(index: number): string {
  const second = Math.floor(index / 1260);
  const third = Math.floor(index / 10);
  const high = ((0x81 + Math.floor(second / 10)) << 8) | (0x30 + (second % 10));
  return high.toString(16) + (((0x81 + (third % 126)) << 8) | (0x30 + (index % 10))).toString(16);
}
