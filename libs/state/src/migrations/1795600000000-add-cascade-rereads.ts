import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Re-reads that end rows which are gone, and those that follow another. */
export class AddCascadeRereads1795600000000 implements MigrationInterface {
  readonly name = 'AddCascadeRereads1795600000000';

  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('table_snapshots', 'ends_below')))
      await runner.query(
        'ALTER TABLE table_snapshots ADD COLUMN ends_below VARCHAR(44) NULL, ADD COLUMN asked_again BOOLEAN NOT NULL DEFAULT FALSE',
      );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE table_snapshots DROP COLUMN ends_below, DROP COLUMN asked_again');
  }
}
