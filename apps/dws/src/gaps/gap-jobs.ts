import { Injectable } from '@nestjs/common';
import { type DittoConfig, requireSection, type SourceConfig, toRedisOptions } from '#configuration';
import { MessageSearch } from '#kafka';
import { toDittoError } from '#kernel';
import { compileTableRules } from '#mysql';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection, RedisGapPlaces } from '#redis';
import { type ChangeSource, FailedEventStore, type SourceBatch } from '#replication';
import { StateDatabase, StateTableStore, TopicPartitionStore } from '#state';
import { MismatchStore } from '#verification';
import { TopicConnection } from '../connections/topic-connection.ts';
import { RecurringJobs } from '../jobs/recurring-jobs.ts';
import { GapMetrics } from '../metrics/gap-metrics.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { MismatchReports } from '../verification/mismatch-reports.ts';
import { VerifiedSources } from '../verification/verified-sources.ts';
import { GapCheck, type GapCheckResult } from './gap-check.ts';

const MOST_LOG_MS = 5_000;
const MOST_TOPICS_MS = 20_000;
/** A few hundred bytes of memory each. */
const MOST_MESSAGES = 50_000;
/** Of one partition: what is newer than the range, and what came before it. */
const MOST_SEARCHED = 200_000;

/** A turn of the check for gaps of each source with topics, every `verification.gaps.intervalMs`. */
@Injectable()
export class GapJobs extends LongWork {
  readonly #config: DittoConfig;
  readonly #sources: VerifiedSources;
  readonly #tables: StateTableStore;
  readonly #partitions: TopicPartitionStore;
  readonly #topics: TopicConnection;
  readonly #places: RedisGapPlaces;
  readonly #mismatches: MismatchStore;
  readonly #failedEvents: FailedEventStore;
  readonly #reports: MismatchReports;
  readonly #metrics: GapMetrics;
  readonly #state: StateDatabase;
  readonly #logger = createLogger('gaps');
  readonly #jobs: RecurringJobs<{ readonly source: string }, GapCheckResult> | null;
  readonly #checks = new Map<string, GapCheck>();

  constructor(
    @InjectConfig() config: DittoConfig,
    sources: VerifiedSources,
    state: StateDatabase,
    redis: RedisConnection,
    topics: TopicConnection,
    mismatches: MismatchStore,
    failedEvents: FailedEventStore,
    reports: MismatchReports,
    metrics: GapMetrics,
    jobMetrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#config = config;
    this.#sources = sources;
    this.#state = state;
    this.#tables = new StateTableStore(state);
    this.#partitions = new TopicPartitionStore(state);
    this.#topics = topics;
    this.#places = new RedisGapPlaces(redis);
    this.#mismatches = mismatches;
    this.#failedEvents = failedEvents;
    this.#reports = reports;
    this.#metrics = metrics;
    const { intervalMs } = config.verification.gaps;
    const names = Object.values(config.sources)
      .filter(({ sinks }) => sinks.includes('kafka'))
      .map(({ name }) => name);
    this.#jobs =
      intervalMs === 0 || names.length === 0
        ? null
        : new RecurringJobs({
            name: 'gaps',
            redis: toRedisOptions(config.redis),
            prefix: redis.keys.jobs(),
            everyMs: intervalMs,
            // each holds what it looks for in memory
            concurrency: 1,
            schedules: new Map(names.map((source) => [source, { source }])),
            run: ({ source }, signal) => this.#checkOf(source).turn(signal),
            keptResults: 0,
            signal: shutdown.signal,
            metrics: jobMetrics,
            logger: this.#logger,
          });
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    if (this.#jobs === null) return;
    await this.#state.whenOpened(signal);
    await this.#jobs.run();
  }

  #checkOf(name: string): GapCheck {
    const config = this.#config.sources[name];
    if (config === undefined) throw new Error(`the source ${name} is not configured`);
    const check = this.#checks.get(name) ?? this.#create(config);
    this.#checks.set(name, check);
    return check;
  }

  #create(config: SourceConfig): GapCheck {
    const { name } = config;
    const rules = compileTableRules(config);
    const { reader } = this.#topics.open();
    const { maxBytes } = this.#config.verification.gaps;
    return new GapCheck({
      source: name,
      log: { stream: (range) => this.#stream(name, range) },
      includes: rules.includes,
      bigint: requireSection(this.#config.kafka, 'kafka').bigint,
      readCheckpoint: (signal) => this.#sources.open(name).then((source) => source.readCheckpoint(signal)),
      tables: this.#tables,
      countPartitions: (topics) => reader.countPartitions(topics),
      recordedPartitions: (source) => this.#partitions.list(source),
      search: new MessageSearch({ reader, mostMessages: MOST_SEARCHED }),
      places: this.#places,
      mismatches: this.#mismatches,
      failedEvents: this.#failedEvents,
      bounds: { bytes: maxBytes, messages: MOST_MESSAGES, logMs: MOST_LOG_MS, topicsMs: MOST_TOPICS_MS },
      onFound: (found) => this.#reports.report(found),
      onJudged: (outcome, messages) => this.#metrics.judged(name, outcome, messages),
      onUnreadable: (topic, error) => {
        const { code, message } = toDittoError(error);
        this.#logger.warn('a topic can not be read for lost messages', { source: name, topic, code, error: message });
      },
      onCut: (reason) => this.#metrics.cut(name, reason),
    });
  }

  /** The log of the server that the source is streamed from now. */
  async *#stream(name: string, range: Parameters<ChangeSource['stream']>[0]): AsyncGenerator<SourceBatch, void> {
    const { log } = await this.#sources.open(name);
    yield* log.stream(range);
  }
}
