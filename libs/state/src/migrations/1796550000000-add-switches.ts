import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** The mark of a switch to another endpoint that was asked for and is not done. */
export class AddSwitches1796550000000 implements MigrationInterface {
  readonly name = 'AddSwitches1796550000000';

  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('sources', 'switch_to')) return;
    await runner.query(
      'ALTER TABLE sources ADD COLUMN switch_to VARCHAR(300) NULL, ADD COLUMN switch_asked_by VARCHAR(255) NULL',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sources DROP COLUMN switch_to, DROP COLUMN switch_asked_by');
  }
}
