import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Reads of tables and keys that were asked for. */
export class AddRequestedReads1796050000000 implements MigrationInterface {
  readonly name = 'AddRequestedReads1796050000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE IF NOT EXISTS requested_reads (
         id VARCHAR(36) NOT NULL,
         source VARCHAR(128) NOT NULL,
         database_name VARCHAR(64) NOT NULL,
         table_name VARCHAR(64) NOT NULL,
         scope JSON NOT NULL,
         reason VARCHAR(512) NOT NULL,
         actor VARCHAR(255) NOT NULL,
         state VARCHAR(16) NOT NULL,
         is_open BOOLEAN NOT NULL,
         counts JSON NOT NULL,
         confirmed_keys INT UNSIGNED NOT NULL,
         error JSON NULL,
         accepted_at_ms BIGINT UNSIGNED NOT NULL,
         started_at_ms BIGINT UNSIGNED NULL,
         ended_at_ms BIGINT UNSIGNED NULL,
         PRIMARY KEY (id),
         KEY requested_reads_open (source, is_open, accepted_at_ms)
       ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE requested_reads');
  }
}
