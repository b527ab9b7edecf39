import { ColumnType } from '../layout/column-types.ts';
import { type ServerKind } from '../server-kind.ts';
import { type EventBytes } from './event-header.ts';
import { FieldCursor } from './field-cursor.ts';

/** How a column's values lie in a row image. */
export interface PhysicalColumn {
  /** A `ColumnType`; ENUM and SET under their own codes. */
  readonly type: number;
  /** Fixed and variable sizes by type: bytes of a length prefix, of an ENUM or SET, of a BIT; else 0. */
  readonly size: number;
  /** CHAR, VARCHAR and binary kin: longest value in bytes. BIT: bits. */
  readonly maxLength: number;
  readonly precision: number;
  /** Digits after the point of a decimal; fraction digits of a temporal type. */
  readonly scale: number;
}

/** A TABLE_MAP_EVENT. What `binlog_row_metadata=FULL` adds is null or empty when it is not there. */
export interface TableMap {
  readonly tableId: number;
  readonly database: string;
  readonly table: string;
  readonly columns: readonly PhysicalColumn[];
  readonly names: readonly string[] | null;
  readonly unsigned: readonly boolean[];
  /** Collation id by column; 0 where the log says none. */
  readonly collations: readonly number[];
  /** Raw bytes of ENUM and SET labels by column. */
  readonly labels: readonly (readonly Buffer[])[];
  readonly geometryTypes: readonly number[];
  readonly primaryKey: readonly number[];
}

/** In front of the body of a table map and of a rows event. */
export const TABLE_ID_BYTES = 6;

export function readTableId({ bytes, body }: EventBytes): number {
  return bytes.readUIntLE(body, TABLE_ID_BYTES);
}

/** The names alone, which decide whether the rest is worth reading. */
export function readTableName({ bytes, body }: EventBytes): { database: string; table: string; next: number } {
  const databaseLength = bytes.readUInt8(body + 8);
  const database = body + 9;
  const tableLength = bytes.readUInt8(database + databaseLength + 1);
  const table = database + databaseLength + 2;
  return {
    database: bytes.toString('utf8', database, database + databaseLength),
    table: bytes.toString('utf8', table, table + tableLength),
    next: table + tableLength + 1,
  };
}

/**
 * Layout: table id 6, flags 2, database and table name, column count, types, metadata, NULL bits, optional metadata
 * (MySQL source, `libs/mysql/binlog/event/rows_event.h`, Table_map_event).
 */
export function parseTableMap(event: EventBytes, kind: ServerKind): TableMap {
  const { database, table, next } = readTableName(event);
  const cursor = new FieldCursor(event.bytes, next);
  const count = cursor.encoded();
  const types = cursor.slice(count);
  cursor.encoded();
  const columns = Array.from(types, (type) => checkedColumn(type, cursor));
  cursor.at += (count + 7) >> 3;
  const optional = readOptionalMetadata(columns, cursor, event.end, kind);
  return { tableId: readTableId(event), database, table, columns, ...optional };
}

const NOTHING = { size: 0, maxLength: 0, precision: 0, scale: 0 };

/** MySQL allows 30. */
const MOST_DECIMALS_OF_MARIADB = 38;

/** Whether a server can have written such a column; the generated code of layouts relies on it. */
function isSane({ type, size, maxLength, precision, scale }: PhysicalColumn): boolean {
  switch (type) {
    case ColumnType.newDecimal:
      return precision >= 1 && precision <= 65 && scale <= Math.min(MOST_DECIMALS_OF_MARIADB, precision);
    case ColumnType.bit:
      return maxLength >= 1 && maxLength <= 64;
    case ColumnType.enum:
      return size === 1 || size === 2;
    case ColumnType.set:
      return size >= 1 && size <= 8;
    case ColumnType.tinyBlob:
    case ColumnType.mediumBlob:
    case ColumnType.longBlob:
    case ColumnType.blob:
    case ColumnType.geometry:
    case ColumnType.json:
    case ColumnType.vector:
      return size >= 1 && size <= 4;
    default:
      return scale <= 6;
  }
}

function checkedColumn(type: number, cursor: FieldCursor): PhysicalColumn {
  const column = readPhysicalColumn(type, cursor);
  if (!isSane(column)) throw new RangeError(`a column of type ${type} with metadata that it can't have`);
  return column;
}

function readPhysicalColumn(type: number, cursor: FieldCursor): PhysicalColumn {
  switch (type) {
    case ColumnType.float:
    case ColumnType.double:
      return { ...NOTHING, type, size: cursor.byte() };
    case ColumnType.varchar:
    case ColumnType.varcharCompressed: {
      const maxLength = cursor.byte() + cursor.byte() * 256;
      return { ...NOTHING, type, size: maxLength > 255 ? 2 : 1, maxLength };
    }
    case ColumnType.bit: {
      const bits = cursor.byte() + cursor.byte() * 8;
      return { ...NOTHING, type, size: (bits + 7) >> 3, maxLength: bits };
    }
    case ColumnType.newDecimal:
      return { ...NOTHING, type, precision: cursor.byte(), scale: cursor.byte() };
    case ColumnType.blob:
    case ColumnType.blobCompressed:
    case ColumnType.tinyBlob:
    case ColumnType.mediumBlob:
    case ColumnType.longBlob:
    case ColumnType.geometry:
    case ColumnType.json:
    case ColumnType.vector:
      return { ...NOTHING, type, size: cursor.byte() };
    case ColumnType.string:
    case ColumnType.varString:
    case ColumnType.enum:
    case ColumnType.set:
      return readStringColumn(cursor.byte(), cursor.byte());
    case ColumnType.timestamp2:
    case ColumnType.datetime2:
    case ColumnType.time2:
      return { ...NOTHING, type, scale: cursor.byte() };
    default:
      return { ...NOTHING, type };
  }
}

/** CHAR and BINARY hide bits 8 and 9 of their length in the real type; ENUM and SET give their size. */
function readStringColumn(first: number, second: number): PhysicalColumn {
  if ((first & 0x30) !== 0x30) {
    const maxLength = second | (((first & 0x30) ^ 0x30) << 4);
    return { ...NOTHING, type: first | 0x30, size: maxLength > 255 ? 2 : 1, maxLength };
  }
  if (first === ColumnType.enum || first === ColumnType.set) return { ...NOTHING, type: first, size: second };
  return { ...NOTHING, type: first, size: 1, maxLength: second };
}

const Field = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  columnName: 4,
  setLabels: 5,
  enumLabels: 6,
  geometryType: 7,
  simplePrimaryKey: 8,
  primaryKeyWithPrefix: 9,
  enumAndSetDefaultCharset: 10,
  enumAndSetColumnCharset: 11,
} as const;

const NUMERIC = new Set<number>([
  0,
  ColumnType.tiny,
  ColumnType.short,
  ColumnType.int24,
  ColumnType.long,
  ColumnType.longlong,
  ColumnType.newDecimal,
  ColumnType.float,
  ColumnType.double,
  ColumnType.year,
]);
const CHARACTER = new Set<number>([
  ColumnType.string,
  ColumnType.varString,
  ColumnType.varchar,
  ColumnType.blob,
  ColumnType.tinyBlob,
  ColumnType.mediumBlob,
  ColumnType.longBlob,
  ColumnType.vector,
  ColumnType.blobCompressed,
  ColumnType.varcharCompressed,
]);

type OptionalMetadata = Pick<TableMap, 'names' | 'unsigned' | 'collations' | 'labels' | 'geometryTypes' | 'primaryKey'>;

function indexesWhere(columns: readonly PhysicalColumn[], test: (type: number) => boolean): number[] {
  return columns.flatMap((column, index) => (test(column.type) ? [index] : []));
}

/** Type, length, value; the value lists cover the columns of a class in table order (MySQL source, sql/log_event.cc). */
function readOptionalMetadata(
  columns: readonly PhysicalColumn[],
  cursor: FieldCursor,
  end: number,
  kind: ServerKind,
): OptionalMetadata {
  const numeric = indexesWhere(columns, (type) => NUMERIC.has(type));
  // MariaDB lists a collation for geometries too (`Field_geom::binlog_type_info` in `sql/sql_type_geom.cc`)
  const isListed = (type: number): boolean => kind === 'mariadb' && type === ColumnType.geometry;
  const character = indexesWhere(columns, (type) => CHARACTER.has(type) || isListed(type));
  const enums = indexesWhere(columns, (type) => type === ColumnType.enum);
  const sets = indexesWhere(columns, (type) => type === ColumnType.set);
  const labelled = indexesWhere(columns, (type) => type === ColumnType.enum || type === ColumnType.set);
  const geometries = indexesWhere(columns, (type) => type === ColumnType.geometry);

  let names: string[] | null = null;
  const unsigned = columns.map(() => false);
  const collations = columns.map(() => 0);
  const labels: (readonly Buffer[])[] = columns.map(() => []);
  const geometryTypes = columns.map(() => 0);
  let primaryKey: number[] = [];

  while (cursor.at < end) {
    const field = cursor.byte();
    const length = cursor.encoded();
    const fieldEnd = cursor.at + length;
    if (fieldEnd > end) throw new RangeError('the metadata of a table map is cut off');
    switch (field) {
      case Field.signedness:
        numeric.forEach((column, i) => {
          unsigned[column] = (cursor.bytes.readUInt8(cursor.at + (i >> 3)) & (0x80 >> (i & 7))) !== 0;
        });
        break;
      case Field.defaultCharset:
        readDefaultCharset(cursor, fieldEnd, character, collations);
        break;
      case Field.enumAndSetDefaultCharset:
        readDefaultCharset(cursor, fieldEnd, labelled, collations);
        break;
      case Field.columnCharset:
        readEach(cursor, fieldEnd, character, collations);
        break;
      case Field.enumAndSetColumnCharset:
        readEach(cursor, fieldEnd, labelled, collations);
        break;
      case Field.geometryType:
        readEach(cursor, fieldEnd, geometries, geometryTypes);
        break;
      case Field.columnName:
        names = [];
        while (cursor.at < fieldEnd) names.push(cursor.slice(cursor.encoded()).toString('utf8'));
        break;
      case Field.setLabels:
        readLabels(cursor, fieldEnd, sets, labels);
        break;
      case Field.enumLabels:
        readLabels(cursor, fieldEnd, enums, labels);
        break;
      case Field.simplePrimaryKey:
        primaryKey = [];
        while (cursor.at < fieldEnd) primaryKey.push(cursor.encoded());
        break;
      case Field.primaryKeyWithPrefix:
        primaryKey = [];
        while (cursor.at < fieldEnd) {
          primaryKey.push(cursor.encoded());
          cursor.encoded();
        }
        break;
    }
    cursor.at = fieldEnd;
  }
  if (primaryKey.some((index) => index >= columns.length)) throw new RangeError('a key column that is not there');
  return { names, unsigned, collations, labels, geometryTypes, primaryKey };
}

/** The default collation, then pairs of index among `indexes` and collation for those that differ. */
function readDefaultCharset(cursor: FieldCursor, end: number, indexes: readonly number[], target: number[]): void {
  const standard = cursor.encoded();
  for (const column of indexes) target[column] = standard;
  while (cursor.at < end) {
    const column = indexes[cursor.encoded()];
    const collation = cursor.encoded();
    if (column !== undefined) target[column] = collation;
  }
}

function readEach(cursor: FieldCursor, end: number, indexes: readonly number[], target: number[]): void {
  for (const column of indexes) {
    if (cursor.at >= end) return;
    target[column] = cursor.encoded();
  }
}

function readLabels(cursor: FieldCursor, end: number, indexes: readonly number[], target: (readonly Buffer[])[]): void {
  for (const column of indexes) {
    if (cursor.at >= end) return;
    const count = cursor.encoded();
    // each label has at least its length
    if (count > end - cursor.at) throw new RangeError('the labels of a table map are cut off');
    target[column] = Array.from({ length: count }, () => cursor.slice(cursor.encoded()));
  }
}
