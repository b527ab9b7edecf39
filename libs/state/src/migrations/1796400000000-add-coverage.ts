import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Which run has compared each table last as a whole, and what it takes to remove old records in steps. */
export class AddCoverage1796400000000 implements MigrationInterface {
  readonly name = 'AddCoverage1796400000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE IF NOT EXISTS verification_coverage (
        source VARCHAR(128) NOT NULL,
        database_name VARCHAR(64) NOT NULL,
        table_name VARCHAR(64) NOT NULL,
        sink VARCHAR(32) NOT NULL,
        run_id VARCHAR(36) NOT NULL,
        started_at_ms BIGINT UNSIGNED NOT NULL,
        PRIMARY KEY (source, database_name, table_name, sink),
        KEY verification_coverage_by_run (run_id, database_name, table_name, sink)
      ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
    for (const [table, index] of ENDS) {
      const known = await runner.getTable(table);
      if (known?.indices.some(({ name }) => name === index)) continue;
      await runner.query(`ALTER TABLE ${table} ADD KEY ${index} (ended_at_ms)`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const [table, index] of ENDS) await runner.query(`ALTER TABLE ${table} DROP KEY ${index}`);
    await runner.query('DROP TABLE verification_coverage');
  }
}

const ENDS = [
  ['verification_runs', 'verification_runs_ended'],
  ['repairs', 'repairs_ended'],
  ['requested_reads', 'requested_reads_ended'],
] as const;
