import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** What runs compare by the second way. */
export class AddSecondWay1796461000000 implements MigrationInterface {
  readonly name = 'AddSecondWay1796461000000';

  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('verification_runs', 'second_way_share')))
      await runner.query('ALTER TABLE verification_runs ADD COLUMN second_way_share DOUBLE NOT NULL DEFAULT 0');
    for (const column of COLUMNS)
      if (!(await runner.hasColumn('verification_tables', column)))
        await runner.query(`ALTER TABLE verification_tables ADD COLUMN ${column} BIGINT UNSIGNED NOT NULL DEFAULT 0`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const column of COLUMNS) await runner.query(`ALTER TABLE verification_tables DROP COLUMN ${column}`);
    await runner.query('ALTER TABLE verification_runs DROP COLUMN second_way_share');
  }
}

const COLUMNS = [
  'second_row_count',
  'second_equal_count',
  'second_mismatch_count',
  'second_unsettled_count',
  'second_quarantined_count',
] as const;
