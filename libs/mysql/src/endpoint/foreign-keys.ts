import { type RowDataPacket } from 'mysql2';
import { type TableName } from '#change-events';
import { type CascadingKey, type ReferentialAction } from '#replication';
import { isAmong } from '../layout/catalogue-scope.ts';
import { type MySqlSession } from '../mysql-session.ts';

interface RuleRow extends RowDataPacket {
  readonly db: string;
  readonly tbl: string;
  readonly name: string;
  readonly onDelete: string;
  readonly onUpdate: string;
}
interface ColumnRow extends RowDataPacket {
  readonly db: string;
  readonly tbl: string;
  readonly name: string;
  readonly column: string;
  readonly parentDb: string;
  readonly parentTbl: string;
  readonly parentColumn: string;
}

/** The foreign keys with CASCADE or SET NULL that the user may see of these tables. */
export async function readCascadingKeys(
  session: MySqlSession,
  tables: readonly TableName[],
): Promise<readonly CascadingKey[]> {
  const keys: CascadingKey[] = [];
  for (const [database, ofDatabase] of Map.groupBy(tables, (table) => table.database))
    keys.push(...(await readKeysOf(session, database, [...new Set(ofDatabase.map(({ table }) => table))])));
  return keys;
}

async function readKeysOf(
  session: MySqlSession,
  database: string,
  tables: readonly string[],
): Promise<readonly CascadingKey[]> {
  const { where, values } = isAmong(database, tables, 'CONSTRAINT_SCHEMA');
  const rules = await session.query<RuleRow>(
    `SELECT CONSTRAINT_SCHEMA AS db, TABLE_NAME AS tbl, CONSTRAINT_NAME AS name, DELETE_RULE AS onDelete, UPDATE_RULE AS onUpdate
     FROM information_schema.REFERENTIAL_CONSTRAINTS
     WHERE ${where} AND (DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL'))`,
    values,
  );
  const names = new Set(tables);
  const wanted = rules.filter(({ tbl }) => names.has(tbl));
  if (wanted.length === 0) return [];
  const children = isAmong(database, [...new Set(wanted.map(({ tbl }) => tbl))]);
  const columns = await session.query<ColumnRow>(
    `SELECT CONSTRAINT_SCHEMA AS db, TABLE_NAME AS tbl, CONSTRAINT_NAME AS name, COLUMN_NAME AS \`column\`,
       REFERENCED_TABLE_SCHEMA AS parentDb, REFERENCED_TABLE_NAME AS parentTbl, REFERENCED_COLUMN_NAME AS parentColumn
     FROM information_schema.KEY_COLUMN_USAGE
     WHERE REFERENCED_TABLE_NAME IS NOT NULL AND ${children.where}
     ORDER BY ORDINAL_POSITION`,
    children.values,
  );
  const columnsOf = Map.groupBy(columns, ({ db, tbl, name }) => JSON.stringify([db, tbl, name]));
  return wanted.flatMap(({ db, tbl, name, onDelete, onUpdate }) => {
    const parts = columnsOf.get(JSON.stringify([db, tbl, name])) ?? [];
    const [first] = parts;
    if (first === undefined) return []; // dropped between the two queries
    return {
      name,
      database: db,
      table: tbl,
      columns: parts.map(({ column }) => column),
      parent: { database: first.parentDb, table: first.parentTbl },
      parentColumns: parts.map(({ parentColumn }) => parentColumn),
      onDelete: actionOf(onDelete),
      onUpdate: actionOf(onUpdate),
    };
  });
}

function actionOf(rule: string): ReferentialAction {
  return rule === 'CASCADE' ? 'cascade' : rule === 'SET NULL' ? 'set-null' : 'none';
}
