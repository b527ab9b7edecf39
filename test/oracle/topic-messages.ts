import { Admin, Consumer, type KafkaRecord } from '@platformatic/kafka';
import { randomUUID } from 'node:crypto';

/** A message as it is in the log of its partition. */
export interface TopicMessage {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [Buffer | null, Buffer | null])[];
}

const CONTROL_BATCH = 0x20;
const FETCH_BYTES = 4 * 1024 * 1024;

/** Reads topics from their first message to the end as of now, partition by partition, without a consumer group. */
export class TopicMessages {
  readonly #admin: Admin;
  readonly #consumer: Consumer;

  constructor(brokers: readonly string[]) {
    const options = { clientId: 'oracle', bootstrapBrokers: [...brokers], retries: 5 };
    this.#admin = new Admin(options);
    // the client wants the name of a group; without joining it, none is made
    this.#consumer = new Consumer({ ...options, groupId: `oracle-${randomUUID()}` });
  }

  /** The topics among `names` that exist. */
  async findTopics(names: readonly string[]): Promise<Set<string>> {
    const topics = await this.#admin.listTopics();
    return new Set(names.filter((name) => topics.includes(name)));
  }

  async countPartitions(topic: string): Promise<number> {
    const { topics } = await this.#consumer.metadata({ topics: [topic] });
    return topics.get(topic)?.partitions.length ?? 0;
  }

  async read(topic: string, onMessage: (message: TopicMessage) => void): Promise<void> {
    const { topics } = await this.#consumer.metadata({ topics: [topic] });
    const described = topics.get(topic);
    if (described === undefined) throw new Error(`There is no topic ${topic}.`);
    const [starts, ends] = await Promise.all([this.#listOffsets(topic, -2n), this.#listOffsets(topic, -1n)]);
    for (const [partition, { leader }] of described.partitions.entries()) {
      const [start, end] = [starts[partition] ?? 0n, ends[partition] ?? 0n];
      await this.#readPartition({ topicId: described.id, leader, partition, start, end }, onMessage);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#admin.close(), this.#consumer.close(true)]);
  }

  async #listOffsets(topic: string, timestamp: bigint): Promise<readonly bigint[]> {
    return (await this.#consumer.listOffsets({ topics: [topic], timestamp })).get(topic) ?? [];
  }

  async #readPartition(range: PartitionRange, onMessage: (message: TopicMessage) => void): Promise<void> {
    let next = range.start;
    let pending = next < range.end ? this.#fetch(range, next) : null;
    while (pending !== null) {
      const batches = await pending;
      const after = batches.reduce(
        (offset, { firstOffset, lastOffsetDelta }) => max(offset, firstOffset + BigInt(lastOffsetDelta) + 1n),
        next,
      );
      const from = next;
      next = after;
      pending = next < range.end ? this.#fetch(range, next) : null;
      for (const { attributes, firstOffset, records } of batches) {
        if ((attributes & CONTROL_BATCH) !== 0) continue;
        for (const record of records) {
          const offset = firstOffset + BigInt(record.offsetDelta);
          if (offset >= from && offset < range.end) onMessage(describeRecord(range.partition, offset, record));
        }
      }
    }
  }

  async #fetch({ topicId, leader, partition }: PartitionRange, fetchOffset: bigint): Promise<readonly Batch[]> {
    const { errorCode, responses } = await this.#consumer.fetch({
      node: leader,
      maxWaitTime: 500,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      topics: [
        {
          topicId,
          partitions: [
            { partition, currentLeaderEpoch: -1, fetchOffset, lastFetchedEpoch: -1, partitionMaxBytes: FETCH_BYTES },
          ],
        },
      ],
    });
    const found = responses
      .flatMap(({ partitions }) => partitions)
      .find(({ partitionIndex }) => partitionIndex === partition);
    const code = found === undefined ? errorCode : found.errorCode;
    if (code !== 0) throw new Error(`Reading partition ${partition} failed with Kafka error ${code}.`);
    return found?.records ?? [];
  }
}

interface PartitionRange {
  readonly topicId: string;
  readonly leader: number;
  readonly partition: number;
  readonly start: bigint;
  readonly end: bigint;
}

interface Batch {
  readonly attributes: number;
  readonly firstOffset: bigint;
  readonly lastOffsetDelta: number;
  readonly records: readonly KafkaRecord[];
}

function describeRecord(partition: number, offset: bigint, { key, value, headers }: KafkaRecord): TopicMessage {
  return { partition, offset, key, value, headers };
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** `<prefix>.<database>.<table>`; characters that a topic's name can't hold are escaped as `_xHHHH`. */
export function topicOf(prefix: string, database: string, table: string): string {
  const escape = (name: string): string =>
    name.replace(
      /[^A-Za-z0-9_-]/g,
      (character) => `_x${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
    );
  return `${prefix}.${escape(database)}.${escape(table)}`;
}
