import { describe, expect, it } from '@jest/globals';

import { type Row, ValueImages } from '#change-events';
import { silentLogger } from '#kernel';
import { openSink } from '#testing';

import { createLayout, createTransaction } from '../test/changes.ts';
import { MemoryPartitionCounts } from '../test/memory-partition-counts.ts';
import { KafkaClient, type TopicDescription } from './kafka-client.ts';
import { KafkaPublisher } from './kafka-publisher.ts';
import { type RecordBatch } from './record-batch.ts';

const MEBIBYTE = 1024 * 1024;

/** Takes everything once it may. */
class HoldingClient extends KafkaClient {
  readonly batches: string[][] = [];
  readonly #held = Promise.withResolvers<undefined>();

  takeAll(): void {
    this.#held.resolve(undefined);
  }

  override async produce(_topic: string, _partition: number, batch: RecordBatch): Promise<number | null> {
    await this.#held.promise;
    this.batches.push(batch.records().map(({ key }) => String(key)));
    return this.batches.length;
  }
  override ensureTopic(): Promise<TopicDescription> {
    const settings = { cleanupPolicy: 'compact', minInSyncReplicas: 1, maxMessageBytes: 20 * MEBIBYTE };
    return Promise.resolve({ partitions: 1, replicationFactor: 1, ...settings });
  }
  override connect(): Promise<void> {
    return Promise.resolve();
  }
  override partitionCount(): Promise<number | null> {
    return Promise.resolve(1);
  }
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

describe('a record that is larger than a batch', () => {
  it('I9: is written once, in a buffer of about its size, and rows before and after it keep their order', async () => {
    const client = new HoldingClient();
    const publisher = new KafkaPublisher({
      client,
      source: 'wide',
      version: '0',
      logger: silentLogger,
      counts: new MemoryPartitionCounts(),
      topics: { partitions: 1, replicationFactor: 1 },
    });
    const { signal } = new AbortController();
    const onFatal = (error: Error): never => {
      throw error;
    };
    await openSink(publisher, { onFatal });
    const layout = createLayout('notes');
    await publisher.prepareTable(layout);
    const rows: Row[] = [1, 2, 3, 4, 5].map((id) => [id, id === 3 ? 'x'.repeat(3 * MEBIBYTE) : 'narrow']);
    let confirmed = 0;
    const place = { transaction: createTransaction(1), firstRowIndex: 0, readSequence: 0, windowId: null };
    publisher.accept(
      { op: 'create', layout, count: rows.length, before: null, after: new ValueImages(layout, rows), ...place },
      { acknowledge: (count) => (confirmed += count) },
    );
    expect(publisher.bytesInFlight).toBeGreaterThan(3 * MEBIBYTE);
    expect(publisher.bytesInFlight).toBeLessThan(5 * MEBIBYTE);
    client.takeAll();
    await publisher.drain(signal);
    expect(client.batches.flat()).toEqual([1, 2, 3, 4, 5].map((id) => `{"id":${id}}`));
    expect([confirmed, publisher.bytesInFlight]).toEqual([5, 0]);
    await publisher.close();
  });
});
