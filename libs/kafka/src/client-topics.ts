import { sleep, withTimeout } from '#kernel';

import { type TopicDescription, type TopicSpec } from './kafka-client.ts';
import { isExistingTopic, isMissingTopic, KAFKA_ERROR_CODES, timedOut, toKafkaError } from './kafka-errors.ts';

/** What a library asks the brokers about one topic. Rejects with the library's own errors. */
export interface TopicRequests {
  readonly create: (spec: TopicSpec) => Promise<unknown>;
  /** None of a topic that the brokers do not know. */
  readonly listPartitions: (topic: string) => Promise<readonly TopicPartition[]>;
  /** In Kafka's words; one that is not shown is null. */
  readonly readSettings: (topic: string) => Promise<TopicSettings>;
}

export interface TopicPartition {
  readonly hasLeader: boolean;
  readonly replicas: number;
}

export type TopicSettings = ReadonlyMap<string, string | null | undefined>;

const PAUSE_MS = 20;

/** The topics of a `KafkaClient`, whichever library asks for them. */
export class ClientTopics {
  readonly #requests: TopicRequests;
  readonly #timeoutMs: number;

  constructor(requests: TopicRequests, timeoutMs: number) {
    this.#requests = requests;
    this.#timeoutMs = timeoutMs;
  }

  /** `KafkaClient.ensureTopic` */
  async ensure(spec: TopicSpec): Promise<TopicDescription> {
    const { topic } = spec;
    const what = `creating topic ${topic}`;
    try {
      if ((await this.count(topic)) === null) await this.#bounded((signal) => this.#create(spec, signal), what);
      return await this.#bounded((signal) => this.#describe(topic, signal), what);
    } catch (cause) {
      throw toKafkaError(cause, what, { topic });
    }
  }

  /** `KafkaClient.partitionCount` */
  async count(topic: string): Promise<number | null> {
    const what = `reading topic ${topic}`;
    try {
      const { length } = await this.#bounded(() => this.#requests.listPartitions(topic), what);
      return length === 0 ? null : length;
    } catch (cause) {
      if (isMissingTopic(cause)) return null;
      throw toKafkaError(cause, what, { topic });
    }
  }

  async #create(spec: TopicSpec, signal: AbortSignal): Promise<void> {
    try {
      await this.#requests.create(spec);
    } catch (cause) {
      if (!isExistingTopic(cause)) throw cause;
    }
    while (!(await this.#hasLeaders(spec.topic))) await sleep(PAUSE_MS, signal);
  }

  async #hasLeaders(topic: string): Promise<boolean> {
    try {
      const partitions = await this.#requests.listPartitions(topic);
      return partitions.length > 0 && partitions.every(({ hasLeader }) => hasLeader);
    } catch (cause) {
      const error = toKafkaError(cause, `reading topic ${topic}`);
      if (error.retriable) return false;
      throw error;
    }
  }

  /** A topic that was just created is known to some brokers before others: asks until it is known. */
  async #describe(topic: string, signal: AbortSignal): Promise<TopicDescription> {
    for (;;) {
      try {
        const [first, ...others] = await this.#requests.listPartitions(topic);
        const settings = await this.#readSettings(topic);
        if (first !== undefined) return describe(1 + others.length, first.replicas, settings);
      } catch (error) {
        if (!isMissingTopic(error)) throw error;
      }
      await sleep(PAUSE_MS, signal);
    }
  }

  /** Empty when this client may not see them. */
  async #readSettings(topic: string): Promise<TopicSettings> {
    try {
      return await this.#requests.readSettings(topic);
    } catch (cause) {
      if (toKafkaError(cause, `reading topic ${topic}`).code === KAFKA_ERROR_CODES.unauthorized) return new Map();
      throw cause;
    }
  }

  /** Work that is too late is also ended: the signal is aborted. */
  async #bounded<T>(work: (signal: AbortSignal) => Promise<T>, what: string): Promise<T> {
    const ms = this.#timeoutMs;
    const end = new AbortController();
    try {
      return await withTimeout(work(end.signal), ms, () => timedOut(what, ms));
    } finally {
      end.abort();
    }
  }
}

function describe(partitions: number, replicationFactor: number, settings: TopicSettings): TopicDescription {
  return {
    partitions,
    replicationFactor,
    cleanupPolicy: settings.get('cleanup.policy') ?? null,
    minInSyncReplicas: toNumber(settings.get('min.insync.replicas')),
    maxMessageBytes: toNumber(settings.get('max.message.bytes')),
  };
}

function toNumber(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}
