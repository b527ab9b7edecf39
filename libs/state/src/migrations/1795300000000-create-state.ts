import { type MigrationInterface, type QueryRunner } from 'typeorm';

const TABLE_OPTIONS = 'ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin';

const TABLES = [
  `sources (
    name VARCHAR(128) NOT NULL,
    token BIGINT UNSIGNED NOT NULL DEFAULT 0,
    owner VARCHAR(255) NULL,
    granted_at_ms BIGINT UNSIGNED NOT NULL DEFAULT 0,
    lineage INT UNSIGNED NOT NULL DEFAULT 0,
    read_sequence INT UNSIGNED NOT NULL DEFAULT 0,
    first_seen_ms BIGINT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (name)
  )`,
  `checkpoints (
    source VARCHAR(128) NOT NULL,
    token BIGINT UNSIGNED NOT NULL,
    lineage INT UNSIGNED NOT NULL,
    gtid_set LONGTEXT NOT NULL,
    dispatched_set LONGTEXT NOT NULL,
    log_file VARCHAR(512) NOT NULL,
    log_offset BIGINT UNSIGNED NOT NULL,
    server_uuid VARCHAR(64) NOT NULL,
    version VARCHAR(44) NOT NULL,
    commit_micros BIGINT UNSIGNED NOT NULL,
    saved_at_ms BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (source)
  )`,
  `lineage_changes (
    source VARCHAR(128) NOT NULL,
    lineage INT UNSIGNED NOT NULL,
    reason TEXT NOT NULL,
    token BIGINT UNSIGNED NOT NULL,
    at_ms BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (source, lineage)
  )`,
  `table_snapshots (
    source VARCHAR(128) NOT NULL,
    database_name VARCHAR(64) NOT NULL,
    table_name VARCHAR(64) NOT NULL,
    state VARCHAR(16) NOT NULL,
    last_key MEDIUMTEXT NULL,
    rows_read BIGINT UNSIGNED NOT NULL,
    estimated_rows BIGINT UNSIGNED NOT NULL,
    reason TEXT NULL,
    PRIMARY KEY (source, database_name, table_name)
  )`,
  `topic_partitions (
    topic VARCHAR(249) NOT NULL,
    partitions INT UNSIGNED NOT NULL,
    at_ms BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (topic)
  )`,
  `audit_log (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    at_ms BIGINT UNSIGNED NOT NULL,
    actor VARCHAR(255) NOT NULL,
    action VARCHAR(255) NOT NULL,
    subject VARCHAR(512) NOT NULL,
    details JSON NOT NULL,
    PRIMARY KEY (id),
    KEY audit_log_at (at_ms)
  )`,
];

/** IF NOT EXISTS: DDL commits by itself, so an upgrade that was cut short is simply run again. */
export class CreateState1795300000000 implements MigrationInterface {
  readonly name = 'CreateState1795300000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(`CREATE TABLE IF NOT EXISTS ${table} ${TABLE_OPTIONS}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(`DROP TABLE IF EXISTS ${table.slice(0, table.indexOf(' '))}`);
  }
}
