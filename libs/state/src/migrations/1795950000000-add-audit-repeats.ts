import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** One entry for what a service does again and again. */
export class AddAuditRepeats1795950000000 implements MigrationInterface {
  readonly name = 'AddAuditRepeats1795950000000';

  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('audit_log', 'series')) return;
    await runner.query(`
      ALTER TABLE audit_log
        ADD COLUMN repeats INT UNSIGNED NOT NULL DEFAULT 1,
        ADD COLUMN last_at_ms BIGINT UNSIGNED NULL,
        ADD COLUMN series BINARY(32) NULL,
        ADD UNIQUE KEY audit_log_series (series)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'ALTER TABLE audit_log DROP KEY audit_log_series, DROP COLUMN series, DROP COLUMN last_at_ms, DROP COLUMN repeats',
    );
  }
}
