import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** The mark of a resync that is not finished. */
export class AddResync1795400000000 implements MigrationInterface {
  readonly name = 'AddResync1795400000000';

  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('sources', 'resync_pending')))
      await runner.query('ALTER TABLE sources ADD COLUMN resync_pending VARCHAR(255) NULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sources DROP COLUMN resync_pending');
  }
}
