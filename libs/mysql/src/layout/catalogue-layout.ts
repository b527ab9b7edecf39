import { type RowDataPacket } from 'mysql2';
import { type Column, type TableLayout } from '#change-events';
import { type MySqlSession } from '../mysql-session.ts';
import { type ServerKind } from '../server-kind.ts';
import { readKeyColumns } from './catalogue-keys.ts';
import { chooseColumns, keyPlaces, type ColumnRules } from './column-choice.ts';
import { makeColumn, makeLayout } from './column-types.ts';

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
interface TableRow extends RowDataPacket {
  readonly db: string;
  readonly tbl: string;
}

/** A table as the catalogue shows it; columns of types without a canonical form are named, not dropped. */
export interface CatalogueTable {
  readonly database: string;
  readonly table: string;
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

/** Their tables have no rows in the log. */
const VIRTUAL_DATABASES = ['information_schema', 'performance_schema'];

/** Base tables (MariaDB's with system versioning too) that `includes` says yes to, by name, with their layouts as of now. */
export async function readCatalogue(
  session: MySqlSession,
  includes: (database: string, table: string) => boolean,
  rules: ColumnRules,
): Promise<CatalogueTable[]> {
  const tables = await session.query<TableRow>(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tbl FROM information_schema.TABLES
     WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_SCHEMA, TABLE_NAME`,
  );
  const included = tables.filter(({ db, tbl }) => !VIRTUAL_DATABASES.includes(db.toLowerCase()) && includes(db, tbl));
  const result: CatalogueTable[] = [];
  for (const database of new Set(included.map(({ db }) => db))) {
    const names = included.flatMap(({ db, tbl }) => (db === database ? [tbl] : []));
    result.push(...(await readDatabase(session, database, names, rules)));
  }
  return result;
}

/** One table; undefined when it does not exist. */
export async function readCatalogueTable(
  session: MySqlSession,
  database: string,
  table: string,
  rules: ColumnRules,
): Promise<CatalogueTable | undefined> {
  const [found] = await readDatabase(session, database, [table], rules);
  return found;
}

async function readDatabase(
  session: MySqlSession,
  database: string,
  tables: readonly string[],
  rules: ColumnRules,
): Promise<CatalogueTable[]> {
  const oneTable = tables.length === 1;
  const where = `TABLE_SCHEMA = ?${oneTable ? ' AND TABLE_NAME = ?' : ''}`;
  const values = oneTable ? [database, tables[0] ?? ''] : [database];
  const columns = await session.query<ColumnRow>(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tbl, COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS columnType,
            CHARACTER_MAXIMUM_LENGTH AS length, NUMERIC_PRECISION AS prec, NUMERIC_SCALE AS scale,
            DATETIME_PRECISION AS digits, CHARACTER_SET_NAME AS charset
     FROM information_schema.COLUMNS WHERE ${where} ORDER BY TABLE_NAME, ORDINAL_POSITION`,
    values,
  );
  const keyColumns = await readKeyColumns(session, database, oneTable ? (tables[0] ?? '') : null);
  const versioned = await readVersioned(session, database);
  const wanted = new Set(tables);
  const byTable = Map.groupBy(columns, ({ tbl }) => tbl);
  return [...byTable].flatMap(([table, rows]) =>
    wanted.has(table)
      ? [catalogueTable(database, table, rows, keyColumns.get(table) ?? [], rules, session.kind, versioned.has(table))]
      : [],
  );
}

/** MariaDB's tables with system versioning: their log has rows and key columns that the catalogue does not show. */
async function readVersioned(session: MySqlSession, database: string): Promise<ReadonlySet<string>> {
  if (session.kind !== 'mariadb') return new Set();
  const rows = await session.query<TableRow>(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tbl FROM information_schema.TABLES
     WHERE TABLE_TYPE = 'SYSTEM VERSIONED' AND TABLE_SCHEMA = ?`,
    [database],
  );
  return new Set(rows.map(({ tbl }) => tbl));
}

function catalogueTable(
  database: string,
  table: string,
  rows: readonly ColumnRow[],
  keyColumns: readonly string[],
  rules: ColumnRules,
  kind: ServerKind,
  isVersioned: boolean,
): CatalogueTable {
  const names = rows.map(({ name }) => name);
  const choice = chooseColumns(
    rules,
    { database, table },
    names,
    keyColumns.map((name) => names.indexOf(name)),
  );
  const replicated = rows.filter((_, i) => choice.places[i] !== -1);
  const made = replicated.map((row) => (kind === 'mariadb' ? mariaDbColumn(row) : catalogueColumn(row)));
  const unsupported = replicated.flatMap((row, i) => (made[i] === null ? [`${row.name} (${row.columnType})`] : []));
  if (isVersioned) unsupported.push('row_end (WITH SYSTEM VERSIONING)');
  const { needed } = choice;
  const selected = replicated.map(({ name }) => name);
  const found = { database, table, columns: names, selected, unsupported, needed };
  if (unsupported.length > 0 || needed.length > 0) return { ...found, layout: null };
  const columns = made.filter((column) => column !== null);
  return { ...found, layout: makeLayout(database, table, columns, keyPlaces(choice)) };
}

function catalogueColumn(row: ColumnRow): Column | null {
  const { name, type } = row;
  const isBit = type === 'bit';
  return makeColumn({
    name,
    type,
    unsigned: /\bunsigned\b/.test(row.columnType.replace(/\(.*\)/s, '')),
    precision: row.prec ?? 0,
    scale: type === 'decimal' ? (row.scale ?? 0) : (row.digits ?? 0),
    length: isBit ? (row.prec ?? 0) : Number(row.length ?? 0),
    charset: row.charset,
    labels: type === 'enum' || type === 'set' ? parseLabels(row.columnType) : [],
  });
}

/**
 * Null also for what the log holds in another form than it tells: INET4, INET6, UUID and VECTOR come as BINARY and
 * VARBINARY there, in an order of bytes of their own, compressed columns compressed, and times of the format before
 * MySQL 5.6 (`mysql56_temporal_format=OFF`) without their digits.
 */
function mariaDbColumn(row: ColumnRow): Column | null {
  const { type, columnType } = row;
  if (type === 'vector' || columnType.includes('COMPRESSED*/') || columnType.includes('/* mariadb-5.3 */')) return null;
  return catalogueColumn(type === 'geometrycollection' ? { ...row, type: 'geomcollection' } : row);
}

const ESCAPES: Readonly<Record<string, string>> = { '0': '\0', n: '\n', r: '\r', '\\': '\\' };

/** The labels of `enum('a','b''c')`; the server doubles quotes and writes \\0, \\n, \\r and \\\\ with a backslash. */
export function parseLabels(columnType: string): string[] {
  const labels: string[] = [];
  const pattern = /'((?:[^'\\]|''|\\.)*)'/gs;
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
