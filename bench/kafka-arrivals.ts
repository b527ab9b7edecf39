import { randomUUID } from 'node:crypto';
import { Consumer } from '@platformatic/kafka';
import { isAbort } from '#kernel';
import { type Arrivals, clockMs, parseClock } from './arrivals.ts';
import { type Percentiles, percentilesOf } from './statistics.ts';

const MAX_WAIT_MS = 500;
const MAX_BYTES = 4 * 1024 * 1024;

interface Message {
  readonly after: { readonly id: number; readonly placed_at: string } | null;
}

/** When rows reached this consumer, and when the broker had them by its own clock, in whole milliseconds. */
export interface KafkaArrivals {
  readonly arrivals: Arrivals;
  readonly appends: Arrivals;
}

/**
 * Reads a topic from its beginning without a consumer group, one request after the other to each broker that leads
 * some of its partitions; the broker answers as soon as there is a byte.
 */
export async function watchKafka(
  brokers: readonly string[],
  topic: string,
  rows: KafkaArrivals,
  signal: AbortSignal,
): Promise<void> {
  const options = { clientId: 'bench', bootstrapBrokers: [...brokers], groupId: `bench-${randomUUID()}` };
  const consumer = new Consumer({ ...options, retries: 3 });
  try {
    const { topics } = await consumer.metadata({ topics: [topic] });
    const described = topics.get(topic);
    if (described === undefined) throw new Error(`There is no topic ${topic}.`);
    const byLeader = new Map<number, number[]>();
    for (const [partition, { leader }] of described.partitions.entries())
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), partition]);
    const work = [...byLeader].map(([node, partitions]) =>
      fetchUntilComplete({ consumer, node, topicId: described.id, partitions }, rows, signal),
    );
    await Promise.all(work);
  } catch (error) {
    if (!isAbort(error)) throw error;
  } finally {
    await consumer.close(true);
  }
}

interface Share {
  readonly consumer: Consumer;
  readonly node: number;
  readonly topicId: string;
  readonly partitions: readonly number[];
}

/** The delays of a topic's rows; those of a consumer mean something only when it was there while rows came. */
export function kafkaDelays(
  { arrivals, appends }: KafkaArrivals,
  read: 'live' | 'after',
): { readonly kafkaMs?: Percentiles; readonly kafkaAppendMs: Percentiles } {
  const kafkaAppendMs = percentilesOf(appends.delaysMs);
  return read === 'live' ? { kafkaMs: percentilesOf(arrivals.delaysMs), kafkaAppendMs } : { kafkaAppendMs };
}

async function fetchUntilComplete(share: Share, rows: KafkaArrivals, signal: AbortSignal): Promise<void> {
  const { consumer, node, topicId } = share;
  const next = new Map(share.partitions.map((partition) => [partition, 0n]));
  while (!rows.arrivals.complete && !signal.aborted) {
    const partitions = [...next].map(([partition, fetchOffset]) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset,
      lastFetchedEpoch: -1,
      partitionMaxBytes: MAX_BYTES,
    }));
    const bounds = { maxWaitTime: MAX_WAIT_MS, minBytes: 1, maxBytes: MAX_BYTES };
    const { responses } = await consumer.fetch({ node, ...bounds, topics: [{ topicId, partitions }] });
    const arrivedMs = clockMs();
    for (const { partitionIndex, errorCode, records } of responses.flatMap((response) => response.partitions)) {
      if (errorCode !== 0) throw new Error(`Reading partition ${partitionIndex} failed with Kafka error ${errorCode}.`);
      for (const batch of records ?? []) {
        const first = next.get(partitionIndex) ?? 0n;
        for (const { offsetDelta, value } of batch.records)
          if (batch.firstOffset + BigInt(offsetDelta) >= first && value !== null)
            note(rows, value, arrivedMs, Number(batch.maxTimestamp));
        next.set(partitionIndex, batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n);
      }
    }
  }
}

function note({ arrivals, appends }: KafkaArrivals, value: Buffer, arrivedMs: number, appendedMs: number): void {
  const { after } = JSON.parse(value.toString()) as Message;
  if (after === null) return;
  const placedMs = parseClock(after.placed_at);
  arrivals.arrive(after.id, placedMs, arrivedMs);
  appends.arrive(after.id, placedMs, appendedMs);
}
