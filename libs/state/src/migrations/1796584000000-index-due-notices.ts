import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** For what is due to one webhook. */
export class IndexDueNotices1796584000000 implements MigrationInterface {
  readonly name = 'IndexDueNotices1796584000000';

  async up(runner: QueryRunner): Promise<void> {
    const table = await runner.getTable('notices');
    if (table?.indices.some(({ name }) => name === 'notices_due_of')) return;
    await runner.query('ALTER TABLE notices ADD KEY notices_due_of (webhook, next_at_ms)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE notices DROP KEY notices_due_of');
  }
}
