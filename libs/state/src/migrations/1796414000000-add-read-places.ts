import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** How far reads of ranges, filters and whole sources are. */
export class AddReadPlaces1796414000000 implements MigrationInterface {
  readonly name = 'AddReadPlaces1796414000000';

  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('requested_reads', 'place')) return;
    await runner.query(`
      ALTER TABLE requested_reads ADD COLUMN place JSON NULL, ADD COLUMN estimated_rows BIGINT UNSIGNED NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE requested_reads DROP COLUMN estimated_rows, DROP COLUMN place');
  }
}
