import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * A resync that is part of a loss used to be marked with the name of who gave it up, `dss` for Ditto itself: it would be
 * done after the upgrade although the loss is over. One in the name of an operator may be an operator's, and stays.
 */
export class MarkResyncsOfLosses1796587000000 implements MigrationInterface {
  readonly name = 'MarkResyncsOfLosses1796587000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `UPDATE sources SET resync_pending = ''
       WHERE resync_pending = 'dss' AND switch_gives_up IS NOT NULL AND switch_asked_by IS NULL`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query("UPDATE sources SET resync_pending = 'dss' WHERE resync_pending = ''");
  }
}
