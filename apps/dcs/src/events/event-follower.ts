import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { isAbort, sleep, toDittoError } from '#kernel';
import { compileTopicPattern, KafkaEventReader, parsePublishedEvent } from '#kafka';
import { type DittoConfig, type KafkaConfig, toKafkaOptions } from '#configuration';
import { createLogger, InjectConfig, Metrics } from '#platform';
import { RedisRecentEvents } from '#redis';
import { EventIntake } from './event-intake.ts';

const TELL_GAPS_EVERY_MS = 1_000;
/** After an error that waiting was not expected to heal: a person may have healed it. */
const RESTART_AFTER_MS = 30_000;
const TOPIC_REFRESH_MS = 2_000;

/** Follows the topics of all sources with a consumer group of its own, so that the pipelines don't pay for the window. */
@Injectable()
export class EventFollower implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #config: DittoConfig;
  readonly #intake: EventIntake;
  readonly #reader: KafkaEventReader | null;
  readonly #sources: readonly string[];
  readonly #logger = createLogger('recent-events');
  readonly #stopping = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(@InjectConfig() config: DittoConfig, window: RedisRecentEvents, metrics: Metrics) {
    this.#config = config;
    const { sources, kafka, dcs } = config;
    this.#sources = Object.values(sources)
      .filter(({ sinks }) => sinks.includes('kafka'))
      .map(({ name }) => name);
    const isEnabled = dcs.recentEvents.enabled && kafka !== null && this.#sources.length > 0;
    this.#reader = isEnabled ? createReader(kafka) : null;
    const kept = metrics.counter('recent_events_kept_total', 'Changes put into the window of recent events', [
      'source',
    ]);
    const skipped = metrics.counter(
      'recent_events_skipped_total',
      'Changes left out of the window, because there were too many',
      ['source'],
    );
    metrics.gauge('recent_events_lag_messages', 'Messages that the reader of recent events is behind', [], (gauge) =>
      gauge.set(this.#reader?.status().lagMessages ?? 0),
    );
    this.#intake = new EventIntake({
      keeper: window,
      logger: this.#logger,
      onKept: (source, events) => kept.inc({ source }, events),
      onSkipped: (source, events) => skipped.inc({ source }, events),
    });
  }

  /** Why this instance is not reading at the moment; null while it reads, or has nothing to read. */
  get holdingBecause(): string | null {
    return this.#reader?.status().holdingBecause ?? null;
  }

  onApplicationBootstrap(): void {
    if (!this.#reader) return;
    this.#running = Promise.allSettled([this.#follow(this.#reader), this.#tellGaps()]);
  }

  async onModuleDestroy(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #follow(reader: KafkaEventReader): Promise<void> {
    const { signal } = this.#stopping;
    const { redis, dcs } = this.#config;
    const run = {
      groupId: `${redis.keyPrefix}-dcs-recent-events`,
      topics: compileTopicPattern(this.#sources),
      maxEventsPerSecond: dcs.recentEvents.maxEventsPerSecond,
      topicRefreshMs: TOPIC_REFRESH_MS,
      read: parsePublishedEvent,
      onEvents: (events: Parameters<EventIntake['accept']>[0]) => this.#intake.accept(events, signal),
      onJump: ({ topic, count }: { readonly topic: string; readonly count: number }) =>
        this.#intake.noteJump(topic, count),
    };
    while (!signal.aborted) {
      try {
        await reader.run(run, signal);
      } catch (error) {
        if (isAbort(error)) return;
        const { code, message, remedy } = toDittoError(error);
        const retryInMs = RESTART_AFTER_MS;
        this.#logger.error('recent events can not be read', { code, error: message, remedy, retryInMs });
        await sleep(RESTART_AFTER_MS, signal);
      }
    }
  }

  async #tellGaps(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      await sleep(TELL_GAPS_EVERY_MS, signal);
      await this.#intake.tellGaps(signal);
    }
  }
}

function createReader(kafka: KafkaConfig): KafkaEventReader {
  const logger = createLogger('kafka');
  return new KafkaEventReader({ ...toKafkaOptions(kafka), clientId: `${kafka.clientId}-dcs`, logger });
}
