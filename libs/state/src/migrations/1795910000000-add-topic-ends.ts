import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** How far partitions were confirmed, and the mark of a rewind that is not finished. */
export class AddTopicEnds1795910000000 implements MigrationInterface {
  readonly name = 'AddTopicEnds1795910000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE IF NOT EXISTS topic_ends (
        source VARCHAR(128) NOT NULL,
        topic VARCHAR(249) NOT NULL,
        partition_number INT UNSIGNED NOT NULL,
        confirmed_end BIGINT UNSIGNED NOT NULL,
        surviving_end BIGINT UNSIGNED NULL,
        PRIMARY KEY (source, topic, partition_number)
      )`);
    if (!(await runner.hasColumn('sources', 'rewind_pending')))
      await runner.query('ALTER TABLE sources ADD COLUMN rewind_pending VARCHAR(255) NULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sources DROP COLUMN rewind_pending');
    await runner.query('DROP TABLE topic_ends');
  }
}
