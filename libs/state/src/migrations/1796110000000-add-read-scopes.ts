import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** What recognises a repeated request once its keys are not kept any more, and lists of reads in pages. */
export class AddReadScopes1796110000000 implements MigrationInterface {
  readonly name = 'AddReadScopes1796110000000';

  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('requested_reads', 'scope_kind')))
      await runner.query(`
        ALTER TABLE requested_reads
          ADD COLUMN scope_kind VARCHAR(16) NOT NULL,
          ADD COLUMN scope_hash BINARY(32) NOT NULL,
          ADD COLUMN key_count INT UNSIGNED NULL,
          ADD KEY requested_reads_accepted (source, accepted_at_ms, id)`);
    await runner.query(`
      UPDATE requested_reads SET scope_kind = JSON_UNQUOTE(JSON_EXTRACT(scope, '$.kind')),
        key_count = JSON_LENGTH(scope, '$.keys')
      WHERE scope_kind = ''`);
    await runner.query(`
      UPDATE requested_reads SET scope = JSON_OBJECT('kind', 'keys', 'keys', JSON_ARRAY())
      WHERE scope_kind = 'keys' AND NOT is_open`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE requested_reads
        DROP KEY requested_reads_accepted, DROP COLUMN key_count, DROP COLUMN scope_hash, DROP COLUMN scope_kind`);
  }
}
