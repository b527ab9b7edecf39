import { Injectable } from '@nestjs/common';
import { type TableName } from '#change-events';
import { type DittoConfig, requireSection, type SourceConfig, verifiesRecentChanges } from '#configuration';
import { MessageKeys } from '#kafka';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { StateDatabase } from '#state';
import { MismatchStore } from '#verification';
import { type RecentGap, RecentMetrics } from '../metrics/recent-metrics.ts';
import { VerificationMetrics } from '../metrics/verification-metrics.ts';
import { MismatchReports } from '../verification/mismatch-reports.ts';
import { VerifiedSources } from '../verification/verified-sources.ts';
import { findFollowedSink, type FollowedSink } from './followed-sink.ts';
import { RecentSource, type RecentStatus } from './recent-source.ts';

/** The rows that changed recently, of all sources: followers note their keys, and they are verified. */
@Injectable()
export class RecentRows extends LongWork {
  readonly #state: StateDatabase;
  readonly #sources: ReadonlyMap<string, RecentSource>;
  readonly #metrics: RecentMetrics;

  constructor(
    @InjectConfig() config: DittoConfig,
    sources: VerifiedSources,
    state: StateDatabase,
    mismatches: MismatchStore,
    reports: MismatchReports,
    metrics: VerificationMetrics,
    recentMetrics: RecentMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#state = state;
    this.#metrics = recentMetrics;
    const create = (source: SourceConfig): RecentSource =>
      new RecentSource({
        ...{ source, config: config.verification, mismatches, reports, metrics, recentMetrics },
        messageKeys:
          findFollowedSink(source) === 'kafka' ? new MessageKeys(requireSection(config.kafka, 'kafka').bigint) : null,
        open: () => sources.open(source.name),
        logger: createLogger('verification'),
      });
    const verified = verifiesRecentChanges(config)
      ? Object.values(config.sources).filter((source) => findFollowedSink(source) !== null)
      : [];
    this.#sources = new Map(verified.map((source) => [source.name, create(source)]));
    recentMetrics.observe(() => this.status());
  }

  /** Those of these sources whose changes are to be noted; each is followed in one place. */
  listFollowed(sink: FollowedSink, config: DittoConfig): readonly SourceConfig[] {
    const followed = Object.values(config.sources).filter(({ name }) => this.#sources.has(name));
    return followed.filter((source) => findFollowedSink(source) === sink);
  }

  note(source: string, table: TableName, keys: readonly string[]): void {
    this.#sources.get(source)?.note(table, keys);
  }

  /** Messages that were passed over unread: what changed, and whether anything did, is not known. */
  passOver(source: string, count: number): void {
    this.#metrics.passedOver(source, count);
  }

  /** Changes that were passed over, and not counted. */
  noteGap(source: string, reason: RecentGap): void {
    this.#metrics.gap(source, reason);
  }

  /** By source and sink. */
  status(): ReadonlyMap<string, ReadonlyMap<string, RecentStatus>> {
    return new Map([...this.#sources].map(([name, source]) => [name, source.status()]));
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    if (this.#sources.size === 0) return;
    await this.#state.whenOpened(signal);
    await Promise.all([...this.#sources.values()].map((source) => source.run(signal)));
  }
}
