import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** What proves that a log is still the one that a checkpoint was read from, and the rank that orders checkpoints. */
export class AddCheckpointProof1795700000000 implements MigrationInterface {
  readonly name = 'AddCheckpointProof1795700000000';

  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('checkpoints', 'checkpoint_rank')))
      await runner.query(
        `ALTER TABLE checkpoints ADD COLUMN last_covered TEXT NULL, ADD COLUMN last_dispatched TEXT NULL,
           ADD COLUMN checkpoint_rank VARCHAR(80) NOT NULL DEFAULT ''`,
      );
    if (!(await runner.hasColumn('sources', 'log_accepted_by')))
      await runner.query('ALTER TABLE sources ADD COLUMN log_accepted_by VARCHAR(255) NULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sources DROP COLUMN log_accepted_by');
    await runner.query(
      'ALTER TABLE checkpoints DROP COLUMN last_covered, DROP COLUMN last_dispatched, DROP COLUMN checkpoint_rank',
    );
  }
}
