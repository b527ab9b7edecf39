import { Injectable } from '@nestjs/common';
import { type DittoConfig } from '#configuration';
import { createLogger, InjectConfig } from '#platform';
import { StateDatabase, StateHistory } from '#state';
import { MismatchStore } from '#verification';

/** A worker that has a chunk of a run that was ended learns it well before. */
const CHUNKS_KEPT_MS = 600_000;
const DAY_MS = 86_400_000;
/** For so long one that was said is not said again. */
const NOTICES_KEPT_MS = 7 * DAY_MS;
const STEP_ROWS = 500;

/** How many records of each kind were removed. */
export interface RemovedHistory {
  readonly chunks: number;
  readonly runs: number;
  readonly repairs: number;
  readonly reads: number;
  readonly mismatches: number;
  readonly failedEvents: number;
  readonly audit: number;
  readonly notices: number;
}

/** Removes what has ended from the state database: chunks soon, the audit log after `audit.keepDays`, the rest after `verification.keepDays`. */
@Injectable()
export class HistorySweeper {
  readonly #keptMs: number;
  readonly #auditKeptMs: number;
  readonly #history: StateHistory;
  readonly #mismatches: MismatchStore;
  readonly #logger = createLogger('sweeps');

  constructor(@InjectConfig() config: DittoConfig, state: StateDatabase, mismatches: MismatchStore) {
    this.#keptMs = config.verification.keepDays * DAY_MS;
    this.#auditKeptMs = config.audit.keepDays * DAY_MS;
    this.#history = new StateHistory(state);
    this.#mismatches = mismatches;
  }

  /** In short steps: others write there meanwhile. What was removed stays removed when it is stopped. */
  async sweep(signal: AbortSignal): Promise<RemovedHistory> {
    const now = Date.now();
    const beforeMs = now - this.#keptMs;
    await this.#history.forgetTables(beforeMs);
    const removed = {
      chunks: await repeat(() => this.#history.sweepChunks(now - CHUNKS_KEPT_MS), signal),
      runs: await repeat(() => this.#history.sweepRuns(beforeMs), signal),
      repairs: await repeat(() => this.#history.sweepRepairs(beforeMs), signal),
      reads: await repeat(() => this.#history.sweepReads(beforeMs), signal),
      mismatches: await repeat(() => this.#mismatches.sweep(beforeMs, STEP_ROWS), signal),
      failedEvents: await repeat(() => this.#history.sweepFailedEvents(beforeMs), signal),
      audit: await repeat(() => this.#history.sweepAudit(now - this.#auditKeptMs), signal),
      notices: await repeat(() => this.#history.sweepNotices(now - NOTICES_KEPT_MS), signal),
    };
    if (Object.values(removed).some((count) => count > 0)) this.#logger.info('old records were removed', removed);
    return removed;
  }
}

async function repeat(step: () => Promise<number>, signal: AbortSignal): Promise<number> {
  let total = 0;
  for (;;) {
    signal.throwIfAborted();
    const removed = await step();
    if (removed === 0) return total;
    total += removed;
  }
}
