import { ColumnType } from '../layout/column-types.ts';
import { decimalBytes } from '../values/numbers.ts';
import { fractionBytes } from '../values/temporal.ts';
import { type PhysicalColumn } from './table-map.ts';

const FIXED_BYTES: Readonly<Record<number, number>> = {
  [ColumnType.tiny]: 1,
  [ColumnType.short]: 2,
  [ColumnType.int24]: 3,
  [ColumnType.long]: 4,
  [ColumnType.longlong]: 8,
  [ColumnType.float]: 4,
  [ColumnType.double]: 8,
  [ColumnType.year]: 1,
  [ColumnType.date]: 3,
  [ColumnType.newDate]: 3,
  [ColumnType.time]: 3,
  [ColumnType.timestamp]: 4,
  [ColumnType.datetime]: 8,
};

/** Bytes of a value of fixed size; -1 for a length prefix of `size` bytes; null for a type that isn't known. */
function bytesOf(column: PhysicalColumn): number | null {
  switch (column.type) {
    case ColumnType.newDecimal:
      return decimalBytes(column.precision, column.scale);
    case ColumnType.time2:
      return 3 + fractionBytes(column.scale);
    case ColumnType.datetime2:
      return 5 + fractionBytes(column.scale);
    case ColumnType.timestamp2:
      return 4 + fractionBytes(column.scale);
    case ColumnType.bit:
    case ColumnType.enum:
    case ColumnType.set:
      return column.size;
    case ColumnType.string:
    case ColumnType.varchar:
    case ColumnType.varString:
    case ColumnType.blob:
    case ColumnType.tinyBlob:
    case ColumnType.mediumBlob:
    case ColumnType.longBlob:
    case ColumnType.json:
    case ColumnType.vector:
    case ColumnType.geometry:
      return -1;
    default:
      return FIXED_BYTES[column.type] ?? null;
  }
}

/** Counts row images without decoding them, for tables that are not included: row indexes count every image. */
export class RowSkipper {
  readonly #sizes: readonly number[] | null;
  readonly #prefixes: readonly number[];

  constructor(columns: readonly PhysicalColumn[]) {
    const sizes = columns.map(bytesOf);
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
    let p = at + ((presentCount + 7) >> 3);
    let bit = 0;
    for (let i = 0; i < sizes.length; i++) {
      if (((present[i >> 3] ?? 0) & (1 << (i & 7))) === 0) continue;
      const isNull = ((bytes[at + (bit >> 3)] ?? 0) & (1 << (bit & 7))) !== 0;
      bit++;
      if (isNull) continue;
      const size = sizes[i] ?? 0;
      if (size >= 0) {
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
