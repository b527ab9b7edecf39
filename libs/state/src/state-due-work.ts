import { type StateDatabase } from './state-database.ts';

/** What workers have to do. */
export interface DueWork {
  /** Sources with mismatches that nobody has taken up, or repairs whose moment has come. */
  readonly repairs: readonly string[];
  /** Sources with failed events whose rows are to be read again. */
  readonly failedEvents: readonly string[];
  readonly notices: boolean;
  readonly chunks: boolean;
}

interface DueRow {
  /** Null where no source was ever run. */
  readonly source: string | null;
  readonly repairs: number | null;
  readonly failedEvents: number | null;
  readonly notices: number;
  readonly chunks: number;
}

/**
 * Says which kinds of work are due, and of which sources: one statement that idle workers send instead of one for each kind
 * and source. Each part of it ends at the first row that an index finds.
 */
export class StateDueWork {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  async look(nowMs: number): Promise<DueWork> {
    const rows = await this.#database.run((manager) => manager.query<DueRow[]>(LOOK, Array<number>(4).fill(nowMs)));
    const sourcesWith = (kind: 'repairs' | 'failedEvents'): string[] =>
      rows.flatMap((row) => (Number(row[kind]) === 1 && row.source !== null ? [row.source] : []));
    return {
      repairs: sourcesWith('repairs'),
      failedEvents: sourcesWith('failedEvents'),
      notices: Number(rows[0]?.notices) === 1,
      chunks: Number(rows[0]?.chunks) === 1,
    };
  }
}

// what is due to a failed event is that of `StateFailedEventStore.listDue`, to a chunk of `StateVerificationRunStore.listDue`
const LOOK = `
  SELECT s.name AS source,
    EXISTS (SELECT 1 FROM mismatches m WHERE m.source = s.name AND m.state = 'open' AND m.kind <> 'gap')
      OR EXISTS (SELECT 1 FROM repairs r
        WHERE r.source = s.name AND r.state IN ('planned', 'failed', 'reading', 'verifying') AND r.next_at_ms <= ?) AS repairs,
    EXISTS (SELECT 1 FROM failed_events f WHERE f.source = s.name AND f.state = 'open' AND f.next_retry_ms <= ?
      AND NOT EXISTS (SELECT 1 FROM requested_reads q WHERE q.id = f.read_id AND q.is_open)) AS failedEvents,
    due.notices, due.chunks
  FROM (SELECT
      EXISTS (SELECT 1 FROM notices WHERE next_at_ms <= ?) AS notices,
      EXISTS (SELECT 1 FROM verification_chunks c JOIN verification_runs v ON v.id = c.run_id
        WHERE c.is_open AND c.not_before_ms <= ? AND v.state = 'running') AS chunks) due
  LEFT JOIN sources s ON TRUE`;
