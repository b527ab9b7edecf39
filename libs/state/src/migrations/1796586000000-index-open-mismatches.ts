import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** For whether a source has open mismatches, which is looked at every second. */
export class IndexOpenMismatches1796586000000 implements MigrationInterface {
  readonly name = 'IndexOpenMismatches1796586000000';

  async up(runner: QueryRunner): Promise<void> {
    const found = (await runner.query("SHOW INDEX FROM mismatches WHERE Key_name = 'mismatches_open'")) as unknown[];
    if (found.length > 0) return;
    await runner.query('ALTER TABLE mismatches ADD KEY mismatches_open (source, state, kind)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE mismatches DROP KEY mismatches_open');
  }
}
