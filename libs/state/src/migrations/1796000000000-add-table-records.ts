import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** As releases before this one kept the progress of a table's copy. */
interface FormerRow {
  readonly source: string;
  readonly database_name: string;
  readonly table_name: string;
  readonly state: 'pending' | 'running' | 'done' | 'unavailable';
  readonly last_key: string | null;
  readonly rows_read: number | string;
  readonly estimated_rows: number | string;
  readonly reason: string | null;
  /** '' for a reading that was still to begin; with NULL it ended no rows. */
  readonly ends_below: string | null;
  readonly asked_again: number;
}

/** As those releases kept the key that the rows of a table have in the sinks. */
interface FormerKey {
  readonly source: string;
  readonly database_name: string;
  readonly table_name: string;
  readonly key_columns: string;
  readonly since: string;
}

const MOST_AT_ONCE = 500;

/** One record per table: how far its copy is, its generation, and what its rows in the sinks are made by. */
export class AddTableRecords1796000000000 implements MigrationInterface {
  readonly name = 'AddTableRecords1796000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE IF NOT EXISTS table_records (
         source VARCHAR(128) NOT NULL,
         database_name VARCHAR(64) NOT NULL,
         table_name VARCHAR(64) NOT NULL,
         estimated_rows BIGINT UNSIGNED NOT NULL,
         copy JSON NOT NULL,
         generation BIGINT UNSIGNED NOT NULL,
         adopted JSON NULL,
         PRIMARY KEY (source, database_name, table_name)
       ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`,
    );
    // renamed first: an owner of the release before can record nothing from here on that would not be taken over
    for (const table of ['table_snapshots', 'table_keys'])
      if (await runner.hasTable(table)) await runner.query(`RENAME TABLE ${table} TO former_${table}`);
    await takeOver(runner, 'table_snapshots', 'copy', toRecord);
    await takeOver(runner, 'table_keys', 'adopted', toKeyRecord);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('no release before this one can go on with these records'));
  }
}

/** `column`: what is taken from the former table for a record that is there already. */
async function takeOver(
  runner: QueryRunner,
  table: string,
  column: 'copy' | 'adopted',
  toValues: (row: FormerRow & FormerKey) => unknown[],
): Promise<void> {
  if (!(await runner.hasTable(`former_${table}`))) return;
  const rows = (await runner.query(`SELECT * FROM former_${table}`)) as (FormerRow & FormerKey)[];
  for (let at = 0; at < rows.length; at += MOST_AT_ONCE)
    await runner.query(
      `INSERT INTO table_records
         (source, database_name, table_name, estimated_rows, copy, generation, adopted) VALUES ?
       ON DUPLICATE KEY UPDATE ${column} = VALUES(${column})`,
      [rows.slice(at, at + MOST_AT_ONCE).map(toValues)],
    );
  await runner.query(`DROP TABLE former_${table}`);
}

function toRecord(row: FormerRow): unknown[] {
  const { source, database_name, table_name, estimated_rows } = row;
  return [source, database_name, table_name, estimated_rows, JSON.stringify(copyOf(row)), 0, null];
}

function toKeyRecord({ source, database_name, table_name, key_columns: key, since }: FormerKey): unknown[] {
  const adopted = JSON.stringify({ key, since, layout: null });
  return [source, database_name, table_name, 0, JSON.stringify({ state: 'none' }), 0, adopted];
}

function copyOf({ state, last_key, rows_read, reason, ends_below, asked_again }: FormerRow): object {
  const rowsRead = Number(rows_read);
  const again = asked_again === 1;
  switch (state) {
    case 'pending':
      return { state, endsGone: again || ends_below !== null };
    case 'running':
      // a reading that was to end rows, and did not keep which, can't be continued
      if (ends_below === '') return { state: 'pending', endsGone: true };
      return { state: 'copying', after: last_key, rowsRead, goneBelow: ends_below, again };
    case 'done':
      return { state, rowsRead };
    case 'unavailable':
      return { state, reason: reason ?? '' };
  }
}
