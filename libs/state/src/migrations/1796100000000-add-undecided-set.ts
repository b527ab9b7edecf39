import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** XA transactions that were prepared and not decided at a checkpoint. */
export class AddUndecidedSet1796100000000 implements MigrationInterface {
  readonly name = 'AddUndecidedSet1796100000000';

  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('checkpoints', 'undecided_set')))
      await runner.query('ALTER TABLE checkpoints ADD COLUMN undecided_set LONGTEXT NULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE checkpoints DROP COLUMN undecided_set');
  }
}
