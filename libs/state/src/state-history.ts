import { type TableName } from '#change-events';
import { type StateDatabase } from './state-database.ts';

const STEP_ROWS = 500;

/**
 * Removes records that have ended. What coverage is computed from stays, however old it is. Repeatable; several processes
 * may do it at once.
 */
export class StateHistory {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** Coverage of tables that were compared last before this moment, and that a later run of their source did not have. */
  async forgetTables(beforeMs: number): Promise<void> {
    const gone = await this.#database.run((manager) =>
      manager.query<(TableName & { readonly source: string; readonly sink: string; readonly runId: string })[]>(
        `SELECT v.source, v.database_name AS \`database\`, v.table_name AS \`table\`, v.sink, v.run_id AS runId
         FROM verification_coverage v WHERE v.started_at_ms < ? AND EXISTS (
           SELECT 1 FROM verification_runs r
           WHERE r.source = v.source AND r.created_at_ms > v.started_at_ms AND r.state = 'done'
             AND r.scope->>'$.kind' = 'source' AND JSON_CONTAINS(r.sinks, JSON_QUOTE(v.sink))
             AND NOT EXISTS (
               SELECT 1 FROM verification_tables t WHERE t.run_id = r.id
                 AND t.database_name = v.database_name AND t.table_name = v.table_name AND t.sink = v.sink
             )
         ) LIMIT ${STEP_ROWS}`,
        [beforeMs],
      ),
    );
    for (const { source, database, table, sink, runId } of gone)
      await this.#database.transaction((manager) =>
        manager.query(
          `DELETE FROM verification_coverage
           WHERE source = ? AND database_name = ? AND table_name = ? AND sink = ? AND run_id = ?`,
          [source, database, table, sink, runId],
        ),
      );
  }

  /** Chunks of runs that ended before this moment. Resolves with how many it has removed: at most `STEP_ROWS`. */
  async sweepChunks(beforeMs: number): Promise<number> {
    return this.#sweep(
      `SELECT c.id FROM verification_runs r JOIN verification_chunks c ON c.run_id = r.id
         LEFT JOIN verification_coverage v ON v.run_id = c.run_id AND v.database_name = c.database_name
           AND v.table_name = c.table_name AND v.sink = c.sink
       WHERE r.ended_at_ms < ? AND v.run_id IS NULL LIMIT ${STEP_ROWS}`,
      beforeMs,
      ['DELETE FROM verification_chunks WHERE id IN (?)'],
    );
  }

  /** Runs that ended before this moment and have no chunk any more. */
  async sweepRuns(beforeMs: number): Promise<number> {
    return this.#sweep(
      `SELECT r.id FROM verification_runs r WHERE r.ended_at_ms < ?
         AND NOT EXISTS (SELECT 1 FROM verification_coverage v WHERE v.run_id = r.id)
         AND NOT EXISTS (SELECT 1 FROM verification_chunks c WHERE c.run_id = r.id) LIMIT ${STEP_ROWS}`,
      beforeMs,
      ['DELETE FROM verification_tables WHERE run_id IN (?)', 'DELETE FROM verification_runs WHERE id IN (?)'],
    );
  }

  async sweepRepairs(beforeMs: number): Promise<number> {
    return this.#sweep(`SELECT id FROM repairs WHERE ended_at_ms < ? LIMIT ${STEP_ROWS}`, beforeMs, [
      'DELETE FROM repairs WHERE id IN (?)',
    ]);
  }

  async sweepReads(beforeMs: number): Promise<number> {
    return this.#sweep(`SELECT id FROM requested_reads WHERE ended_at_ms < ? LIMIT ${STEP_ROWS}`, beforeMs, [
      'DELETE FROM requested_reads WHERE id IN (?) AND NOT is_open',
    ]);
  }

  async sweepFailedEvents(beforeMs: number): Promise<number> {
    return this.#sweep(`SELECT id FROM failed_events WHERE ended_at_ms < ? LIMIT ${STEP_ROWS}`, beforeMs, [
      'DELETE FROM failed_events WHERE id IN (?) AND ended_at_ms IS NOT NULL',
    ]);
  }

  /** Entries of the audit log of what was done last before this moment. */
  async sweepAudit(beforeMs: number): Promise<number> {
    return this.#sweep(`SELECT id FROM audit_log WHERE last_at_ms < ? LIMIT ${STEP_ROWS}`, beforeMs, [
      'DELETE FROM audit_log WHERE id IN (?)',
    ]);
  }

  /** Notices that were delivered, or given up, before this moment, or that nobody has tried to deliver since. */
  async sweepNotices(beforeMs: number): Promise<number> {
    const remove = ['DELETE FROM notices WHERE id IN (?)'];
    const ended = `SELECT id FROM notices WHERE ended_at_ms < ? LIMIT ${STEP_ROWS}`;
    const left = `SELECT id FROM notices WHERE next_at_ms < ? LIMIT ${STEP_ROWS}`;
    return (await this.#sweep(ended, beforeMs, remove)) + (await this.#sweep(left, beforeMs, remove));
  }

  async #sweep(select: string, beforeMs: number, statements: readonly string[]): Promise<number> {
    // what has ended does not change any more, so it need not be locked while it is looked for
    const rows = await this.#database.run((manager) =>
      manager.query<{ readonly id: string | number }[]>(select, [beforeMs]),
    );
    if (rows.length === 0) return 0;
    await this.#database.transaction(async (manager) => {
      for (const statement of statements) await manager.query(statement, [rows.map(({ id }) => id)]);
    });
    return rows.length;
  }
}
