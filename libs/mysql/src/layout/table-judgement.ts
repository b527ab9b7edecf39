import { type Column, formatTableName, type TableLayout, type TableName } from '#change-events';
import { type CheckFinding, DittoError, findError, RESYNC } from '#kernel';
import { quoteTable } from '../reader/quoting.ts';
import { textDecoder, type CharacterSetFacts } from '../values/charset.ts';
import { chooseColumns, keyPlaces, neededColumnsError, type ColumnRules } from './column-choice.ts';
import { makeLayout, MYSQL_TYPES } from './column-types.ts';

export interface DescribedColumn {
  readonly name: string;
  /** Null when Ditto has no canonical form for it. */
  readonly column: Column | null;
  /** What it is, for the reader of an error. */
  readonly what: string;
}

/** A table as the catalogue shows it, or as the log does. */
export interface DescribedTable extends TableName {
  /** Without those that the server hides. */
  readonly columns: readonly DescribedColumn[];
  /** Of the key that the server says, as indexes of `columns` in key order. */
  readonly key: readonly number[];
  /** Whether the rows of the history are among the others. */
  readonly isVersioned: boolean;
}

/** What becomes of a table. */
export interface TableJudgement {
  /** By column: its index in the layout, -1 where it is excluded. */
  readonly places: readonly number[];
  /** The key's columns in key order, as indexes of the table's columns. */
  readonly key: readonly number[];
  /** Replicated columns that can't be decoded exactly, each with what it is. */
  readonly unsupported: readonly string[];
  /** Excluded columns without which the table has no key or no column. */
  readonly needed: readonly string[];
  /** Null when one of the two is not empty. */
  readonly layout: TableLayout | null;
}

/** What is unsupported of a table that keeps its history. */
export const VERSIONING = 'row_end (WITH SYSTEM VERSIONING)';

/**
 * Decides whether a table can be replicated, and with which columns and key. Everything that brings a table passes here,
 * so that what the start refuses is refused in the log too, with the same code.
 *
 * @param facts null where only the key is asked for
 */
export function judgeTable(table: DescribedTable, rules: ColumnRules, facts: CharacterSetFacts | null): TableJudgement {
  const { database, columns } = table;
  const choice = chooseColumns(
    rules,
    table,
    columns.map(({ name }) => name),
    table.key,
  );
  const { places, key, needed } = choice;
  const replicated = columns.filter((_, i) => places[i] !== -1);
  const unsupported = [...replicated.flatMap((one) => whyNot(one, facts) ?? []), ...findUnfitKeys(columns, key)];
  if (table.isVersioned) unsupported.push(VERSIONING);
  const judged = { places, key, unsupported, needed };
  if (unsupported.length > 0 || needed.length > 0) return { ...judged, layout: null };
  const made = replicated.flatMap(({ column }) => column ?? []);
  return { ...judged, layout: makeLayout(database, table.table, made, keyPlaces(choice)) };
}

const IN_KEY = 'as a column of the key';

function findUnfitKeys(columns: readonly DescribedColumn[], key: readonly number[]): string[] {
  return key.flatMap((index) => {
    const { name = '', column = null } = columns[index] ?? {};
    return column !== null && !MYSQL_TYPES[column.kind].canBeKey ? [`${name} (${column.type} ${IN_KEY})`] : [];
  });
}

function whyNot({ name, column, what }: DescribedColumn, facts: CharacterSetFacts | null): string | null {
  if (column === null) return `${name} (${what})`;
  const { charset } = column;
  return facts !== null && !canDecode(charset, facts) ? `${name} (CHARACTER SET ${charset ?? '?'})` : null;
}

function canDecode(charset: string | null, facts: CharacterSetFacts): boolean {
  return charset === null || charset === 'binary' || textDecoder(charset, facts, false) !== null;
}

/** What is wrong with a table for an entry of `unsupported`. */
export function unsupportedProblem(table: TableName, column: string): CheckFinding {
  return findError(
    'DITTO_SOURCE_COLUMN_UNSUPPORTED',
    `${formatTableName(table)}.${column} ${column.includes(IN_KEY) ? 'can name no row' : "can't be decoded exactly"}`,
    unsupportedRemedy(column, quoteTable(table.database, table.table)),
  );
}

/** Rows that the log holds already stay as they are: a source that was read before can only continue after them. */
const THEN_RESYNC = `then, if it was read before, ${RESYNC}`;

function unsupportedRemedy(column: string, table: string): string {
  if (column.includes(IN_KEY))
    return 'Name other unique not-null columns of the table under `keys`, or exclude the table.';
  if (column.includes('SYSTEM VERSIONING'))
    return `Exclude the table and restart the source; or ALTER TABLE ${table} DROP SYSTEM VERSIONING; ${THEN_RESYNC}.`;
  return `Exclude the column or the table and restart the source; or ${changeOf(column, table)}; ${THEN_RESYNC}.`;
}

function changeOf(column: string, table: string): string {
  if (column.includes('/* mariadb-5.3 */'))
    return `SET GLOBAL mysql56_temporal_format = ON; ALTER TABLE ${table} FORCE`;
  if (column.includes('CHARACTER SET')) return `ALTER TABLE ${table} CONVERT TO CHARACTER SET utf8mb4`;
  if (column.includes('hidden columns')) return 'give the column another name';
  return 'change the column to a type that docs/types.md lists';
}

/** The error for a table without a layout. Not retriable. */
export function refusal(
  table: TableName,
  { unsupported, needed }: Pick<TableJudgement, 'unsupported' | 'needed'>,
): DittoError {
  const { database } = table;
  const [first] = unsupported;
  if (first === undefined) return neededColumnsError(needed.map((name) => `${database}.${table.table}.${name}`));
  const problems = unsupported.map((column) => unsupportedProblem(table, column));
  const { code, remedy } = unsupportedProblem(table, first);
  return new DittoError(code, problems.map(({ message }) => message).join('; '), {
    remedy,
    context: { database, table: table.table, columns: unsupported },
  });
}

/** The layouts of tables that are all to be replicated. Throws what is wrong with those that can't be. */
export function layoutsOf(
  tables: readonly (TableName & Pick<TableJudgement, 'layout' | 'unsupported' | 'needed'>)[],
): readonly TableLayout[] {
  const needed = tables.flatMap(({ database, table, needed: names }) =>
    names.map((name) => `${database}.${table}.${name}`),
  );
  if (needed.length > 0) throw neededColumnsError(needed);
  return tables.map((table) => {
    if (table.layout === null) throw refusal(table, table);
    return table.layout;
  });
}
