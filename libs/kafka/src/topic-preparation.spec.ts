import { describe, expect, it } from '@jest/globals';

import { silentLogger } from '#kernel';

import { createLayout } from '../test/changes.ts';
import { FakeBrokers } from '../test/fake-brokers.ts';
import { MemoryPartitionCounts } from '../test/memory-partition-counts.ts';
import { type TopicDefaults, TopicPreparation } from './topic-preparation.ts';

const keyed = createLayout('orders');
const keyless = createLayout('log', false);

function start(topics: Partial<TopicDefaults> = {}, client = new FakeBrokers(12)) {
  const counts = new MemoryPartitionCounts();
  const preparation = new TopicPreparation({
    ...{ client, counts, prefix: 's', logger: silentLogger },
    topics: { partitions: 4, replicationFactor: 3, ...topics },
  });
  return { client, counts, preparation };
}

describe('TopicPreparation', () => {
  it('I1: a new topic keeps the newest message of each key, without keys all, and confirms on two replicas of three', async () => {
    const { client, preparation } = start({ config: { 'retention.ms': '1000', 'segment.ms': '7' } });
    await preparation.prepare(keyed);
    await preparation.prepare(keyless);
    await preparation.prepareSchemaTopic();
    const everything = { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' };
    const safe = { 'min.insync.replicas': '2', 'segment.ms': '7' };
    expect(client.created).toEqual([
      {
        topic: 's.shop.orders',
        partitions: 4,
        replicationFactor: 3,
        config: { ...safe, 'cleanup.policy': 'compact', 'retention.ms': '1000' },
      },
      { topic: 's.shop.log', partitions: 1, replicationFactor: 3, config: { ...safe, ...everything } },
      { topic: 's', partitions: 1, replicationFactor: 3, config: { ...safe, ...everything } },
    ]);
  });

  it.each([3, 5])('I2: a topic that had 4 partitions and has %i is refused: keys would move', async (partitions) => {
    const { client, preparation } = start();
    expect(await preparation.prepare(keyed)).toMatchObject({ topic: 's.shop.orders', partitions: 4 });
    client.topics.set('s.shop.orders', { ...(await client.ensureTopic({} as never)), partitions });
    await expect(preparation.prepare(keyed)).rejects.toMatchObject({
      code: 'DITTO_KAFKA_PARTITIONS_CHANGED',
      retriable: false,
    });
  });

  it('I2: a topic that was deleted is made again with as many partitions as it had, whatever is configured by now', async () => {
    const { client, counts, preparation } = start();
    await counts.save('s.shop.orders', 3);
    expect(await preparation.prepare(keyed)).toMatchObject({ topic: 's.shop.orders', partitions: 3 });
    expect(client.created).toMatchObject([{ topic: 's.shop.orders', partitions: 3 }]);
  });

  it('I6: a compacted topic is refused for a table without a key, whose messages it would not take', async () => {
    const { client, preparation } = start();
    const found = { partitions: 1, replicationFactor: 3, minInSyncReplicas: 2, maxMessageBytes: null };
    client.topics.set('s.shop.log', { ...found, cleanupPolicy: 'delete,compact' });
    await expect(preparation.prepare(keyless)).rejects.toMatchObject({ code: 'DITTO_KAFKA_COMPACTED_WITHOUT_KEY' });
    client.topics.set('s.shop.log', { ...found, cleanupPolicy: 'delete' });
    await preparation.prepare(keyless);
  });

  it('makes no topic where it may not', async () => {
    const { client, preparation } = start({ create: false });
    const missing = { code: 'DITTO_KAFKA_TOPIC_MISSING' };
    await expect(preparation.prepare(keyed)).rejects.toMatchObject(missing);
    await expect(preparation.prepareSchemaTopic()).rejects.toMatchObject(missing);
    expect(client.created).toEqual([]);
    expect(await preparation.hasTopic(keyed)).toBe(false);
  });
});
