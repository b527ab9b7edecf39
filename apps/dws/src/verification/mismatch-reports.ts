import { Injectable } from '@nestjs/common';
import { createLogger } from '#platform';
import { type NewMismatch } from '#verification';
import { VerificationMetrics } from '../metrics/verification-metrics.ts';

/** Of mismatches, in a minute; the metrics and the API have all of them. */
const MOST_LOG_LINES = 60;

/** Says what was newly found to differ, to the log and the metrics. */
@Injectable()
export class MismatchReports {
  readonly #metrics: VerificationMetrics;
  readonly #logger = createLogger('verification');
  #logged = { minute: 0, lines: 0 };

  constructor(metrics: VerificationMetrics) {
    this.#metrics = metrics;
  }

  report(found: readonly NewMismatch[]): void {
    for (const mismatch of found) this.#reportOne(mismatch);
  }

  #reportOne(mismatch: NewMismatch): void {
    this.#metrics.found(mismatch);
    const minute = Math.floor(Date.now() / 60_000);
    if (this.#logged.minute !== minute) this.#logged = { minute, lines: 0 };
    if (++this.#logged.lines > MOST_LOG_LINES) return;
    const { source, database, table, sink, key, kind, runId, details } = mismatch;
    const columns = details.differences.map(({ column }) => column);
    this.#logger.warn(kind === 'gap' ? 'a topic has no message of a change' : 'a row differs', {
      run: runId,
      source,
      database,
      table,
      sink,
      key,
      kind,
      columns,
      way: details.way,
      ...(details.change && { change: details.change }),
    });
    if (this.#logged.lines === MOST_LOG_LINES)
      this.#logger.warn(
        'more rows differ; they are not logged for the rest of this minute, GET /mismatches lists them',
      );
  }
}
