import { nullBytes } from '../codec/image-skip.ts';
import { ColumnType, type PhysicalColumn, PREFIXED, valueBytes } from '../layout/wire-types.ts';
import { lengthEncodedSize } from './event-header.ts';

/** Option of a partial update: some JSON values are diffs. */
const PARTIAL_JSON = 1;

/**
 * Finds its way through row images without decoding them: row indexes also count images of tables that are not
 * included.
 */
export class RowSkipper {
  /** By column. */
  readonly isJson: readonly boolean[];
  readonly #sizes: readonly number[] | null;
  readonly #prefixes: readonly number[];

  constructor(columns: readonly PhysicalColumn[]) {
    this.isJson = columns.map(({ type }) => type === ColumnType.json);
    const sizes = columns.map(valueBytes);
    this.#sizes = sizes.includes(null) ? null : sizes.map((size) => size ?? 0);
    this.#prefixes = columns.map((column) => column.size);
  }

  /**
   * Images between `at` and `end`; `presents` are the bitmaps of the columns in each image in turn. Before the after
   * images of a partial update are its options. 1 if images can't be separated.
   */
  countImages(bytes: Buffer, at: number, end: number, presents: readonly Buffer[], isPartial: boolean): number {
    const sizes = this.#sizes;
    if (sizes === null) return 1;
    let count = 0;
    let p = at;
    while (p < end) {
      const present = presents[count % presents.length];
      if (present === undefined) return 1;
      const image = isPartial && count % 2 === 1 ? this.skipOptions(bytes, p).nulls : p;
      const next = this.#skipImage(bytes, image, present, sizes);
      if (next === p) return 1;
      p = next;
      count++;
    }
    return p === end ? count : 1;
  }

  /**
   * What a partial update puts before an after image: options, and where they ask for it a bit for each JSON column of
   * the table, present or not (MySQL source, `sql/log_event.cc`, Rows_log_event::print_verbose_one_row). The value of a
   * JSON column whose bit is set is a list of diffs, with a length as any JSON value has it.
   */
  skipOptions(bytes: Buffer, at: number): { hasPartial: boolean; bits: number; nulls: number } {
    const options = bytes.readUInt8(at);
    if (options > PARTIAL_JSON) throw new RangeError(`unknown options ${options} of a partial update`);
    const bits = at + lengthEncodedSize(bytes, at);
    const hasPartial = options === PARTIAL_JSON;
    const jsonColumns = this.isJson.filter((isJson) => isJson).length;
    return { hasPartial, bits, nulls: hasPartial ? bits + ((jsonColumns + 7) >> 3) : bits };
  }

  /** Just after the value of column `i` at `at`. */
  valueEnd(bytes: Buffer, at: number, i: number): number {
    const size = this.#sizes?.[i] ?? 0;
    if (size !== PREFIXED) return at + size;
    const prefix = this.#prefixes[i] ?? 1;
    if (at + prefix > bytes.length) return Infinity;
    return at + prefix + bytes.readUIntLE(at, prefix);
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
      p = this.valueEnd(bytes, p, i);
    }
    return p;
  }
}
