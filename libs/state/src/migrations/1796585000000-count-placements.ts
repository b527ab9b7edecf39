import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Tells an order to place a source from the one before it. */
export class CountPlacements1796585000000 implements MigrationInterface {
  readonly name = 'CountPlacements1796585000000';

  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('sources', 'placements')) return;
    await runner.query('ALTER TABLE sources ADD COLUMN placements INT UNSIGNED NOT NULL DEFAULT 0');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sources DROP COLUMN placements');
  }
}
