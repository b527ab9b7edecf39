import { ColumnType } from '../layout/column-types.ts';
import { type PhysicalColumn } from '../binlog/table-map.ts';
import { decimalBytes } from '../values/numbers.ts';
import { fractionBytes } from '../values/temporal.ts';

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

/** What `valueBytes` gives for a value after a length prefix of `PhysicalColumn.size` bytes. */
export const PREFIXED = -1;

/** Bytes of a value in a row image, or `PREFIXED`; null for a type that isn't known. */
export function valueBytes(column: PhysicalColumn): number | null {
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
    case ColumnType.blobCompressed:
    case ColumnType.varcharCompressed:
    case ColumnType.tinyBlob:
    case ColumnType.mediumBlob:
    case ColumnType.longBlob:
    case ColumnType.json:
    case ColumnType.vector:
    case ColumnType.geometry:
      return PREFIXED;
    default:
      return FIXED_BYTES[column.type] ?? null;
  }
}

/** Bytes of the NULL bits at the start of an image of `columns` columns. */
export function nullBytes(columns: number): number {
  return (columns + 7) >> 3;
}
