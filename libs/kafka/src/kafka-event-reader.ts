import { type Consumer, type EachBatchPayload, type Kafka } from 'kafkajs';

import { Backoff, Deferred, type DittoError, type Logger, sleep } from '#kernel';

import { type KafkaConnectionOptions } from './kafka-connection-options.ts';
import { toKafkaError } from './kafka-errors.ts';
import { createKafkaJs } from './kafkajs-client.ts';
import { type ReceivedMessage } from './published-event.ts';
import { TopicReader } from './topic-reader.ts';

export interface KafkaEventReaderRun<Event> {
  /** Readers with one group share the partitions. */
  readonly groupId: string;
  /** Topics are looked up again every `topicRefreshMs`; new ones are read from their beginning. */
  readonly topics: RegExp | readonly string[];
  readonly maxEventsPerSecond: number;
  /** A partition that is further behind is left out up to about one second's worth before its end; default 5 s' worth. */
  readonly maxLagEvents?: number;
  readonly topicRefreshMs?: number;
  /** What is given of a message; null for nothing. */
  readonly read: (topic: string, partition: number, message: ReceivedMessage) => Event | null;
  /** Events of one partition, in order. Awaited; while it takes its time nothing more is read. Rejecting brings them again. */
  readonly onEvents: (events: readonly Event[]) => Promise<void>;
  /** `count` messages were left out because the reader was too far behind. */
  readonly onJump?: (jump: { readonly topic: string; readonly partition: number; readonly count: number }) => void;
}

/** Counters since the reader was made. */
export interface KafkaEventReaderStatus {
  readonly deliveredEvents: number;
  readonly jumpedMessages: number;
  /** Messages behind the ends of the partitions, as of their newest batches. */
  readonly lagMessages: number;
  readonly topics: number;
  /** The error that the reader is backing off from; null while it reads. */
  readonly holdingBecause: string | null;
}

const DELIVER_AT_MOST = 500;

/**
 * Follows what is published, for looking at it: at a bounded rate, jumping forward when it falls behind, and reporting it.
 * Not a way to copy data: messages are left out on purpose, and some come twice after a restart.
 *
 * On kafkajs, whose batches know the partition's end and whose consumer can seek; its speed is not needed here.
 */
export class KafkaEventReader {
  readonly #options: KafkaConnectionOptions;
  readonly #logger: Logger;
  readonly #lags = new Map<string, number>();
  #deliveredEvents = 0;
  #jumpedMessages = 0;
  #topicCount = 0;
  #holdingBecause: string | null = null;
  #allowance = 0;
  #allowanceAt = 0;

  constructor(options: KafkaConnectionOptions) {
    this.#options = options;
    this.#logger = options.logger;
  }

  /** Reads until the signal is aborted, then resolves; rejects with an error that waiting doesn't heal. */
  async run<Event>(run: KafkaEventReaderRun<Event>, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ initialMs: 200, maxMs: 5_000 });
    while (!signal.aborted) {
      try {
        await this.#readTopics(createKafkaJs(this.#options), run, signal, () => backoff.reset());
      } catch (cause) {
        const error = toKafkaError(cause, 'reading events');
        const wasReading = this.#holdingBecause === null;
        this.#holdingBecause = `${error.code}: ${error.message}`;
        if (!error.retriable) throw error;
        if (wasReading) this.#warn(error);
        await sleep(backoff.nextMs(), signal).catch(() => undefined);
      }
    }
  }

  status(): KafkaEventReaderStatus {
    const lagMessages = [...this.#lags.values()].reduce((sum, lag) => sum + lag, 0);
    const deliveredEvents = this.#deliveredEvents;
    const jumpedMessages = this.#jumpedMessages;
    const topicCount = this.#topicCount;
    const holdingBecause = this.#holdingBecause;
    return { deliveredEvents, jumpedMessages, lagMessages, topics: topicCount, holdingBecause };
  }

  #warn({ code, message, remedy }: DittoError): void {
    this.#logger.warn('holding: reading events failed, trying again', { code, error: message, remedy });
  }

  /** Reads the topics that there are now; ends when there are others, or at the signal. */
  async #readTopics<Event>(
    kafka: Kafka,
    run: KafkaEventReaderRun<Event>,
    signal: AbortSignal,
    onProgress: () => void,
  ): Promise<void> {
    const reader = new TopicReader(this.#options);
    try {
      const topics = await findTopics(reader, run.topics);
      this.#topicCount = topics.length;
      this.#lags.clear();
      const consumer =
        topics.length > 0
          ? kafka.consumer({
              groupId: run.groupId,
              // a message ends the wait at once; so long the end of the reader may take
              maxWaitTimeInMs: 1_000,
              maxBytesPerPartition: 262_144,
              maxBytes: 1_048_576,
            })
          : null;
      if (consumer === null) this.#holdingBecause = null;
      // also where there is nothing to read
      consumer?.on('consumer.group_join', () => {
        this.#holdingBecause = null;
      });
      try {
        const crashed = new Deferred<never>();
        crashed.promise.catch(() => undefined);
        consumer?.on('consumer.crash', ({ payload }) => {
          if (!payload.restart) crashed.reject(payload.error);
        });
        if (consumer !== null) await this.#startConsumer(consumer, topics, run, signal, onProgress);
        await Promise.race([crashed.promise, waitForOtherTopics(reader, run, topics, signal)]);
      } finally {
        await consumer?.disconnect();
      }
    } finally {
      await reader.close();
    }
  }

  async #startConsumer<Event>(
    consumer: Consumer,
    topics: readonly string[],
    run: KafkaEventReaderRun<Event>,
    signal: AbortSignal,
    onProgress: () => void,
  ): Promise<void> {
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    const eachBatch = async (payload: EachBatchPayload): Promise<void> => {
      await this.#deliverBatch(consumer, payload, run, signal);
      this.#holdingBecause = null;
      onProgress();
    };
    await consumer.run({ eachBatchAutoResolve: false, eachBatch });
  }

  async #deliverBatch<Event>(
    consumer: Consumer,
    payload: EachBatchPayload,
    run: KafkaEventReaderRun<Event>,
    signal: AbortSignal,
  ): Promise<void> {
    const { topic, partition, messages, highWatermark } = payload.batch;
    const end = Number(highWatermark);
    const first = Number(payload.batch.firstOffset() ?? highWatermark);
    const target = end - Math.min(run.maxEventsPerSecond, end);
    if (end - first > (run.maxLagEvents ?? 5 * run.maxEventsPerSecond) && target > first) {
      consumer.seek({ topic, partition, offset: String(target) });
      this.#noteJump(run, topic, partition, target - first);
      this.#lags.set(`${topic}/${partition}`, end - target);
      return;
    }
    for (let start = 0; start < messages.length && payload.isRunning() && !payload.isStale() && !signal.aborted;) {
      const count = await this.#takeAllowance(run.maxEventsPerSecond, messages.length - start, signal, payload);
      const part = messages.slice(start, start + count);
      const events = part.map((message) => run.read(topic, partition, message)).filter((event) => event !== null);
      if (events.length > 0) await run.onEvents(events);
      const last = part.at(-1);
      if (last === undefined) break;
      payload.resolveOffset(last.offset);
      this.#deliveredEvents += events.length;
      this.#lags.set(`${topic}/${partition}`, end - Number(last.offset) - 1);
      start += count;
    }
    await payload.heartbeat();
  }

  #noteJump(run: Pick<KafkaEventReaderRun<never>, 'onJump'>, topic: string, partition: number, count: number): void {
    this.#jumpedMessages += count;
    run.onJump?.({ topic, partition, count });
  }

  /** Waits until events may be delivered; gives how many, at most `wanted`, 0 only at the signal. */
  async #takeAllowance(
    perSecond: number,
    wanted: number,
    signal: AbortSignal,
    payload: EachBatchPayload,
  ): Promise<number> {
    for (;;) {
      const now = performance.now();
      this.#allowance = Math.min(perSecond, this.#allowance + ((now - this.#allowanceAt) * perSecond) / 1000);
      this.#allowanceAt = now;
      const granted = Math.min(Math.floor(this.#allowance), wanted, DELIVER_AT_MOST);
      if (signal.aborted) return 0;
      if (granted > 0) {
        this.#allowance -= granted;
        return granted;
      }
      await payload.heartbeat();
      await sleep(50, signal).catch(() => undefined);
    }
  }
}

async function findTopics(reader: TopicReader, wanted: RegExp | readonly string[]): Promise<string[]> {
  const existing = await reader.listTopics();
  return existing.filter((topic) => (wanted instanceof RegExp ? wanted.test(topic) : wanted.includes(topic))).sort();
}

async function waitForOtherTopics(
  reader: TopicReader,
  run: Pick<KafkaEventReaderRun<never>, 'topics' | 'topicRefreshMs'>,
  topics: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const known = topics.join();
  const refresh = async (): Promise<boolean> => {
    await sleep(run.topicRefreshMs ?? 5_000, signal).catch(() => undefined);
    return signal.aborted || (await findTopics(reader, run.topics)).join() !== known;
  };
  while (!(await refresh()));
}
