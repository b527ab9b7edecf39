import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** The instance that an operator wants to run a source. */
export class AddPlacements1796581000000 implements MigrationInterface {
  readonly name = 'AddPlacements1796581000000';

  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('sources', 'placed_on')) return;
    await runner.query(
      'ALTER TABLE sources ADD COLUMN placed_on VARCHAR(255) NULL, ADD COLUMN placed_by VARCHAR(255) NULL',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sources DROP COLUMN placed_on, DROP COLUMN placed_by');
  }
}
