import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** For the entries of one source. */
export class IndexAuditSubjects1796582000000 implements MigrationInterface {
  readonly name = 'IndexAuditSubjects1796582000000';

  async up(runner: QueryRunner): Promise<void> {
    const table = await runner.getTable('audit_log');
    if (table?.indices.some(({ name }) => name === 'audit_log_subject')) return;
    await runner.query('ALTER TABLE audit_log ADD KEY audit_log_subject (subject)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE audit_log DROP KEY audit_log_subject');
  }
}
