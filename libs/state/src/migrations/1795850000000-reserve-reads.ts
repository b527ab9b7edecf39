import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Numbers of reads were kept when chunks were complete; they are reserved before they are used now. */
export class ReserveReads1795850000000 implements MigrationInterface {
  readonly name = 'ReserveReads1795850000000';

  async up(runner: QueryRunner): Promise<void> {
    // as far as an owner that kept none of them can have come
    await runner.query('UPDATE sources SET read_sequence = LEAST(read_sequence + 1000000, 4294967295) WHERE token > 0');
  }

  async down(): Promise<void> {
    // more that are reserved do no harm
  }
}
