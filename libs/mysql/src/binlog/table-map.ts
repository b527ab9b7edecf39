import { listedColumns, type PhysicalColumn, readPhysicalColumn } from '../layout/wire-types.ts';
import { type ServerKind } from '../server-kind.ts';
import { type EventBytes } from './event-header.ts';
import { FieldCursor } from './field-cursor.ts';

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
  const columns = Array.from(types, (type) => readPhysicalColumn(type, cursor));
  cursor.at += (count + 7) >> 3;
  const optional = readOptionalMetadata(columns, cursor, event.end, kind);
  return { tableId: readTableId(event), database, table, columns, ...optional };
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

type OptionalMetadata = Pick<TableMap, 'names' | 'unsigned' | 'collations' | 'labels' | 'geometryTypes' | 'primaryKey'>;

/** Type, length, value; the value lists cover the columns of a class in table order (MySQL source, sql/log_event.cc). */
function readOptionalMetadata(
  columns: readonly PhysicalColumn[],
  cursor: FieldCursor,
  end: number,
  kind: ServerKind,
): OptionalMetadata {
  const numeric = listedColumns(columns, 'numeric');
  // MariaDB lists a collation for geometries too (`Field_geom::binlog_type_info` in `sql/sql_type_geom.cc`)
  const character = listedColumns(columns, 'character', ...(kind === 'mariadb' ? (['geometry'] as const) : []));
  const enums = listedColumns(columns, 'enum');
  const sets = listedColumns(columns, 'set');
  const labelled = listedColumns(columns, 'enum', 'set');
  const geometries = listedColumns(columns, 'geometry');

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
