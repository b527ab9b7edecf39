import { Like } from 'typeorm';
import { TopicPartitionsEntity } from './entities/topic-partitions.entity.ts';
import { type StateDatabase } from './state-database.ts';

/** Remembers by how many partitions the keys of a topic are spread. */
export class TopicPartitionStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** Null when the topic was never used. */
  async load(topic: string): Promise<number | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(TopicPartitionsEntity, { topic }));
    return row?.partitions ?? null;
  }

  /** By topic, of all topics of a source. */
  async list(source: string): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#database.run((manager) =>
      manager.findBy(TopicPartitionsEntity, { topic: Like(`${source}.%`) }),
    );
    return new Map(rows.map(({ topic, partitions }) => [topic, partitions]));
  }

  /** At first use, and when an operator accepts another count: keys move, so the topic's lanes must be empty then. */
  async save(topic: string, partitions: number): Promise<void> {
    await this.#database.transaction((manager) =>
      manager.upsert(TopicPartitionsEntity, { topic, partitions, atMs: Date.now() }, ['topic']),
    );
  }
}
