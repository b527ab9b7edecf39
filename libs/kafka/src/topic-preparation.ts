import { hasKey, type TableLayout, topicName } from '#change-events';
import { DittoError, type Logger, RESYNC } from '#kernel';

import { type KafkaClient, type TopicDescription } from './kafka-client.ts';
import { KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { type PartitionCountStore } from './partition-count-store.ts';

export interface TopicDefaults {
  /** Whether a missing topic is created; default true. */
  readonly create?: boolean;
  readonly partitions: number;
  readonly replicationFactor: number;
  /** Over the defaults below, in Kafka's words. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface TopicPreparationOptions {
  readonly client: KafkaClient;
  readonly counts: PartitionCountStore;
  /** First part of every topic's name. */
  readonly prefix: string;
  readonly topics: TopicDefaults;
  readonly logger: Logger;
}

/** A topic that may be published to. */
export interface PreparedTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly maxMessageBytes: number | null;
}

/**
 * Compaction keeps the newest message of each key, so it needs keys: without one the brokers refuse the message, and
 * such a topic keeps everything instead. With three replicas two must have a message before it counts as confirmed.
 */
function chooseConfig(keyed: boolean, { replicationFactor, config }: TopicDefaults): Readonly<Record<string, string>> {
  const safe: Readonly<Record<string, string>> = replicationFactor >= 3 ? { 'min.insync.replicas': '2' } : {};
  if (keyed) return { ...safe, 'cleanup.policy': 'compact', ...config };
  return { ...safe, ...config, 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' };
}

/** Creates or checks the topic of a table. */
export class TopicPreparation {
  readonly #options: TopicPreparationOptions;
  readonly #warned = new Set<string>();

  constructor(options: TopicPreparationOptions) {
    this.#options = options;
  }

  async prepare(layout: TableLayout): Promise<PreparedTopic> {
    const { client, counts, prefix, topics } = this.#options;
    const topic = topicName(prefix, layout.database, layout.table);
    const keyed = hasKey(layout);
    if (topics.create === false) await this.#assertExists(topic);
    const stored = await counts.load(topic);
    const found = await client.ensureTopic({
      topic,
      partitions: stored ?? (keyed ? topics.partitions : 1),
      replicationFactor: topics.replicationFactor,
      config: chooseConfig(keyed, topics),
    });
    if (!keyed) assertKeepsMessagesWithoutKey(topic, found);
    if (stored === null) await counts.save(topic, found.partitions);
    else assertPartitionCount(topic, stored, found.partitions);
    this.#warnOfWeakPromises(found);
    return { topic, partitions: found.partitions, maxMessageBytes: found.maxMessageBytes };
  }

  /** Whether anything can have been published of the table. */
  async hasTopic({ database, table }: TableLayout): Promise<boolean> {
    const { client, prefix } = this.#options;
    return (await client.partitionCount(topicName(prefix, database, table))) !== null;
  }

  /** The topic of statements, named like the source: it keeps everything, and its first partition is used. */
  async prepareSchemaTopic(): Promise<PreparedTopic> {
    const { client, prefix, topics } = this.#options;
    if (topics.create === false) await this.#assertExists(prefix);
    const found = await client.ensureTopic({
      topic: prefix,
      partitions: 1,
      replicationFactor: topics.replicationFactor,
      config: chooseConfig(false, topics),
    });
    this.#warnOfWeakPromises(found);
    if (found.cleanupPolicy?.includes('compact') === true)
      this.#warnOnce('the topic of statements is compacted: only the newest of each database are kept', {
        topic: prefix,
      });
    return { topic: prefix, partitions: 1, maxMessageBytes: found.maxMessageBytes };
  }

  async #assertExists(topic: string): Promise<void> {
    if ((await this.#options.client.partitionCount(topic)) !== null) return;
    throw new DittoError(KAFKA_ERROR_CODES.topicMissing, `topic ${topic} does not exist and may not be created`, {
      remedy: `Create topic ${topic}, or let Ditto create topics.`,
      context: { topic },
    });
  }

  #warnOfWeakPromises({ replicationFactor, minInSyncReplicas }: TopicDescription): void {
    if (replicationFactor < 3)
      this.#warnOnce(
        'replication factor below 3: a broker that dies takes confirmed messages with it or stops publishing',
        { replicationFactor },
      );
    if (minInSyncReplicas !== null && minInSyncReplicas < 2)
      this.#warnOnce('min.insync.replicas below 2: a message is confirmed while only one broker has it', {
        minInSyncReplicas,
      });
  }

  #warnOnce(message: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.#options.logger.warn(message, { source: this.#options.prefix, ...fields });
  }
}

function assertKeepsMessagesWithoutKey(topic: string, { cleanupPolicy }: TopicDescription): void {
  if (cleanupPolicy?.includes('compact') !== true) return;
  throw new DittoError(KAFKA_ERROR_CODES.compactedWithoutKey, `topic ${topic} is compacted, but its table has no key`, {
    remedy: `Set cleanup.policy=delete on topic ${topic}, name unique not-null columns as the table's key, or exclude the table.`,
    context: { topic, cleanupPolicy },
  });
}

function assertPartitionCount(topic: string, stored: number, partitions: number): void {
  if (stored === partitions) return;
  throw new DittoError(
    KAFKA_ERROR_CODES.partitionsChanged,
    `topic ${topic} had ${stored} partitions and now has ${partitions}`,
    {
      remedy: `Keys would move between partitions: delete the topic, create it with ${stored} partitions, then ${RESYNC}.`,
      context: { topic, stored, partitions },
    },
  );
}
