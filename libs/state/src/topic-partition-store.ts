import { TopicPartitionsEntity } from './entities/topic-partitions.entity.ts';
import { type StateDatabase } from './state-database.ts';

/** Remembers by how many partitions the keys of a topic are spread. */
export class TopicPartitionStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** Stores the count at first use; afterwards gives what was stored, whatever is passed. */
  async remember(topic: string, partitions: number): Promise<number> {
    return this.#database.run(async (manager) => {
      await manager.query('INSERT INTO topic_partitions (topic, partitions, at_ms) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE topic = topic', [
        topic,
        partitions,
        Date.now(),
      ]);
      const row = await manager.findOneByOrFail(TopicPartitionsEntity, { topic });
      return row.partitions;
    });
  }

  /** Null when the topic was never used. */
  async load(topic: string): Promise<number | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(TopicPartitionsEntity, { topic }));
    return row?.partitions ?? null;
  }

  /** An operator's word that the count has changed; keys move, so the topic's lanes must be empty. */
  async accept(topic: string, partitions: number): Promise<void> {
    await this.#database.run((manager) => manager.upsert(TopicPartitionsEntity, { topic, partitions, atMs: Date.now() }, ['topic']));
  }
}
