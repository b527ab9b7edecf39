import { describe, expect, it } from '@jest/globals';

import { collectGarbageBy, DittoError, sleep } from '#kernel';

import { BufferPool } from './buffer-pool.ts';
import { KafkaClient, type TopicDescription } from './kafka-client.ts';
import { LaneDelivery } from './lane-delivery.ts';
import { RecordBatch } from './record-batch.ts';

const KIBIBYTE = 1024;
const value = 'x'.repeat(3_000);

/** Encodes each batch as producers do, and takes those of few records. */
class CompressingClient extends KafkaClient {
  readonly taken: number[] = [];
  readonly #pool: BufferPool;
  readonly #most: number;
  heldWhileSent = 0;

  constructor(pool: BufferPool, most: number) {
    super();
    this.#pool = pool;
    this.#most = most;
  }

  override produce(_topic: string, _partition: number, batch: RecordBatch): Promise<number | null> {
    const identity = { producerId: 1n, producerEpoch: 0, baseSequence: 0, timestampMs: 0 };
    batch.encode({ ...identity, compression: 'gzip' });
    batch.encode({ ...identity, compression: 'gzip', producerEpoch: 1 });
    this.heldWhileSent = Math.max(this.heldWhileSent, this.#pool.takenBytes);
    if (batch.count > this.#most)
      return Promise.reject(new DittoError('DITTO_KAFKA_MESSAGE_TOO_LARGE', 'too large for this broker'));
    this.taken.push(batch.count);
    return Promise.resolve(null);
  }

  override connect(): Promise<void> {
    return Promise.resolve();
  }
  override ensureTopic(): Promise<TopicDescription> {
    return Promise.reject(new Error('not used here'));
  }
  override partitionCount(): Promise<number | null> {
    return Promise.resolve(null);
  }
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

function fill(pool: BufferPool, records: number): RecordBatch {
  const batch = new RecordBatch(pool);
  for (let index = 0; index < records; index++) batch.append({ key: String(index), value, headers: {} }, null);
  return batch;
}

describe('BufferPool', () => {
  it('I9: counts whole buffers until they are given back, also those that it does not keep', () => {
    const pool = new BufferPool(4 * KIBIBYTE);
    const buffers = [1, 1_025, 5_000].map((bytes) => pool.take(bytes));
    expect(buffers.map(({ length }) => length)).toEqual([1, 2, 8].map((count) => count * KIBIBYTE));
    expect(pool.takenBytes).toBe(11 * KIBIBYTE);
    for (const buffer of buffers) pool.give(buffer);
    expect(pool.takenBytes).toBe(0);
    expect([pool.take(1), pool.take(1_025)]).toEqual([buffers[0], buffers[1]]);
    expect(pool.takenBytes).toBe(3 * KIBIBYTE);
  });

  it('I9: counts a batch with its compressed bytes and its halves, and nothing once they are confirmed', async () => {
    const pool = new BufferPool(0);
    const batch = fill(pool, 13);
    expect(pool.takenBytes).toBe(64 * KIBIBYTE);
    const client = new CompressingClient(pool, 2);
    const target = { topic: 't', partition: 0, maxBatchBytes: 1_000_000 };
    await new LaneDelivery({ client, target, refuse: (_record, error) => Promise.reject(error) }).deliver(batch);
    expect(client.taken.reduce((sum, count) => sum + count, 0)).toBe(13);
    expect(Math.max(...client.taken)).toBe(2);
    expect(client.heldWhileSent).toBeGreaterThan(64 * KIBIBYTE);
    expect(pool.takenBytes).toBe(0);
  });

  it('I9: counts an open batch by what its buffer has grown to', () => {
    const pool = new BufferPool(0);
    const batch = fill(pool, 1);
    expect(pool.takenBytes).toBe(batch.target.length);
    expect(batch.target.length).toBe(4 * KIBIBYTE);
    batch.release();
    batch.release();
    expect(pool.takenBytes).toBe(0);
  });

  it('I9: has only buffers of wide rows collected, not buffers of full batches', async () => {
    let collected = 0;
    collectGarbageBy(() => collected++);
    const pool = new BufferPool(0);
    const drop = async (bytes: number): Promise<void> => {
      for (let batch = 0; batch < 16; batch++) pool.give(pool.take(bytes));
      await sleep(1);
    };
    await drop(1_000_000);
    expect(collected).toBe(0);
    await drop(1_100_000);
    expect(collected).toBe(2);
    collectGarbageBy(() => undefined);
  });
});
