import { type RowDataPacket } from 'mysql2';
import { type Column, tableKey, type TableLayout, type TableName } from '#change-events';
import { type MySqlSession } from '../mysql-session.ts';
import { type ServerKind } from '../server-kind.ts';
import { readKeyColumns } from './catalogue-keys.ts';
import { isAmong } from './catalogue-scope.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { type ColumnRules } from './column-choice.ts';
import { makeColumn } from './column-types.ts';
import { isHiddenName } from './hidden-columns.ts';
import { type DescribedColumn, type DescribedTable, judgeTable } from './table-judgement.ts';

interface ColumnRow extends RowDataPacket {
  readonly db: string;
  readonly tbl: string;
  readonly name: string;
  readonly type: string;
  readonly columnType: string;
  readonly length: number | string | null;
  readonly prec: number | null;
  readonly scale: number | null;
  readonly digits: number | null;
  readonly charset: string | null;
}
interface NameRow extends RowDataPacket {
  readonly db: string;
  readonly tbl: string;
}
interface CountRow extends RowDataPacket {
  readonly tbl: string;
  readonly count: number | string | null;
}
interface TableRow extends NameRow {
  readonly kind: string;
  readonly engine: string | null;
}

/** A table as the catalogue shows it; columns of types without a canonical form are named, not dropped. */
export interface CatalogueTable {
  readonly database: string;
  readonly table: string;
  readonly engine: string;
  /** All columns that the user may see, the excluded ones too. */
  readonly columns: readonly string[];
  /** Those of them that are replicated. */
  readonly selected: readonly string[];
  /** Null when `unsupported` or `needed` is not empty. */
  readonly layout: TableLayout | null;
  readonly unsupported: readonly string[];
  /** Excluded columns without which the table has no key or no column. */
  readonly needed: readonly string[];
}

/** What tables are judged by; see `judgeTable`. */
export interface Judging {
  readonly rules: ColumnRules;
  readonly facts: CharacterSetFacts | null;
}

/** Their tables have no rows in the log. */
const VIRTUAL_DATABASES = ['information_schema', 'performance_schema'];

/**
 * Base tables (MariaDB's with system versioning too) that `includes` says yes to, by name, with their layouts as of now.
 * Of all other tables only the names are read.
 */
export async function readCatalogue(
  session: MySqlSession,
  includes: (database: string, table: string) => boolean,
  judging: Judging,
): Promise<CatalogueTable[]> {
  const names = await readTableNames(session);
  const result: CatalogueTable[] = [];
  for (const [database, all] of Map.groupBy(names, ({ db }) => db)) {
    const included = all.filter(({ tbl }) => includes(database, tbl)).map(({ tbl }) => tbl);
    if (included.length === 0) continue;
    result.push(...(await readDatabase(session, database, included.length === all.length ? null : included, judging)));
  }
  return result;
}

/** Those of these tables that exist. */
export async function readCatalogueTables(
  session: MySqlSession,
  tables: readonly TableName[],
  judging: Judging,
): Promise<CatalogueTable[]> {
  const result: CatalogueTable[] = [];
  for (const [database, ofDatabase] of Map.groupBy(tables, (table) => table.database)) {
    const names = new Set(ofDatabase.map(({ table }) => table));
    result.push(...(await readDatabase(session, database, [...names], judging)));
  }
  return result;
}

/** How many rows the server thinks that each table has, in their order; 0 for one that does not exist. */
export async function readRowCounts(session: MySqlSession, tables: readonly TableName[]): Promise<readonly number[]> {
  const counts = new Map<string, number>();
  for (const [database, ofDatabase] of Map.groupBy(tables, (table) => table.database)) {
    const { where, values } = isAmong(
      database,
      ofDatabase.map(({ table }) => table),
    );
    const rows = await session.query<CountRow>(
      `SELECT TABLE_NAME AS tbl, TABLE_ROWS AS count FROM information_schema.TABLES WHERE ${where}`,
      values,
    );
    for (const { tbl, count } of rows) counts.set(tableKey({ database, table: tbl }), Number(count ?? 0));
  }
  return tables.map((table) => counts.get(tableKey(table)) ?? 0);
}

/** Without a condition: to look at the type of a table a server may have to open it. */
async function readTableNames(session: MySqlSession): Promise<readonly NameRow[]> {
  const names = await session.query<NameRow>(
    'SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tbl FROM information_schema.TABLES ORDER BY TABLE_SCHEMA, TABLE_NAME',
  );
  return names.filter(({ db }) => !VIRTUAL_DATABASES.includes(db.toLowerCase()));
}

/** @param tables some of the database; all of them when null */
async function readDatabase(
  session: MySqlSession,
  database: string,
  tables: readonly string[] | null,
  judging: Judging,
): Promise<CatalogueTable[]> {
  const { where, values } = isAmong(database, tables);
  const found = await session.query<TableRow>(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tbl, TABLE_TYPE AS kind, ENGINE AS engine FROM information_schema.TABLES
     WHERE ${where} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_NAME`,
    values,
  );
  const columns = await session.query<ColumnRow>(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tbl, COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS columnType,
            CHARACTER_MAXIMUM_LENGTH AS length, NUMERIC_PRECISION AS prec, NUMERIC_SCALE AS scale,
            DATETIME_PRECISION AS digits, CHARACTER_SET_NAME AS charset
     FROM information_schema.COLUMNS WHERE ${where} ORDER BY TABLE_NAME, ORDINAL_POSITION`,
    values,
  );
  const keyColumns = await readKeyColumns(session, database, tables);
  const byTable = Map.groupBy(columns, ({ tbl }) => tbl);
  const wanted = tables === null ? null : new Set(tables);
  return found.flatMap((table) => {
    if (wanted?.has(table.tbl) === false) return [];
    const rows = byTable.get(table.tbl) ?? [];
    if (rows.length === 0) return []; // dropped between the queries
    return [catalogueTable(table, rows, keyColumns.get(table.tbl) ?? [], judging, session.kind)];
  });
}

function catalogueTable(
  { db: database, tbl: table, kind: tableKind, engine }: TableRow,
  rows: readonly ColumnRow[],
  keyColumns: readonly string[],
  { rules, facts }: Judging,
  kind: ServerKind,
): CatalogueTable {
  const names = rows.map(({ name }) => name);
  const described: DescribedTable = {
    database,
    table,
    columns: rows.map((row) => (kind === 'mariadb' ? describeOnMariaDb(row) : describe(row, catalogueColumn(row)))),
    key: keyColumns.map((name) => names.indexOf(name)),
    // its log has rows and key columns that the catalogue does not show
    isVersioned: tableKind === 'SYSTEM VERSIONED',
  };
  const { places, unsupported, needed, layout } = judgeTable(described, rules, facts);
  const selected = names.filter((_, i) => places[i] !== -1);
  return { database, table, engine: engine ?? '', columns: names, selected, unsupported, needed, layout };
}

function describe({ name, columnType }: ColumnRow, column: Column | null, more = ''): DescribedColumn {
  return { name, column, what: columnType + more };
}

/** `decimal(9,2) unsigned` without `(9,2)`; a label of an ENUM may hold any word. */
function withoutParentheses(columnType: string): string {
  const open = columnType.indexOf('(');
  return open < 0 ? columnType : columnType.slice(0, open) + columnType.slice(columnType.lastIndexOf(')') + 1);
}

function catalogueColumn(row: ColumnRow): Column | null {
  const { name, type } = row;
  const isBit = type === 'bit';
  return makeColumn({
    name,
    type,
    unsigned: /\bunsigned\b/.test(withoutParentheses(row.columnType)),
    precision: row.prec ?? 0,
    scale: type === 'decimal' ? (row.scale ?? 0) : (row.digits ?? 0),
    length: isBit ? (row.prec ?? 0) : Number(row.length ?? 0),
    charset: row.charset,
    labels: type === 'enum' || type === 'set' ? parseLabels(row.columnType) : [],
  });
}

/**
 * Of no form is also what the log holds in another form than it says: INET4, INET6, UUID and VECTOR come as BINARY and
 * VARBINARY there, in an order of bytes of their own, compressed columns compressed, and times of the format before
 * MySQL 5.6 (`mysql56_temporal_format=OFF`) without their digits; and a column that looks in the log like one that
 * the server hides.
 */
function describeOnMariaDb(row: ColumnRow): DescribedColumn {
  const { name, type, columnType } = row;
  if (type === 'bigint' && columnType.includes('unsigned') && isHiddenName(name))
    return describe(row, null, ', with a name that MariaDB gives to hidden columns');
  if (type === 'vector' || columnType.includes('COMPRESSED*/') || columnType.includes('/* mariadb-5.3 */'))
    return describe(row, null);
  return describe(row, catalogueColumn(type === 'geometrycollection' ? { ...row, type: 'geomcollection' } : row));
}

const ESCAPES: Readonly<Record<string, string>> = { '0': '\0', n: '\n', r: '\r', '\\': '\\' };

/** The labels of `enum('a','b''c')`; the server doubles quotes and writes \\0, \\n, \\r and \\\\ with a backslash. */
export function parseLabels(columnType: string): string[] {
  const labels: string[] = [];
  const pattern = /[^']*'((?:[^'\\]|''|\\.)*)'/gsy; // sticky: a text without an end is looked through once
  for (const match of columnType.matchAll(pattern)) {
    const raw = match[1] ?? '';
    labels.push(
      raw.replace(/''|\\(.)/gs, (escape, character: string) =>
        escape === "''" ? "'" : (ESCAPES[character] ?? escape),
      ),
    );
  }
  return labels;
}
