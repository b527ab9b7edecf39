import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Rows that a sink has refused, and whether they are in its quarantine. */
export class AddFailedEvents1796570000000 implements MigrationInterface {
  readonly name = 'AddFailedEvents1796570000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE IF NOT EXISTS failed_events (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
        source VARCHAR(128) NOT NULL,
        sink VARCHAR(32) NOT NULL,
        database_name VARCHAR(64) NOT NULL,
        table_name VARCHAR(64) NOT NULL,
        key_text MEDIUMTEXT NOT NULL,
        key_hash BINARY(32) NOT NULL,
        state VARCHAR(16) NOT NULL,
        code VARCHAR(64) NOT NULL,
        message TEXT NOT NULL,
        change_id VARCHAR(512) NOT NULL,
        version CHAR(44) NOT NULL,
        first_version CHAR(44) NOT NULL,
        end_version CHAR(44) NULL,
        gtid VARCHAR(128) NULL,
        log_file VARCHAR(255) NOT NULL,
        log_offset BIGINT UNSIGNED NOT NULL,
        payload MEDIUMTEXT NULL,
        payload_bytes BIGINT UNSIGNED NULL,
        attempts INT UNSIGNED NOT NULL,
        later_changes BIGINT UNSIGNED NOT NULL,
        first_failed_ms BIGINT UNSIGNED NOT NULL,
        last_failed_ms BIGINT UNSIGNED NOT NULL,
        last_change_ms BIGINT UNSIGNED NULL,
        next_retry_ms BIGINT UNSIGNED NULL,
        read_id VARCHAR(36) NULL,
        reason VARCHAR(512) NULL,
        actor VARCHAR(255) NULL,
        ended_at_ms BIGINT UNSIGNED NULL,
        PRIMARY KEY (id),
        UNIQUE KEY failed_events_of_row (key_hash),
        KEY failed_events_by_table (source, sink, database_name, table_name, state),
        KEY failed_events_due (source, state, next_retry_ms),
        KEY failed_events_ended (ended_at_ms)
      ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE failed_events');
  }
}
