import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Runs of verification, their tables and chunks, and what they found. */
export class AddVerification1796200000000 implements MigrationInterface {
  readonly name = 'AddVerification1796200000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [RUNS, TABLES, CHUNKS, MISMATCHES]) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE mismatches, verification_chunks, verification_tables, verification_runs');
  }
}

const TABLE_OPTIONS = 'ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin';

const RUNS = `CREATE TABLE IF NOT EXISTS verification_runs (
  id VARCHAR(36) NOT NULL,
  source VARCHAR(128) NOT NULL,
  scope JSON NOT NULL,
  sinks JSON NOT NULL,
  trigger_name VARCHAR(16) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  rows_per_second INT UNSIGNED NULL,
  state VARCHAR(16) NOT NULL,
  error JSON NULL,
  paced_until_ms BIGINT UNSIGNED NOT NULL,
  open_tables INT UNSIGNED NOT NULL,
  judged_tables INT UNSIGNED NOT NULL DEFAULT 0,
  created_at_ms BIGINT UNSIGNED NOT NULL,
  ended_at_ms BIGINT UNSIGNED NULL,
  PRIMARY KEY (id),
  KEY verification_runs_by_source (source, created_at_ms),
  KEY verification_runs_by_state (state, created_at_ms)
) ${TABLE_OPTIONS}`;

const TABLES = `CREATE TABLE IF NOT EXISTS verification_tables (
  run_id VARCHAR(36) NOT NULL,
  database_name VARCHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  sink VARCHAR(32) NOT NULL,
  phase VARCHAR(16) NOT NULL,
  row_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
  equal_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
  mismatch_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
  unsettled_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
  quarantined_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
  listed_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
  estimated_rows BIGINT UNSIGNED NOT NULL DEFAULT 0,
  key_signature TEXT NULL,
  hold JSON NULL,
  started_at_ms BIGINT UNSIGNED NULL,
  ended_at_ms BIGINT UNSIGNED NULL,
  PRIMARY KEY (run_id, database_name, table_name, sink)
) ${TABLE_OPTIONS}`;

const CHUNKS = `CREATE TABLE IF NOT EXISTS verification_chunks (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  run_id VARCHAR(36) NOT NULL,
  database_name VARCHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  sink VARCHAR(32) NOT NULL,
  phase VARCHAR(16) NOT NULL,
  number INT UNSIGNED NOT NULL,
  after_key MEDIUMTEXT NULL,
  until_key MEDIUMTEXT NULL,
  is_last BOOLEAN NULL,
  is_open BOOLEAN NOT NULL DEFAULT TRUE,
  attempts INT UNSIGNED NOT NULL DEFAULT 0,
  worker VARCHAR(255) NULL,
  not_before_ms BIGINT UNSIGNED NOT NULL,
  row_count INT UNSIGNED NOT NULL DEFAULT 0,
  done_at_ms BIGINT UNSIGNED NULL,
  PRIMARY KEY (id),
  UNIQUE KEY verification_chunks_number (run_id, database_name, table_name, sink, phase, number),
  KEY verification_chunks_due (is_open, not_before_ms)
) ${TABLE_OPTIONS}`;

const MISMATCHES = `CREATE TABLE IF NOT EXISTS mismatches (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  source VARCHAR(128) NOT NULL,
  database_name VARCHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  sink VARCHAR(32) NOT NULL,
  key_text MEDIUMTEXT NOT NULL,
  is_key BOOLEAN NOT NULL,
  current_hash BINARY(32) NULL,
  kind VARCHAR(16) NOT NULL,
  details JSON NOT NULL,
  state VARCHAR(16) NOT NULL,
  reason VARCHAR(512) NULL,
  actor VARCHAR(255) NULL,
  run_id VARCHAR(36) NULL,
  first_seen_ms BIGINT UNSIGNED NOT NULL,
  last_seen_ms BIGINT UNSIGNED NOT NULL,
  times_seen INT UNSIGNED NOT NULL,
  changed_at_ms BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY mismatches_current (current_hash),
  KEY mismatches_by_table (source, database_name, table_name, sink, state),
  KEY mismatches_by_state (state, changed_at_ms)
) ${TABLE_OPTIONS}`;
