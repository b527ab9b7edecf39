import { DittoError } from '#kernel';
import { type MessageIdentity, type PartitionBounds, type StoredBatch, type TopicReader } from '../src/topic-reader.ts';

/** Topics in memory, read in pages of two batches as `TopicReader` gives them; counts the pages. */
export class FakeTopics {
  pages = 0;
  /** Thrown by the next reads. */
  readonly failures: Error[] = [];
  readonly #topics = new Map<string, StoredBatch[][]>();

  /** One batch with these messages, `[id, version]`. */
  append(topic: string, partition: number, ...messages: readonly (readonly [id: string, version: string])[]): void {
    const partitions = this.#topics.get(topic) ?? [];
    this.#topics.set(topic, partitions);
    for (let index = partitions.length; index <= partition; index++) partitions.push([]);
    const batches = partitions[partition] as StoredBatch[];
    const firstOffset = batches.at(-1)?.endOffset ?? 0;
    const stored = messages.map(([id, version], i): MessageIdentity => ({ offset: firstOffset + i, id, version }));
    batches.push({ firstOffset, endOffset: firstOffset + messages.length, messages: stored });
  }

  get reader(): TopicReader {
    return {
      listTopics: () => Promise.resolve([...this.#topics.keys()]),
      countPartitions: (topics: readonly string[]) =>
        Promise.resolve(new Map(topics.map((topic) => [topic, this.#topics.get(topic)?.length ?? 0]))),
      findBounds: (topic: string, partition: number): Promise<PartitionBounds> => {
        const failure = this.failures.shift();
        if (failure !== undefined) return Promise.reject(failure);
        if (!this.#topics.has(topic))
          return Promise.reject(
            new DittoError('DITTO_KAFKA_UNAVAILABLE', `Unknown topic ${topic}.`, { retriable: true }),
          );
        return Promise.resolve({ start: 0, end: this.#batchesOf(topic, partition).at(-1)?.endOffset ?? 0 });
      },
      readBackwards: (topic: string, partition: number, bounds: PartitionBounds) =>
        this.#readBackwards(this.#batchesOf(topic, partition), bounds),
    } as unknown as TopicReader;
  }

  #batchesOf(topic: string, partition: number): readonly StoredBatch[] {
    return this.#topics.get(topic)?.[partition] ?? [];
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as the reader gives them
  async *#readBackwards(
    batches: readonly StoredBatch[],
    { end }: PartitionBounds,
  ): AsyncGenerator<readonly StoredBatch[], void> {
    const within = batches.filter(({ firstOffset }) => firstOffset < end);
    for (let to = within.length; to > 0; to -= 2) {
      this.pages++;
      yield within.slice(Math.max(0, to - 2), to);
    }
  }
}
