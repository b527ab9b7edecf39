import { Injectable } from '@nestjs/common';
import { topicName } from '#change-events';
import { type DittoConfig, requireSection, type SourceConfig, toKafkaOptions } from '#configuration';
import { type ChangedKey, compileTopicPattern, KafkaEventReader, readChangedKey } from '#kafka';
import { isAbort, sleep, toDittoError } from '#kernel';
import { createLogger, InjectConfig, LongWork, Metrics, Shutdown } from '#platform';
import { StateDatabase, StateTableStore } from '#state';
import { RecentRows } from './recent-rows.ts';
import { type TopicTable, TopicTables } from './topic-tables.ts';

/** A partition that is further behind is passed over up to a second's worth before its end. */
const MOST_MESSAGES_PER_SECOND = 20_000;
const TOPIC_REFRESH_MS = 2_000;
/** After an error that waiting was not expected to heal: a person may have healed it. */
const RESTART_AFTER_MS = 30_000;
/** Clocks of two machines differ. */
const CLOCKS_MS = 5_000;

/**
 * Notes the keys of the rows that change, from the topics of the sources: the workers share the partitions as one consumer
 * group. What was published before this worker began is passed over.
 */
@Injectable()
export class TopicFollower extends LongWork {
  readonly #config: DittoConfig;
  readonly #rows: RecentRows;
  readonly #state: StateDatabase;
  readonly #tables: TopicTables;
  readonly #sources: readonly SourceConfig[];
  readonly #reader: KafkaEventReader | null;
  readonly #logger = createLogger('verification');
  readonly #sinceMs = Date.now() - CLOCKS_MS;
  /** Partitions that this worker has read of. */
  readonly #read = new Set<string>();
  /** The error that it rests after. */
  #stoppedBecause: string | null = null;

  constructor(
    @InjectConfig() config: DittoConfig,
    rows: RecentRows,
    state: StateDatabase,
    metrics: Metrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#config = config;
    this.#rows = rows;
    this.#state = state;
    this.#sources = rows.listFollowed('kafka', config);
    const store = new StateTableStore(state);
    this.#tables = new TopicTables({ load: () => loadTables(store, this.#sources) });
    this.#reader = this.#sources.length === 0 ? null : createReader(config);
    metrics.gauge(
      'recent_lag_messages',
      'Messages of Kafka that this worker has not looked at yet for recent changes.',
      [],
      (gauge) => gauge.set(this.#reader?.status().lagMessages ?? 0),
    );
  }

  /** Why the topics of the source can not be read at the moment; null while they are, and for a source without topics. */
  holdingBecause(source: string): string | null {
    if (!this.#sources.some(({ name }) => name === source)) return null;
    return this.#stoppedBecause ?? this.#reader?.status().holdingBecause ?? null;
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    if (this.#reader === null) return;
    await this.#state.whenOpened(signal);
    while (!signal.aborted)
      try {
        await this.#follow(this.#reader, signal);
      } catch (error) {
        if (isAbort(error)) return;
        const { code, message, remedy } = toDittoError(error);
        const retryInMs = RESTART_AFTER_MS;
        this.#logger.error('recent changes can not be read', { code, error: message, remedy, retryInMs });
        this.#stoppedBecause = `${code}: ${message}`;
        await sleep(RESTART_AFTER_MS, signal).catch(() => undefined);
        this.#stoppedBecause = null;
      }
  }

  #follow(reader: KafkaEventReader, signal: AbortSignal): Promise<void> {
    const { redis, verification } = this.#config;
    const run = {
      groupId: verification.recent.consumerGroup ?? `${redis.keyPrefix}-dws-recent-changes`,
      topics: compileTopicPattern(this.#sources.map(({ name }) => name)),
      maxEventsPerSecond: MOST_MESSAGES_PER_SECOND,
      topicRefreshMs: TOPIC_REFRESH_MS,
      read: readChangedKey,
      onEvents: (changed: readonly ChangedKey[]) => this.#note(changed),
      onJump: ({ topic, partition, count }: { topic: string; partition: number; count: number }) => {
        const source = this.#tables.get(topic)?.source;
        // where a worker begins it does not know how much is recent
        if (source !== undefined && this.#read.has(`${topic}/${partition}`)) this.#rows.passOver(source, count);
      },
    };
    return reader.run(run, signal);
  }

  /** All are of one partition. */
  async #note(changed: readonly ChangedKey[]): Promise<void> {
    const [first] = changed;
    if (first === undefined) return;
    const { topic, partition } = first;
    const of = await this.#tables.find(topic);
    if (of === undefined) return;
    this.#read.add(`${topic}/${partition}`);
    const recent = changed.filter(({ publishedMs }) => publishedMs >= this.#sinceMs);
    this.#rows.note(
      of.source,
      of.table,
      recent.map(({ key }) => key),
    );
  }
}

async function loadTables(
  store: StateTableStore,
  sources: readonly SourceConfig[],
): Promise<ReadonlyMap<string, TopicTable>> {
  const topics = new Map<string, TopicTable>();
  for (const { name: source } of sources)
    for (const { database, table } of await store.load(source))
      topics.set(topicName(source, database, table), { source, table: { database, table } });
  return topics;
}

function createReader({ kafka }: DittoConfig): KafkaEventReader {
  const section = requireSection(kafka, 'kafka');
  const logger = createLogger('kafka');
  return new KafkaEventReader({ ...toKafkaOptions(section), clientId: `${section.clientId}-dws`, logger });
}
