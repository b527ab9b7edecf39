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

const MOST_AT_ONCE = 500;

/** The copy of a table is one tagged value: `CopyState`. */
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
         PRIMARY KEY (source, database_name, table_name)
       ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`,
    );
    // from here on an owner of the release before can record nothing that would not be taken over
    if (await runner.hasTable('table_snapshots'))
      await runner.query('RENAME TABLE table_snapshots TO former_table_snapshots');
    if (!(await runner.hasTable('former_table_snapshots'))) return;
    const rows = (await runner.query('SELECT * FROM former_table_snapshots')) as FormerRow[];
    for (let at = 0; at < rows.length; at += MOST_AT_ONCE)
      await runner.query(
        `INSERT INTO table_records (source, database_name, table_name, estimated_rows, copy) VALUES ?
         ON DUPLICATE KEY UPDATE copy = VALUES(copy)`,
        [rows.slice(at, at + MOST_AT_ONCE).map(toRecord)],
      );
    await runner.query('DROP TABLE former_table_snapshots');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('no release before this one can go on with these records'));
  }
}

function toRecord(row: FormerRow): unknown[] {
  const { source, database_name, table_name, estimated_rows } = row;
  return [source, database_name, table_name, estimated_rows, JSON.stringify(copyOf(row))];
}

function copyOf({ state, last_key, rows_read, reason, ends_below, asked_again }: FormerRow): object {
  const rowsRead = Number(rows_read);
  const again = asked_again === 1;
  switch (state) {
    case 'pending':
      return { state, endsGone: again || ends_below !== null };
    case 'running':
      // a reading that was to end rows, and did not keep which, is none to go on with
      if (ends_below === '') return { state: 'pending', endsGone: true };
      return { state: 'copying', after: last_key, rowsRead, goneBelow: ends_below, again };
    case 'done':
      return { state, rowsRead };
    case 'unavailable':
      return { state, reason: reason ?? '' };
  }
}
