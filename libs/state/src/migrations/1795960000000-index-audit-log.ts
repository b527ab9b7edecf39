import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** The log is shown by when something was done last. */
export class IndexAuditLog1795960000000 implements MigrationInterface {
  readonly name = 'IndexAuditLog1795960000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('UPDATE audit_log SET last_at_ms = at_ms WHERE last_at_ms IS NULL');
    const table = await runner.getTable('audit_log');
    if (table?.indices.some(({ name }) => name === 'audit_log_last_at')) return;
    await runner.query('ALTER TABLE audit_log ADD KEY audit_log_last_at (last_at_ms)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE audit_log DROP KEY audit_log_last_at');
  }
}
