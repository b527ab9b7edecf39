import { type FieldCursor } from '../binlog/field-cursor.ts';
import { decimalBytes } from '../values/numbers.ts';
import { fractionBytes } from '../values/temporal.ts';

/** Column type codes of the log (MySQL source, `include/field_types.h`, enum_field_types). */
export const ColumnType = {
  oldDecimal: 0,
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newDate: 14,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  blobCompressed: 140,
  varcharCompressed: 141,
  vector: 242,
  json: 245,
  newDecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

type Code = (typeof ColumnType)[keyof typeof ColumnType];

/** How a column's values lie in a row image. */
export interface PhysicalColumn {
  /** A `ColumnType`, or a code that Ditto does not know; ENUM and SET under their own codes. */
  readonly type: number;
  /** Fixed and variable sizes by type: bytes of a length prefix, of an ENUM or SET, of a BIT; else 0. */
  readonly size: number;
  /** CHAR, VARCHAR, BINARY and VARBINARY: longest value in bytes. BIT: bits. */
  readonly maxLength: number;
  readonly precision: number;
  /** Digits after the point of a decimal; fraction digits of a temporal type. */
  readonly scale: number;
}

/** What `valueBytes` gives for a value after a length prefix of `PhysicalColumn.size` bytes. */
export const PREFIXED = -1;

/** What a type's name depends on, other than the code. */
interface NamedColumn {
  readonly physical: PhysicalColumn;
  readonly isBinary: boolean;
  readonly geometryType: number;
}

interface WireType {
  /** DATA_TYPE of the catalogue, by which a column gets its kind; null: Ditto has no form for it. */
  readonly name: string | null | ((column: NamedColumn) => string | null);
  /** Reads what a table map says of a column in addition to its code. */
  readonly metadata: (cursor: FieldCursor) => Partial<PhysicalColumn>;
  /** Whether a server can have written such metadata; the generated code of layouts relies on it. */
  readonly isSane: (column: PhysicalColumn) => boolean;
  /** Bytes of a value, or `PREFIXED`; null where Ditto can't find the end. */
  readonly bytes: number | null | ((column: PhysicalColumn) => number);
  /** Which lists of the optional metadata have an entry for each column of the type. */
  readonly listed: 'numeric' | 'character' | 'geometry' | 'enum' | 'set' | null;
}

const readNothing = (): Partial<PhysicalColumn> => ({});
const readSize = (cursor: FieldCursor): Partial<PhysicalColumn> => ({ size: cursor.byte() });
const readScale = (cursor: FieldCursor): Partial<PhysicalColumn> => ({ scale: cursor.byte() });
const isAlwaysSane = (): boolean => true;
const hasPrefix = ({ size }: PhysicalColumn): boolean => size >= 1 && size <= 4;
const hasFraction = ({ scale }: PhysicalColumn): boolean => scale <= 6;
const sizeOf = ({ size }: PhysicalColumn): number => size;

function readVariable(cursor: FieldCursor): Partial<PhysicalColumn> {
  const maxLength = cursor.byte() + cursor.byte() * 256;
  return { size: maxLength > 255 ? 2 : 1, maxLength };
}

/** CHAR and BINARY hide bits 8 and 9 of their length in the real type; ENUM and SET give their size. */
function readString(cursor: FieldCursor): Partial<PhysicalColumn> {
  const [first, second] = [cursor.byte(), cursor.byte()];
  if ((first & 0x30) !== 0x30) {
    const maxLength = second | (((first & 0x30) ^ 0x30) << 4);
    return { type: first | 0x30, size: maxLength > 255 ? 2 : 1, maxLength };
  }
  if (first === ColumnType.enum || first === ColumnType.set) return { type: first, size: second };
  return { type: first, size: 1, maxLength: second };
}

function readBits(cursor: FieldCursor): Partial<PhysicalColumn> {
  const bits = cursor.byte() + cursor.byte() * 8;
  return { size: (bits + 7) >> 3, maxLength: bits };
}

/** MySQL allows 30. */
const MOST_DECIMALS_OF_MARIADB = 38;
/** By the size of the length prefix. */
const BLOB_NAMES: Readonly<Record<number, readonly [binary: string, text: string]>> = {
  1: ['tinyblob', 'tinytext'],
  2: ['blob', 'text'],
  3: ['mediumblob', 'mediumtext'],
  4: ['longblob', 'longtext'],
};
/** Field_geom::geometry_type. */
const GEOMETRY_NAMES = [
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geomcollection',
];

const PLAIN = { metadata: readNothing, isSane: isAlwaysSane, listed: null } as const;
const INTEGER = { ...PLAIN, listed: 'numeric' } as const;
const TEMPORAL = { metadata: readScale, isSane: hasFraction, listed: null } as const;
const BLOB = { metadata: readSize, isSane: hasPrefix, bytes: PREFIXED, listed: 'character' } as const;
const VARIABLE = { metadata: readVariable, isSane: isAlwaysSane, bytes: PREFIXED, listed: 'character' } as const;
const STRING = { metadata: readString, isSane: isAlwaysSane, bytes: PREFIXED, listed: 'character' } as const;
const varcharName = ({ isBinary }: NamedColumn): string => (isBinary ? 'varbinary' : 'varchar');

/** All that the log's format says of a type. A code that is not here is refused when such a column is replicated. */
const WIRE_TYPES: Readonly<Record<Code, WireType>> = {
  [ColumnType.oldDecimal]: { ...INTEGER, name: null, bytes: null },
  [ColumnType.tiny]: { ...INTEGER, name: 'tinyint', bytes: 1 },
  [ColumnType.short]: { ...INTEGER, name: 'smallint', bytes: 2 },
  [ColumnType.int24]: { ...INTEGER, name: 'mediumint', bytes: 3 },
  [ColumnType.long]: { ...INTEGER, name: 'int', bytes: 4 },
  [ColumnType.longlong]: { ...INTEGER, name: 'bigint', bytes: 8 },
  [ColumnType.float]: { ...INTEGER, name: 'float', metadata: readSize, bytes: 4 },
  [ColumnType.double]: { ...INTEGER, name: 'double', metadata: readSize, bytes: 8 },
  [ColumnType.newDecimal]: {
    name: 'decimal',
    metadata: (cursor) => ({ precision: cursor.byte(), scale: cursor.byte() }),
    isSane: ({ precision, scale }) =>
      precision >= 1 && precision <= 65 && scale <= Math.min(MOST_DECIMALS_OF_MARIADB, precision),
    bytes: ({ precision, scale }) => decimalBytes(precision, scale),
    listed: 'numeric',
  },
  [ColumnType.year]: { ...INTEGER, name: 'year', bytes: 1 },
  [ColumnType.date]: { ...PLAIN, name: 'date', bytes: 3 },
  [ColumnType.newDate]: { ...PLAIN, name: null, bytes: 3 },
  [ColumnType.time]: { ...PLAIN, name: null, bytes: 3 },
  [ColumnType.time2]: { ...TEMPORAL, name: 'time', bytes: ({ scale }) => 3 + fractionBytes(scale) },
  [ColumnType.datetime]: { ...PLAIN, name: null, bytes: 8 },
  [ColumnType.datetime2]: { ...TEMPORAL, name: 'datetime', bytes: ({ scale }) => 5 + fractionBytes(scale) },
  [ColumnType.timestamp]: { ...PLAIN, name: null, bytes: 4 },
  [ColumnType.timestamp2]: { ...TEMPORAL, name: 'timestamp', bytes: ({ scale }) => 4 + fractionBytes(scale) },
  [ColumnType.bit]: {
    name: 'bit',
    metadata: readBits,
    isSane: ({ maxLength }) => maxLength >= 1 && maxLength <= 64,
    bytes: sizeOf,
    listed: null,
  },
  [ColumnType.enum]: {
    name: 'enum',
    metadata: readString,
    isSane: ({ size }) => size === 1 || size === 2,
    bytes: sizeOf,
    listed: 'enum',
  },
  [ColumnType.set]: {
    name: 'set',
    metadata: readString,
    isSane: ({ size }) => size >= 1 && size <= 8,
    bytes: sizeOf,
    listed: 'set',
  },
  [ColumnType.string]: { ...STRING, name: ({ isBinary }) => (isBinary ? 'binary' : 'char') },
  [ColumnType.varString]: { ...STRING, name: varcharName },
  [ColumnType.varchar]: { ...VARIABLE, name: varcharName },
  [ColumnType.varcharCompressed]: { ...VARIABLE, name: null },
  [ColumnType.tinyBlob]: { ...BLOB, name: null },
  [ColumnType.blob]: {
    ...BLOB,
    name: ({ physical, isBinary }) => BLOB_NAMES[physical.size]?.[isBinary ? 0 : 1] ?? null,
  },
  [ColumnType.mediumBlob]: { ...BLOB, name: null },
  [ColumnType.longBlob]: { ...BLOB, name: null },
  [ColumnType.blobCompressed]: { ...BLOB, name: null },
  [ColumnType.json]: { ...BLOB, name: 'json', listed: null },
  [ColumnType.vector]: { ...BLOB, name: 'vector' },
  [ColumnType.geometry]: {
    ...BLOB,
    name: ({ geometryType }) => GEOMETRY_NAMES[geometryType] ?? null,
    listed: 'geometry',
  },
};

function wireType(code: number): WireType | undefined {
  return (WIRE_TYPES as Readonly<Partial<Record<number, WireType>>>)[code];
}

/** Reads a column of the table map. Throws `RangeError` for metadata that no server writes. */
export function readPhysicalColumn(code: number, cursor: FieldCursor): PhysicalColumn {
  const nothing = { type: code, size: 0, maxLength: 0, precision: 0, scale: 0 };
  const column = { ...nothing, ...wireType(code)?.metadata(cursor) };
  if (wireType(column.type)?.isSane(column) === false)
    throw new RangeError(`a column of type ${column.type} with metadata that it can't have`);
  return column;
}

/** Indexes of the columns that have an entry in a list of the optional metadata. */
export function listedColumns(
  columns: readonly PhysicalColumn[],
  ...lists: readonly WireType['listed'][]
): readonly number[] {
  return columns.flatMap(({ type }, index) => (lists.includes(wireType(type)?.listed ?? null) ? [index] : []));
}

/** DATA_TYPE of the catalogue; null for a type without a form in Ditto. */
export function typeName(column: NamedColumn): string | null {
  const name = wireType(column.physical.type)?.name ?? null;
  return typeof name === 'function' ? name(column) : name;
}

/** Bytes of a value in a row image, or `PREFIXED`; null for a type that isn't known. */
export function valueBytes(column: PhysicalColumn): number | null {
  const bytes = wireType(column.type)?.bytes ?? null;
  return typeof bytes === 'function' ? bytes(column) : bytes;
}
