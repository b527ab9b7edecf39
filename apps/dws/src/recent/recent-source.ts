import { decodeKeyValues, type Row, rowOfKey, type TableLayout, type TableName } from '#change-events';
import { type SourceConfig, type VerificationConfig } from '#configuration';
import { type MessageKeys } from '#kafka';
import { type Logger, toDittoError } from '#kernel';
import { type MismatchStore, RecentKeys, RecentVerifier, toNewMismatch, type Verdict } from '#verification';
import { type RecentMetrics } from '../metrics/recent-metrics.ts';
import { type VerificationMetrics } from '../metrics/verification-metrics.ts';
import { type MismatchReports } from '../verification/mismatch-reports.ts';
import { type VerifiedSource } from '../verification/verified-source.ts';

export interface RecentSourceOptions {
  readonly source: SourceConfig;
  readonly config: VerificationConfig;
  /** How the keys are written that are noticed: null for as `encodeKeyValues` writes them. */
  readonly messageKeys: MessageKeys | null;
  readonly open: () => Promise<VerifiedSource>;
  readonly mismatches: MismatchStore;
  readonly reports: MismatchReports;
  readonly metrics: VerificationMetrics;
  readonly recentMetrics: RecentMetrics;
  readonly logger: Logger;
}

/** How this worker gets on with the rows that changed recently, in one sink. */
export interface RecentStatus {
  /** Rows that were compared, whatever was found. */
  readonly verified: number;
  /** Changed rows of which nothing was said: there were too many, or they could not be judged. */
  readonly leftOut: number;
  readonly waiting: number;
  readonly behindMs: number;
  readonly holdingBecause: string | null;
}

interface RecentSink {
  readonly name: string;
  readonly keys: RecentKeys;
  readonly verifier: RecentVerifier;
  verified: number;
  leftOut: number;
}

/** Verifies the rows of one source that this worker was told have changed, in each of its sinks. */
export class RecentSource {
  readonly #options: RecentSourceOptions;
  readonly #sinks: readonly RecentSink[];

  constructor(options: RecentSourceOptions) {
    this.#options = options;
    this.#sinks = options.source.sinks.map((sink) => this.#createSink(sink));
  }

  note(table: TableName, keys: readonly string[]): void {
    for (const sink of this.#sinks) for (const key of keys) sink.keys.note(table, key);
  }

  status(): ReadonlyMap<string, RecentStatus> {
    return new Map(
      this.#sinks.map(({ name, keys, verifier: { holdingBecause }, verified, leftOut }) => [
        name,
        { verified, leftOut, ...keys.status(), holdingBecause },
      ]),
    );
  }

  /** Until the signal. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#sinks.map(({ verifier }) => verifier.run(signal)));
  }

  #createSink(name: string): RecentSink {
    const { source, config, open, messageKeys, logger } = this.#options;
    const keys = new RecentKeys({
      keysPerSecond: keysPerSecond(source, config.recent.rowsPerSecond),
      settleMs: config.recent.settleMs,
      onLeftOut: () => this.#leaveOut(sink, 1, 'too many'),
    });
    const verifier = new RecentVerifier({
      keys,
      decodeKey: (layout, key) =>
        messageKeys === null ? decodeText(layout, key) : messageKeys.decode(layout, Buffer.from(key)),
      // its servers are connected to when the first row has changed
      readTable: async (table, signal) => (await open()).stream.readTable(table, signal),
      openVerifier: async () => (await open()).recentVerifier(name),
      batchKeys: config.chunkRows,
      onJudged: (layout, verdict) => this.#record(sink, layout, verdict),
      onGivenUp: (count, reason) => this.#leaveOut(sink, count, reason),
      onTrouble: (error, { database, table }) => {
        const { code, message, remedy } = toDittoError(error);
        const where = { source: source.name, sink: name, table: `${database}.${table}` };
        logger.warn('rows that changed recently can not be verified', { ...where, code, error: message, remedy });
      },
    });
    const sink: RecentSink = { name, keys, verifier, verified: 0, leftOut: 0 };
    return sink;
  }

  async #record(sink: RecentSink, layout: TableLayout, { equal, mismatches, quarantined }: Verdict): Promise<void> {
    const { source, mismatches: store, reports, metrics } = this.#options;
    const where = {
      source: source.name,
      sink: sink.name,
      layout,
      way: 'first',
      runId: null,
      seenAtMs: Date.now(),
    } as const;
    const found = mismatches.map((mismatch) => toNewMismatch(mismatch, where));
    reports.report(await store.record(found));
    const rows = equal + mismatches.length + quarantined.length;
    sink.verified += rows;
    metrics.verified(source.name, { sink: sink.name, phase: 'recent' }, { first: { rows, unsettled: 0 } });
  }

  #leaveOut(sink: RecentSink, count: number, reason: string): void {
    sink.leftOut += count;
    this.#options.recentMetrics.leftOut(this.#options.source.name, sink.name, reason, count);
  }
}

/** Runs keep at least half of the pace. */
function keysPerSecond({ pace, sinks }: SourceConfig, wanted: number): number {
  const share = pace.rowsPerSecond === 0 ? wanted : Math.min(wanted, pace.rowsPerSecond / 2);
  return Math.max(1, share / sinks.length);
}

function decodeText(layout: TableLayout, key: string): Row | null {
  try {
    return rowOfKey(layout, decodeKeyValues(layout, key));
  } catch {
    // of another key than the table has by now
    return null;
  }
}
