import { type VersionBounds } from '#replication';
import { TABLE_CHANGE_KEY } from './kafka-publisher.ts';
import { isVersion } from './message-version.ts';
import { retryBriefly } from './retry-briefly.ts';
import { OLD_BATCHES, PARTITIONS_AT_ONCE } from './topic-memory.ts';
import { readHeader, type TopicReader } from './topic-reader.ts';

/**
 * By topic: the keys, as they are in the messages, of those whose version is above. Null where the end of all rows
 * of a partition is among them. Topics that do not exist are left out.
 */
export async function listKeysAbove(
  reader: TopicReader,
  topics: readonly string[],
  versions: VersionBounds,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ReadonlySet<string> | null>> {
  const existing = new Set(await retryBriefly(signal, () => reader.listTopics()));
  const counts = await retryBriefly(signal, () =>
    reader.countPartitions(topics.filter((topic) => existing.has(topic))),
  );
  const found = new Map<string, Set<string> | null>([...counts.keys()].map((topic) => [topic, new Set<string>()]));
  const left = [...counts].flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  );
  const readOn = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { topic, partition } = next;
      const keys = await retryBriefly(signal, () => readPartition(reader, topic, partition, versions, signal));
      const known = found.get(topic) ?? null;
      found.set(topic, keys === null || known === null ? null : new Set([...known, ...keys]));
    }
  };
  await Promise.all(Array.from({ length: PARTITIONS_AT_ONCE }, readOn));
  return found;
}

async function readPartition(
  reader: TopicReader,
  topic: string,
  partition: number,
  { above, downTo }: VersionBounds,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | null> {
  const bounds = await reader.findBounds(topic, partition);
  const keys = new Set<string>();
  const pages = reader.searchBackwards(topic, partition, bounds, signal, (message) => {
    const of = readHeader(message, 'ditto.version');
    return isVersion(of) ? { version: of, key: message.key?.toString() ?? TABLE_CHANGE_KEY } : null;
  });
  let old = 0;
  for await (const page of pages)
    for (const { messages } of page.toReversed()) {
      if (messages.length === 0) continue;
      const found = messages.filter(({ version }) => version > above);
      if (found.some(({ key }) => key === TABLE_CHANGE_KEY)) return null;
      for (const { key } of found) keys.add(key);
      old = messages.some(({ version }) => version > downTo) ? 0 : old + 1;
      if (old >= OLD_BATCHES) return keys;
    }
  return keys;
}
