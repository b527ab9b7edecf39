import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** For how many mismatches of a table were found lately, and for the pages of those of one run. */
export class IndexMismatches1796410000000 implements MigrationInterface {
  readonly name = 'IndexMismatches1796410000000';

  async up(runner: QueryRunner): Promise<void> {
    const known = await runner.getTable('mismatches');
    for (const [index, columns] of INDEXES)
      if (!known?.indices.some(({ name }) => name === index))
        await runner.query(`ALTER TABLE mismatches ADD KEY ${index} (${columns})`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const [index] of INDEXES) await runner.query(`ALTER TABLE mismatches DROP KEY ${index}`);
  }
}

const INDEXES = [
  ['mismatches_by_first_seen', 'source, database_name, table_name, first_seen_ms'],
  ['mismatches_by_run', 'run_id, id'],
] as const;
