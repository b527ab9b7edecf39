import { randomUUID } from 'node:crypto';
import { Consumer } from '@platformatic/kafka';
import { isAbort } from '#kernel';
import { Arrivals, clockMs, parseClock } from './arrivals.ts';
import { type Percentiles, percentilesOf } from './statistics.ts';

const MAX_WAIT_MS = 500;
const MAX_BYTES = 4 * 1024 * 1024;

interface Message {
  readonly after: { readonly id: number; readonly placed_at: string } | null;
}

/** A row that a consumer of Kafka got; times are milliseconds since 1970. */
export interface ReadRow {
  readonly id: number;
  /** Just before its commit. */
  readonly placedMs: number;
  /** When the broker had it, by its own clock, in whole milliseconds. */
  readonly appendedMs: number;
  readonly arrivedMs: number;
}

/** Gets the rows of a topic until it has all that it waits for. */
export interface RowObserver {
  readonly complete: boolean;
  note(row: ReadRow): void;
}

/** The delays of a topic's rows, to this consumer and to the broker. */
export class KafkaArrivals implements RowObserver {
  readonly arrivals: Arrivals;
  readonly #appends: Arrivals;

  constructor(bounds: { readonly last: number; readonly skipped: number }) {
    this.arrivals = new Arrivals(bounds);
    this.#appends = new Arrivals(bounds);
  }

  get complete(): boolean {
    return this.arrivals.complete;
  }

  note({ id, placedMs, appendedMs, arrivedMs }: ReadRow): void {
    this.arrivals.arrive(id, placedMs, arrivedMs);
    this.#appends.arrive(id, placedMs, appendedMs);
  }

  /** Those of the consumer mean something only when it was there while rows came. */
  delays(read: 'live' | 'after'): { readonly kafkaMs?: Percentiles; readonly kafkaAppendMs: Percentiles } {
    const kafkaAppendMs = percentilesOf(this.#appends.delaysMs);
    return read === 'live' ? { kafkaMs: percentilesOf(this.arrivals.delaysMs), kafkaAppendMs } : { kafkaAppendMs };
  }
}

/**
 * Reads a topic from its beginning without a consumer group, one request after the other to each broker that leads
 * some of its partitions; the broker answers as soon as there is a byte.
 */
export async function watchKafka(
  brokers: readonly string[],
  topic: string,
  rows: RowObserver,
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

async function fetchUntilComplete(share: Share, rows: RowObserver, signal: AbortSignal): Promise<void> {
  const { consumer, node, topicId } = share;
  const next = new Map(share.partitions.map((partition) => [partition, 0n]));
  while (!rows.complete && !signal.aborted) {
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

function note(rows: RowObserver, value: Buffer, arrivedMs: number, appendedMs: number): void {
  const { after } = JSON.parse(value.toString()) as Message;
  if (after !== null) rows.note({ id: after.id, placedMs: parseClock(after.placed_at), appendedMs, arrivedMs });
}
