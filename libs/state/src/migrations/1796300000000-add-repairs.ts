import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Mismatches that are put right, and the tables in which none is. */
export class AddRepairs1796300000000 implements MigrationInterface {
  readonly name = 'AddRepairs1796300000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE IF NOT EXISTS repairs (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
        source VARCHAR(128) NOT NULL,
        database_name VARCHAR(64) NOT NULL,
        table_name VARCHAR(64) NOT NULL,
        sink VARCHAR(32) NOT NULL,
        key_text MEDIUMTEXT NOT NULL,
        is_key BOOLEAN NOT NULL,
        mismatch_id BIGINT UNSIGNED NOT NULL,
        under_way BIGINT UNSIGNED NULL,
        kind VARCHAR(16) NOT NULL,
        state VARCHAR(16) NOT NULL,
        attempts INT UNSIGNED NOT NULL,
        read_id VARCHAR(36) NULL,
        seen_before JSON NOT NULL,
        seen_after JSON NULL,
        actor VARCHAR(255) NOT NULL,
        reason VARCHAR(512) NULL,
        planned_at_ms BIGINT UNSIGNED NOT NULL,
        next_at_ms BIGINT UNSIGNED NOT NULL,
        ended_at_ms BIGINT UNSIGNED NULL,
        PRIMARY KEY (id),
        UNIQUE KEY repairs_under_way (under_way),
        KEY repairs_due (source, state, next_at_ms),
        KEY repairs_by_table (source, database_name, table_name, actor, planned_at_ms),
        KEY repairs_by_read (read_id),
        KEY repairs_by_mismatch (mismatch_id)
      ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
    await runner.query(`
      CREATE TABLE IF NOT EXISTS repair_breakers (
        source VARCHAR(128) NOT NULL,
        database_name VARCHAR(64) NOT NULL,
        table_name VARCHAR(64) NOT NULL,
        opened_at_ms BIGINT UNSIGNED NULL,
        found INT UNSIGNED NOT NULL,
        closed_at_ms BIGINT UNSIGNED NULL,
        closed_by VARCHAR(255) NULL,
        PRIMARY KEY (source, database_name, table_name)
      ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE repair_breakers');
    await runner.query('DROP TABLE repairs');
  }
}
