import { type Column, type ColumnKind, type TableLayout } from '#change-events';

/** Binlog column type codes (MySQL source, `include/field_types.h`, enum_field_types). */
export const ColumnType = {
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
  /** MariaDB's; Ditto has no form for them, but must find their end. */
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

const KIND_OF_TYPE: Readonly<Record<string, ColumnKind>> = {
  tinyint: 'integer',
  smallint: 'integer',
  mediumint: 'integer',
  int: 'integer',
  year: 'integer',
  bigint: 'bigint',
  decimal: 'decimal',
  float: 'float',
  double: 'double',
  char: 'text',
  varchar: 'text',
  tinytext: 'text',
  text: 'text',
  mediumtext: 'text',
  longtext: 'text',
  binary: 'bytes',
  varbinary: 'bytes',
  tinyblob: 'bytes',
  blob: 'bytes',
  mediumblob: 'bytes',
  longblob: 'bytes',
  date: 'date',
  time: 'time',
  datetime: 'datetime',
  timestamp: 'timestamp',
  enum: 'enum',
  set: 'set',
  json: 'json',
  vector: 'vector',
  geometry: 'geometry',
  point: 'geometry',
  linestring: 'geometry',
  polygon: 'geometry',
  multipoint: 'geometry',
  multilinestring: 'geometry',
  multipolygon: 'geometry',
  geomcollection: 'geometry',
};

/** What both the log and the catalogue know about a column. */
export interface ColumnDescription {
  readonly name: string;
  /** MySQL's DATA_TYPE: `bigint`, `varchar`, `geomcollection`… */
  readonly type: string;
  readonly unsigned: boolean;
  readonly precision: number;
  /** Digits after the point of a decimal; fraction digits of a temporal type. */
  readonly scale: number;
  /** Bits of a BIT; declared length of CHAR, VARCHAR (characters), BINARY, VARBINARY (bytes). */
  readonly length: number;
  readonly charset: string | null;
  readonly labels: readonly string[];
}

/** Null when Ditto has no canonical form for the type. */
export function kindOf(type: string, length: number): ColumnKind | null {
  if (type === 'bit') return length === 1 ? 'boolean' : 'bits';
  return KIND_OF_TYPE[type] ?? null;
}

const UNSIGNABLE = new Set<ColumnKind>(['integer', 'bigint', 'decimal', 'float', 'double']);
const WITH_LENGTH = new Set(['bit', 'char', 'varchar', 'binary', 'varbinary']);
const WITH_SCALE = new Set<ColumnKind>(['decimal', 'time', 'datetime', 'timestamp']);
const WITH_CHARSET = new Set<ColumnKind>(['text', 'enum', 'set']);

/** Makes the one form of a column that the log's metadata and the catalogue must agree on; null for an unknown type. */
export function makeColumn(description: ColumnDescription): Column | null {
  const { name, type } = description;
  const kind = kindOf(type, description.length);
  if (kind === null) return null;
  return {
    name,
    kind,
    type,
    unsigned: UNSIGNABLE.has(kind) && type !== 'year' && description.unsigned,
    precision: kind === 'decimal' ? description.precision : 0,
    scale: WITH_SCALE.has(kind) ? description.scale : 0,
    length: WITH_LENGTH.has(type) ? description.length : 0,
    charset: WITH_CHARSET.has(kind) ? description.charset : null,
    labels: kind === 'enum' || kind === 'set' ? description.labels : [],
  };
}

export function makeLayout(
  database: string,
  table: string,
  columns: readonly Column[],
  key: readonly number[],
): TableLayout {
  const parts = columns.map((column) => [
    column.name,
    column.type,
    column.unsigned ? 1 : 0,
    column.precision,
    column.scale,
    column.length,
    column.charset ?? '',
    ...column.labels,
  ]);
  return { database, table, columns, key, fingerprint: JSON.stringify([database, table, key, parts]) };
}
