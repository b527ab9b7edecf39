import { nullBytes, PREFIXED, valueBytes } from '../codec/value-layout.ts';
import { type PhysicalColumn } from './table-map.ts';

/** Counts row images without decoding them, for tables that are not included: row indexes count every image. */
export class RowSkipper {
  readonly #sizes: readonly number[] | null;
  readonly #prefixes: readonly number[];

  constructor(columns: readonly PhysicalColumn[]) {
    const sizes = columns.map(valueBytes);
    this.#sizes = sizes.includes(null) ? null : sizes.map((size) => size ?? 0);
    this.#prefixes = columns.map((column) => column.size);
  }

  /** Images between `at` and `end`; `presents` are the bitmaps of the columns in each image in turn. 1 if they can't be told apart. */
  countImages(bytes: Buffer, at: number, end: number, presents: readonly Buffer[]): number {
    const sizes = this.#sizes;
    if (sizes === null) return 1;
    let count = 0;
    let p = at;
    while (p < end) {
      const present = presents[count % presents.length];
      if (present === undefined) return 1;
      const next = this.#skipImage(bytes, p, present, sizes);
      if (next === p) return 1;
      p = next;
      count++;
    }
    return p === end ? count : 1;
  }

  #skipImage(bytes: Buffer, at: number, present: Buffer, sizes: readonly number[]): number {
    let presentCount = 0;
    for (let i = 0; i < sizes.length; i++) if (((present[i >> 3] ?? 0) & (1 << (i & 7))) !== 0) presentCount++;
    let p = at + nullBytes(presentCount);
    let bit = 0;
    for (let i = 0; i < sizes.length; i++) {
      if (((present[i >> 3] ?? 0) & (1 << (i & 7))) === 0) continue;
      const isNull = ((bytes[at + (bit >> 3)] ?? 0) & (1 << (bit & 7))) !== 0;
      bit++;
      if (isNull) continue;
      const size = sizes[i] ?? 0;
      if (size !== PREFIXED) {
        p += size;
        continue;
      }
      const prefix = this.#prefixes[i] ?? 1;
      if (p + prefix > bytes.length) return Infinity;
      p += prefix + bytes.readUIntLE(p, prefix);
    }
    return p;
  }
}
