import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Which columns the rows in the sinks were made without. */
export class AddExcludedColumns1795550000000 implements MigrationInterface {
  readonly name = 'AddExcludedColumns1795550000000';

  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('sources', 'excluded_columns')))
      await runner.query('ALTER TABLE sources ADD COLUMN excluded_columns JSON NULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sources DROP COLUMN excluded_columns');
  }
}
