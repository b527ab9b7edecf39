import { retryBriefly } from './retry-briefly.ts';
import { type PartitionLoss } from './confirmed-end-store.ts';
import { isVersion } from './message-version.ts';
import { type TopicReader } from './topic-reader.ts';

/**
 * Of partitions that have lost messages the newest message that each still holds from before the loss; of these the version
 * of the oldest. Null when a partition holds none, or its topic was deleted: nothing says what it lacks.
 */
export async function findOldestSurvivor(
  reader: TopicReader,
  losses: readonly PartitionLoss[],
  signal: AbortSignal,
): Promise<string | null> {
  const existing = new Set(await retryBriefly(signal, () => reader.listTopics()));
  if (!losses.every(({ topic }) => existing.has(topic))) return null;
  let oldest: string | null = null;
  for (const loss of losses) {
    const version = await retryBriefly(signal, () => findSurvivor(reader, loss, signal));
    if (version === null) return null;
    if (oldest === null || version < oldest) oldest = version;
  }
  return oldest;
}

async function findSurvivor(
  reader: TopicReader,
  { topic, partition, survivingEnd }: PartitionLoss,
  signal: AbortSignal,
): Promise<string | null> {
  const { start, end } = await reader.findBounds(topic, partition);
  const bounds = { start, end: Math.min(end, survivingEnd) };
  for await (const page of reader.readBackwards(topic, partition, bounds, signal)) {
    const messages = page.flatMap((batch) => batch.messages);
    const last = messages.findLast(({ offset, version }) => offset < survivingEnd && isVersion(version));
    if (last !== undefined) return last.version;
  }
  return null;
}
