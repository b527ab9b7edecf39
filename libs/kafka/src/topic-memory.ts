import { parseVersion } from '#change-events';
import { SinkMemory } from '#replication';

import { isVersion } from './message-version.ts';
import { retryBriefly } from './retry-briefly.ts';
import { type MessageIdentity, type StoredBatch, type TopicReader } from './topic-reader.ts';

export interface TopicMemoryOptions {
  readonly reader: TopicReader;
  /** The source's name: first part of every topic. */
  readonly source: string;
}

interface Partition {
  readonly topic: string;
  readonly partition: number;
}

/**
 * A process that lost the source may have had one batch of a partition under way, which is written after newer ones. So a
 * partition is read back until several batches in a row have nothing of use.
 */
export const OLD_BATCHES = 4;
export const PARTITIONS_AT_ONCE = 8;
/** MySQL's with and without a tag, MariaDB's; in a `ditto.id` one is followed by the index of the row. */
const GTID =
  /^((?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?::[a-z_][a-z0-9_]*)?:|\d+-\d+-)(\d+)\//;

/**
 * What the topics of a source know: the headers of the newest messages of each partition, tombstones, tables without a
 * key and statements included. Messages without these headers are not Ditto's and are passed over.
 */
export class TopicMemory extends SinkMemory {
  readonly #reader: TopicReader;
  readonly #source: string;

  constructor({ reader, source }: TopicMemoryOptions) {
    super();
    this.#reader = reader;
    this.#source = source;
  }

  override async newestLineage(signal: AbortSignal): Promise<number> {
    let newest = 0;
    await this.#readNewest(signal, ({ version }) => {
      newest = Math.max(newest, parseVersion(version).lineage);
      return false;
    });
    return newest;
  }

  override async gtidsAbove(version: string, signal: AbortSignal): Promise<readonly string[]> {
    const greatest = new Map<string, number>();
    await this.#readNewest(signal, (message) => {
      if (message.version <= version) return false;
      noteGtid(message, greatest);
      return true;
    });
    return [...greatest].map(([origin, number]) => `${origin}${number}`);
  }

  /** `note` is called for messages with a valid version, newest batch first; it says whether older ones may be of use. */
  async #readNewest(signal: AbortSignal, note: (message: MessageIdentity) => boolean): Promise<void> {
    const left = await this.#listPartitions(signal);
    const readOn = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const partition = next;
        await retryBriefly(signal, () => this.#readPartition(partition, signal, note));
      }
    };
    await Promise.all(Array.from({ length: PARTITIONS_AT_ONCE }, readOn));
  }

  async #listPartitions(signal: AbortSignal): Promise<Partition[]> {
    const isOurs = (topic: string): boolean =>
      topic === this.#source || (topic.startsWith(`${this.#source}.`) && topic.split('.').length === 3);
    const counts = await retryBriefly(signal, async () => {
      const topics = (await this.#reader.listTopics()).filter(isOurs);
      return this.#reader.countPartitions(topics);
    });
    return [...counts].flatMap(([topic, count]) =>
      Array.from({ length: count }, (_, partition) => ({ topic, partition })),
    );
  }

  async #readPartition(
    { topic, partition }: Partition,
    signal: AbortSignal,
    note: (message: MessageIdentity) => boolean,
  ): Promise<void> {
    const bounds = await this.#reader.findBounds(topic, partition);
    let old = 0;
    for await (const page of this.#reader.readBackwards(topic, partition, bounds, signal))
      for (const batch of page.toReversed()) {
        const ours = versioned(batch);
        if (ours.length === 0) continue;
        old = ours.map(note).includes(true) ? 0 : old + 1;
        if (old >= OLD_BATCHES) return;
      }
  }
}

function versioned({ messages }: StoredBatch): readonly MessageIdentity[] {
  return messages.filter(({ version }) => isVersion(version));
}

/** What a read or the end of a table by a resync found is not a transaction of the log. */
function noteGtid({ id, version }: MessageIdentity, greatest: Map<string, number>): void {
  const { readSequence, fileNumber } = parseVersion(version);
  const match = readSequence === 0 && fileNumber > 0 ? GTID.exec(id) : null;
  if (match === null) return;
  const [, origin = '', number] = match;
  greatest.set(origin, Math.max(greatest.get(origin) ?? 0, Number(number)));
}
