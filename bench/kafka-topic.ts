import kafkajs, { type Admin, type ITopicConfig } from 'kafkajs';
import { type BenchEnvironment } from './environment.ts';

/** One topic, seen from its offsets: nothing is consumed, so that looking takes no CPU from what is measured. */
export class KafkaTopic {
  readonly name: string;
  readonly #admin: Admin;

  constructor(brokers: readonly string[], name: string) {
    this.name = name;
    const { Kafka, logLevel } = kafkajs;
    this.#admin = new Kafka({ clientId: 'bench', brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  }

  async connect(): Promise<void> {
    await this.#admin.connect();
  }

  /**
   * As Ditto would make it, but with `LogAppendTime`: each record then carries the moment at which the broker had it.
   */
  async create(partitions: number): Promise<void> {
    const topic: ITopicConfig = {
      topic: this.name,
      numPartitions: partitions,
      replicationFactor: -1,
      configEntries: [
        { name: 'cleanup.policy', value: 'compact' },
        { name: 'message.timestamp.type', value: 'LogAppendTime' },
      ],
    };
    await this.#admin.createTopics({ topics: [topic] });
  }

  /** Records that ever got an offset; equals the number of messages while nothing is transactional. */
  async count(): Promise<number> {
    const offsets = await this.#admin.fetchTopicOffsets(this.name);
    return offsets.reduce((sum, { high }) => sum + Number(high), 0);
  }

  /** Records that the broker had up to and including that millisecond since 1970, by its own clock. */
  async countUntil(atMs: number): Promise<number> {
    const offsets = await this.#admin.fetchTopicOffsetsByTimestamp(this.name, atMs + 1);
    return offsets.reduce((sum, { offset }) => sum + Number(offset), 0);
  }

  async close(): Promise<void> {
    await this.#admin.disconnect();
  }
}

/** Makes the run's topic before Ditto does. */
export async function createTopic({ brokers, topic, options }: BenchEnvironment): Promise<void> {
  const created = new KafkaTopic(brokers, topic);
  await created.connect();
  try {
    await created.create(options.partitions);
  } finally {
    await created.close();
  }
}
