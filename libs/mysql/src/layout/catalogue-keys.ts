import { type RowDataPacket } from 'mysql2';
import { type MySqlSession } from '../mysql-session.ts';
import { quoteTable } from '../reader/quoting.ts';
import { isAmong } from './catalogue-scope.ts';

interface UniqueKeyRow extends RowDataPacket {
  readonly tbl: string;
  readonly keyName: string;
  /** Null for an expression. */
  readonly name: string | null;
  readonly prefix: number | null;
  readonly nullable: string;
  readonly method: string;
}
interface EngineRow extends RowDataPacket {
  readonly tbl: string;
  readonly engine: string | null;
}
interface ShownKeyRow extends RowDataPacket {
  readonly Key_name: string;
}

/**
 * Names of the key columns by table, in key order: the primary key's, or those of the key that the server uses in its
 * place and writes as such into the log: the first unique key of whole columns that are NOT NULL (MySQL manual, "InnoDB
 * Clustered and Secondary Indexes"; MySQL source, `sql/dd_table_share.cc`, prepare_share).
 *
 * @param tables some of the database; all of them when null
 */
export async function readKeyColumns(
  session: MySqlSession,
  database: string,
  tables: readonly string[] | null,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { where, values } = isAmong(database, tables);
  const rows = await session.query<UniqueKeyRow>(
    `SELECT TABLE_NAME AS tbl, INDEX_NAME AS keyName, COLUMN_NAME AS name, SUB_PART AS prefix, NULLABLE AS nullable,
            INDEX_TYPE AS method
     FROM information_schema.STATISTICS
     WHERE ${where} AND NON_UNIQUE = 0
     ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`,
    values,
  );
  const hashed = await findHashed(session, database, rows);
  const result = new Map<string, readonly string[]>();
  for (const [name, ofTable] of Map.groupBy(rows, ({ tbl }) => tbl)) {
    const keys = Map.groupBy(ofTable, ({ keyName }) => keyName);
    const primary = keys.get('PRIMARY');
    const fit = [...keys]
      .filter(([, parts]) => parts.every((part) => isWholeAndNotNull(part) && !hashed.has(part)))
      .map(([keyName]) => keyName);
    const chosen = primary ?? keys.get(fit.length > 1 ? await firstOf(session, database, name, fit) : (fit[0] ?? ''));
    if (chosen !== undefined)
      result.set(
        name,
        chosen.map((part) => part.name ?? ''),
      );
  }
  return result;
}

/**
 * MariaDB's unique keys over the hash of their columns: they never serve as the primary key. A hash index of MEMORY is
 * none of them.
 */
async function findHashed(
  session: MySqlSession,
  database: string,
  rows: readonly UniqueKeyRow[],
): Promise<ReadonlySet<UniqueKeyRow>> {
  const hashed = rows.filter(({ method, keyName }) => method === 'HASH' && keyName !== 'PRIMARY');
  if (session.kind !== 'mariadb' || hashed.length === 0) return new Set();
  const tables = [...new Set(hashed.map(({ tbl }) => tbl))];
  const engines = await session.query<EngineRow>(
    `SELECT TABLE_NAME AS tbl, ENGINE AS engine FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = ? AND TABLE_NAME IN (${tables.map(() => '?').join(', ')})`,
    [database, ...tables],
  );
  const inMemory = new Set(engines.flatMap(({ tbl, engine }) => (engine === 'MEMORY' ? [tbl] : [])));
  return new Set(hashed.filter(({ tbl }) => !inMemory.has(tbl)));
}

function isWholeAndNotNull({ name, prefix, nullable }: UniqueKeyRow): boolean {
  return name !== null && prefix === null && nullable !== 'YES';
}

/** The server's own order of keys, which information_schema does not show. */
async function firstOf(
  session: MySqlSession,
  database: string,
  table: string,
  keyNames: readonly string[],
): Promise<string> {
  const shown = await session.query<ShownKeyRow>(`SHOW INDEX FROM ${quoteTable(database, table)}`);
  return shown.find((row) => keyNames.includes(row.Key_name))?.Key_name ?? '';
}
