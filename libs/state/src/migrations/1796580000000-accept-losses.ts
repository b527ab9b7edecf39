import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** GTIDs that a switch gives up, and the checkpoints of the past that say what these may have changed. */
export class AcceptLosses1796580000000 implements MigrationInterface {
  readonly name = 'AcceptLosses1796580000000';

  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('sources', 'switch_gives_up')))
      await runner.query('ALTER TABLE sources ADD COLUMN switch_gives_up LONGTEXT NULL');
    await runner.query(`
      CREATE TABLE IF NOT EXISTS past_checkpoints (
        source VARCHAR(128) NOT NULL,
        slot INT UNSIGNED NOT NULL,
        lineage INT UNSIGNED NOT NULL,
        version VARCHAR(44) NOT NULL,
        gtid_set LONGTEXT NOT NULL,
        last_covered TEXT NULL,
        saved_at_ms BIGINT UNSIGNED NOT NULL,
        PRIMARY KEY (source, slot)
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE past_checkpoints');
    await runner.query('ALTER TABLE sources DROP COLUMN switch_gives_up');
  }
}
