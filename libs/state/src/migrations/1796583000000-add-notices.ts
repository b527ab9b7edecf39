import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** What webhooks are to be told. */
export class AddNotices1796583000000 implements MigrationInterface {
  readonly name = 'AddNotices1796583000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE IF NOT EXISTS notices (
         id VARCHAR(36) NOT NULL,
         webhook VARCHAR(64) NOT NULL,
         event VARCHAR(64) NOT NULL,
         source VARCHAR(128) NOT NULL,
         body MEDIUMTEXT NOT NULL,
         unique_hash BINARY(32) NULL,
         created_at_ms BIGINT UNSIGNED NOT NULL,
         attempts INT UNSIGNED NOT NULL DEFAULT 0,
         next_at_ms BIGINT UNSIGNED NULL,
         ended_at_ms BIGINT UNSIGNED NULL,
         last_error VARCHAR(512) NULL,
         PRIMARY KEY (id),
         UNIQUE KEY notices_unique (unique_hash),
         KEY notices_due (next_at_ms),
         KEY notices_ended (ended_at_ms)
       ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE notices');
  }
}
