import { type Column, type TableLayout } from '#change-events';
import { DittoError, RESYNC } from '#kernel';
import { type TableMap } from '../binlog/table-map.ts';
import { textDecoder, UndecodableTextError, type CharacterSetFacts, type TextDecode } from '../values/charset.ts';
import { type ServerKind } from '../server-kind.ts';
import { type ColumnRules } from './column-choice.ts';
import { makeColumn, type ColumnDescription } from './column-types.ts';
import { countVisible } from './hidden-columns.ts';
import { type DescribedColumn, judgeTable, refusal } from './table-judgement.ts';
import { ColumnType, type PhysicalColumn, typeName, valueBytes } from './wire-types.ts';

const BINARY_COLLATION = 63;

/** A column as it lies in the log's row images, and as Ditto holds it. */
export interface DecodableColumn {
  readonly physical: PhysicalColumn;
  readonly column: Column;
  /** Decodes the bytes of a text column; null for the others. */
  readonly decodeText: TextDecode | null;
}

/** A column that is excluded, or that the server hides: its values lie in the row images and are passed over. */
export interface SkippedColumn {
  readonly physical: PhysicalColumn;
  readonly column: null;
  readonly decodeText: null;
}

export type ImageColumn = DecodableColumn | SkippedColumn;

export interface StreamLayout {
  /** Without excluded and hidden columns. */
  readonly layout: TableLayout;
  /** All columns of the row images. */
  readonly columns: readonly ImageColumn[];
  /** The key's columns in key order, as indexes of `columns`. */
  readonly key: readonly number[];
}

export function isDecodable(column: ImageColumn): column is DecodableColumn {
  return column.column !== null;
}

/**
 * The layout that a table map's own metadata gives. Columns that the server hides are passed over as excluded ones are.
 * Throws `DITTO_SOURCE_METADATA_MINIMAL` without FULL metadata, `DITTO_SOURCE_COLUMN_UNSUPPORTED` for columns that can't be
 * decoded exactly, `DITTO_SOURCE_COLUMN_NEEDED` for excluded columns of the key; all name the table.
 */
export function streamLayout(
  map: TableMap,
  { facts, rules, kind }: { readonly facts: CharacterSetFacts; readonly rules: ColumnRules; readonly kind: ServerKind },
): StreamLayout {
  const { names, database, table } = map;
  if (names?.length !== map.columns.length) throw metadataMinimal(map);
  const visible = countVisible({ ...map, names }, kind);
  const described = map.columns
    .slice(0, visible)
    .map((physical, index) =>
      rules.columns(database, table, names[index] ?? '')
        ? describeColumn(map, index, physical, names[index] ?? '', facts)
        : { name: names[index] ?? '', column: null, what: '' },
    );
  // the log itself does not say whether it holds rows of the history: the catalogue is asked at each statement
  const judgement = judgeTable(
    { database, table, columns: described, key: map.primaryKey, isVersioned: false },
    rules,
    facts,
  );
  const { layout, places, key } = judgement;
  if (layout === null) throw refusal(map, judgement);
  const columns = map.columns.map((physical, index) => {
    const column = (places[index] ?? -1) === -1 ? null : (described[index]?.column ?? null);
    if (column !== null) return decodableColumn(physical, column, facts, key.includes(index));
    // whatever its type, as long as the end of its values can be found
    if (valueBytes(physical) === null)
      throw refusal(map, { needed: [], unsupported: [`${names[index] ?? ''} (type code ${physical.type})`] });
    return { physical, column, decodeText: null };
  });
  return { layout, columns, key };
}

function metadataMinimal({ database, table }: TableMap): DittoError {
  return new DittoError('DITTO_SOURCE_METADATA_MINIMAL', `the log has no column names for ${database}.${table}`, {
    remedy: `SET PERSIST binlog_row_metadata = FULL; then ${RESYNC}.`,
    context: { database, table },
  });
}

function decodableColumn(
  physical: PhysicalColumn,
  column: Column,
  facts: CharacterSetFacts,
  isKey: boolean,
): DecodableColumn {
  const { kind, charset } = column;
  const decodeText = kind === 'text' && charset !== null ? textDecoder(charset, facts, isKey) : null;
  return { physical, column, decodeText };
}

function describeColumn(
  map: TableMap,
  index: number,
  physical: PhysicalColumn,
  name: string,
  facts: CharacterSetFacts,
): DescribedColumn {
  const collation = map.collations[index] ?? 0;
  const isBinary = collation === BINARY_COLLATION;
  const type = typeName({ physical, isBinary, geometryType: map.geometryTypes[index] ?? 0 });
  if (type === null) return { name, column: null, what: `type code ${physical.type}` };
  const charset = collation === 0 || isBinary ? null : (facts.charsetOfCollation.get(collation) ?? null);
  if (charset === null && collation !== 0 && !isBinary)
    return { name, column: null, what: `CHARACTER SET of collation ${collation}` };
  const labels = decodeLabels(map.labels[index] ?? [], isBinary ? 'binary' : charset, facts);
  if (labels === null) return { name, column: null, what: `CHARACTER SET ${charset ?? '?'}` };
  const description: ColumnDescription = {
    name,
    type,
    unsigned: map.unsigned[index] ?? false,
    precision: physical.precision,
    scale: physical.scale,
    length: declaredLength(physical, charset, facts),
    charset: charset ?? (isBinary ? 'binary' : null),
    labels,
  };
  const column = makeColumn(description);
  if (column?.kind === 'text' && charset === null) return { name, column: null, what: 'CHARACTER SET ?' };
  return { name, column, what: `type ${type}` };
}

/** The log gives bytes; the declaration counts characters. */
function declaredLength(physical: PhysicalColumn, charset: string | null, facts: CharacterSetFacts): number {
  if (charset === null || physical.type === ColumnType.bit) return physical.maxLength;
  return Math.floor(physical.maxLength / (facts.maxLength.get(charset) ?? 1));
}

/** Null when their character set can't be decoded, or one of them not in it. */
function decodeLabels(
  raw: readonly Buffer[],
  charset: string | null,
  facts: CharacterSetFacts,
): readonly string[] | null {
  if (raw.length === 0) return [];
  if (charset === 'binary') return raw.map((label) => label.toString('latin1'));
  const decode = charset === null ? null : textDecoder(charset, facts, false);
  if (decode === null) return null;
  try {
    return raw.map((label) => decode(label, 0, label.length));
  } catch (error) {
    if (!(error instanceof UndecodableTextError)) throw error;
    return null;
  }
}
