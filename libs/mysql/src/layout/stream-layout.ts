import { type Column, type TableLayout } from '#change-events';
import { DittoError } from '#kernel';
import { type PhysicalColumn, type TableMap } from '../binlog/table-map.ts';
import { valueBytes } from '../codec/value-layout.ts';
import { textDecoder, UndecodableTextError, type CharacterSetFacts, type TextDecode } from '../values/charset.ts';
import { chooseColumns, keyPlaces, neededColumnsError, type ColumnRules } from './column-choice.ts';
import { ColumnType, makeColumn, makeLayout, type ColumnDescription } from './column-types.ts';

const BINARY_COLLATION = 63;

/** A column as it lies in the log's row images, and as Ditto holds it. */
export interface DecodableColumn {
  readonly physical: PhysicalColumn;
  readonly column: Column;
  /** Decodes the bytes of a text column; null for the others. */
  readonly decodeText: TextDecode | null;
}

/** An excluded column: its values lie in the row images and are passed over. */
export interface SkippedColumn {
  readonly physical: PhysicalColumn;
  readonly column: null;
  readonly decodeText: null;
}

export type ImageColumn = DecodableColumn | SkippedColumn;

export interface StreamLayout {
  /** Without excluded columns. */
  readonly layout: TableLayout;
  /** All columns of the row images. */
  readonly columns: readonly ImageColumn[];
  /** The key's columns in key order, as indexes of `columns`. */
  readonly key: readonly number[];
}

export function isDecodable(column: ImageColumn): column is DecodableColumn {
  return column.column !== null;
}

const INTEGER_TYPES: Readonly<Record<number, string>> = {
  [ColumnType.tiny]: 'tinyint',
  [ColumnType.short]: 'smallint',
  [ColumnType.int24]: 'mediumint',
  [ColumnType.long]: 'int',
  [ColumnType.longlong]: 'bigint',
  [ColumnType.float]: 'float',
  [ColumnType.double]: 'double',
  [ColumnType.newDecimal]: 'decimal',
  [ColumnType.year]: 'year',
  [ColumnType.date]: 'date',
  [ColumnType.time2]: 'time',
  [ColumnType.datetime2]: 'datetime',
  [ColumnType.timestamp2]: 'timestamp',
  [ColumnType.bit]: 'bit',
  [ColumnType.enum]: 'enum',
  [ColumnType.set]: 'set',
  [ColumnType.json]: 'json',
  [ColumnType.vector]: 'vector',
};
const BLOB_TYPES: Readonly<Record<number, readonly [binary: string, text: string]>> = {
  1: ['tinyblob', 'tinytext'],
  2: ['blob', 'text'],
  3: ['mediumblob', 'mediumtext'],
  4: ['longblob', 'longtext'],
};
/** Field_geom::geometry_type. */
const GEOMETRY_TYPES = [
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geomcollection',
];

function typeName(map: TableMap, index: number, physical: PhysicalColumn): string | null {
  const binary = map.collations[index] === BINARY_COLLATION;
  switch (physical.type) {
    case ColumnType.string:
      return binary ? 'binary' : 'char';
    case ColumnType.varchar:
    case ColumnType.varString:
      return binary ? 'varbinary' : 'varchar';
    case ColumnType.blob:
      return BLOB_TYPES[physical.size]?.[binary ? 0 : 1] ?? null;
    case ColumnType.geometry:
      return GEOMETRY_TYPES[map.geometryTypes[index] ?? 0] ?? null;
    default:
      return INTEGER_TYPES[physical.type] ?? null;
  }
}

/**
 * The layout that a table map's own metadata tells.
 * Throws `DITTO_SOURCE_METADATA_MINIMAL` without FULL metadata, `DITTO_SOURCE_COLUMN_UNSUPPORTED` for a column that can't be
 * decoded exactly, `DITTO_SOURCE_COLUMN_NEEDED` for an excluded column of the key; all name the table.
 */
export function streamLayout(map: TableMap, facts: CharacterSetFacts, rules: ColumnRules): StreamLayout {
  const { names } = map;
  if (names?.length !== map.columns.length) {
    throw new DittoError(
      'DITTO_SOURCE_METADATA_MINIMAL',
      `the log has no column names for ${map.database}.${map.table}`,
      {
        remedy:
          'SET PERSIST binlog_row_metadata = FULL; then resync the source (npm run ditto -- resync --source <name>).',
        context: { database: map.database, table: map.table },
      },
    );
  }
  const choice = chooseColumns(rules, map, names, map.primaryKey);
  const { places, key, needed } = choice;
  if (needed.length > 0) throw neededColumnsError(needed.map((name) => `${map.database}.${map.table}.${name}`));
  const columns = map.columns.map((physical, index) =>
    places[index] === -1
      ? skippedColumn(map, physical, names[index] ?? '')
      : decodableColumn(map, index, physical, names[index] ?? '', facts, key.includes(index)),
  );
  const replicated = columns.filter(isDecodable).map(({ column }) => column);
  return { layout: makeLayout(map.database, map.table, replicated, keyPlaces(choice)), columns, key };
}

/** Whatever its type, as long as the end of its values can be found. */
function skippedColumn(map: TableMap, physical: PhysicalColumn, name: string): SkippedColumn {
  if (valueBytes(physical) === null) throw unsupported(map, name, `type code ${physical.type}`);
  return { physical, column: null, decodeText: null };
}

function decodableColumn(
  map: TableMap,
  index: number,
  physical: PhysicalColumn,
  name: string,
  facts: CharacterSetFacts,
  isKey: boolean,
): DecodableColumn {
  const type = typeName(map, index, physical);
  if (type === null) throw unsupported(map, name, `type code ${physical.type}`);
  const collation = map.collations[index] ?? 0;
  const charset = collation === 0 || collation === BINARY_COLLATION ? null : charsetOf(map, name, collation, facts);
  const decodeText = charset === null ? null : textDecoder(charset, facts, isKey);
  const description: ColumnDescription = {
    name,
    type,
    unsigned: map.unsigned[index] ?? false,
    precision: physical.precision,
    scale: physical.scale,
    length: declaredLength(physical, charset, facts),
    charset: charset ?? (collation === BINARY_COLLATION ? 'binary' : null),
    labels: decodeLabels(map, index, name, decodeText),
  };
  const column = makeColumn(description);
  if (column === null) throw unsupported(map, name, `type ${type}`);
  if (column.kind === 'text' && decodeText === null) throw unsupported(map, name, `character set ${charset ?? '?'}`);
  return { physical, column, decodeText: column.kind === 'text' ? decodeText : null };
}

function charsetOf(map: TableMap, name: string, collation: number, facts: CharacterSetFacts): string {
  const charset = facts.charsetOfCollation.get(collation);
  if (charset === undefined) throw unsupported(map, name, `collation ${collation}`);
  return charset;
}

/** The log gives bytes; the declaration counts characters. */
function declaredLength(physical: PhysicalColumn, charset: string | null, facts: CharacterSetFacts): number {
  if (charset === null || physical.type === ColumnType.bit) return physical.maxLength;
  return Math.floor(physical.maxLength / (facts.maxLength.get(charset) ?? 1));
}

function decodeLabels(map: TableMap, index: number, name: string, decode: TextDecode | null): readonly string[] {
  const raw = map.labels[index] ?? [];
  if (raw.length === 0) return [];
  if (map.collations[index] === BINARY_COLLATION) return raw.map((label) => label.toString('latin1'));
  if (decode === null) throw unsupported(map, name, 'the character set of its labels');
  try {
    return raw.map((label) => decode(label, 0, label.length));
  } catch (error) {
    if (!(error instanceof UndecodableTextError)) throw error;
    throw unsupported(map, name, `a label holds ${error.message}`);
  }
}

function unsupported(map: TableMap, column: string, what: string): DittoError {
  return new DittoError(
    'DITTO_SOURCE_COLUMN_UNSUPPORTED',
    `${map.database}.${map.table}.${column} can't be decoded exactly: ${what}`,
    {
      remedy: `Exclude the column or the table, or change the column to a supported type or to CHARACTER SET utf8mb4.`,
      context: { database: map.database, table: map.table, column },
    },
  );
}
