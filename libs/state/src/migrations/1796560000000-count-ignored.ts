import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** How many mismatches of a run were ignored when it met them. */
export class CountIgnored1796560000000 implements MigrationInterface {
  readonly name = 'CountIgnored1796560000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const column of COLUMNS)
      if (!(await runner.hasColumn('verification_tables', column)))
        await runner.query(`ALTER TABLE verification_tables ADD COLUMN ${column} BIGINT UNSIGNED NOT NULL DEFAULT 0`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const column of COLUMNS) await runner.query(`ALTER TABLE verification_tables DROP COLUMN ${column}`);
  }
}

const COLUMNS = ['ignored_count', 'second_ignored_count'] as const;
