import { Injectable } from '@nestjs/common';
import { formatTableName } from '#change-events';
import { createLogger, Notifier } from '#platform';
import { type NewMismatch } from '#verification';
import { VerificationMetrics } from '../metrics/verification-metrics.ts';

/** Of mismatches, in a minute; the metrics and the API have all of them. */
const MOST_LOG_LINES = 60;

/** Says what was newly found to differ, to the log and the metrics. */
@Injectable()
export class MismatchReports {
  readonly #metrics: VerificationMetrics;
  readonly #notifier: Notifier;
  readonly #logger = createLogger('verification');
  #logged = { minute: 0, lines: 0 };

  constructor(metrics: VerificationMetrics, notifier: Notifier) {
    this.#metrics = metrics;
    this.#notifier = notifier;
  }

  report(found: readonly NewMismatch[]): void {
    for (const mismatch of found) this.#reportOne(mismatch);
    const tables = Map.groupBy(found, ({ source, runId, sink, ...table }) =>
      JSON.stringify([source, runId, sink, formatTableName(table)]),
    );
    for (const ofTable of tables.values()) this.#notify(ofTable);
  }

  /** Once for a run, table and sink; what no run has found: once an hour. */
  #notify(found: readonly NewMismatch[]): void {
    const [first] = found;
    if (first === undefined) return;
    const { source, sink, runId } = first;
    const table = formatTableName(first);
    const when = runId ?? Math.floor(Date.now() / 3_600_000);
    this.#notifier.notify({
      event: 'mismatches.found',
      source,
      details: { table, sink, run: runId, kinds: [...new Set(found.map(({ kind }) => kind))], soFar: found.length },
      uniqueKey: JSON.stringify([source, when, sink, table]),
    });
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
