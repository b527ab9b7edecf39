import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs, { type Admin } from 'kafkajs';

import { topicName } from '#change-events';
import { silentLogger } from '#kernel';
import { acceptChanges, openSink, testStack, uniqueName } from '#testing';

import { ConfirmedEnds, KafkaPublisher, PlatformaticKafkaClient, TopicReader } from '../src/index.ts';
import { createLayout, createRows } from './changes.ts';
import { MemoryConfirmedEnds } from './memory-confirmed-ends.ts';
import { MemoryPartitionCounts } from './memory-partition-counts.ts';

let brokers: string[] = [];
let admin: Admin;
const endings: (() => Promise<void>)[] = [];
const layout = createLayout('orders');

beforeAll(async () => {
  brokers = (await testStack()).url('kafka').split(',');
});

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

interface Opened {
  readonly fatal: Error[];
  publish(count: number): Promise<void>;
}

async function openPublisher(source: string, store: MemoryConfirmedEnds): Promise<Opened> {
  const connection = { brokers, clientId: 'test', logger: silentLogger };
  const reader = new TopicReader(connection);
  const grant = { source, owner: 'me', token: 1 };
  const fatal: Error[] = [];
  const publisher = new KafkaPublisher({
    client: new PlatformaticKafkaClient(connection),
    source,
    version: '0',
    logger: silentLogger,
    counts: new MemoryPartitionCounts(),
    topics: { partitions: 1, replicationFactor: 1, config: { 'cleanup.policy': 'delete' } },
    confirmedEnds: new ConfirmedEnds({ grant, store, reader, logger: silentLogger, checkMs: 100 }),
  });
  endings.push(
    () => reader.close(),
    () => publisher.close(),
  );
  await openSink(publisher, { onFatal: (error) => void fatal.push(error) });
  await publisher.prepareTable(layout);
  const publish = async (count: number): Promise<void> => {
    acceptChanges(publisher, createRows(layout, count), { acknowledge: () => undefined });
    await publisher.drain(AbortSignal.timeout(10_000));
  };
  return { fatal, publish };
}

async function openAdmin(): Promise<void> {
  admin = new kafkajs.Kafka({ clientId: 'admin', brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  endings.push(() => admin.disconnect());
}

const lost = { code: 'DITTO_KAFKA_CONFIRMED_LOST', retriable: false };

describe('ConfirmedEnds with brokers', () => {
  it('records that are deleted from the head are no loss, while it runs and when it starts', async () => {
    await openAdmin();
    const source = uniqueName('src');
    const store = new MemoryConfirmedEnds();
    const { fatal, publish } = await openPublisher(source, store);
    await publish(10);
    const topic = topicName(source, 'shop', 'orders');
    await admin.fetchTopicOffsets(topic); // kafkajs only deletes where it knows the leader
    await admin.deleteTopicRecords({
      topic,
      partitions: [{ partition: 0, offset: '10' }],
    });
    await publish(5);
    expect(fatal).toEqual([]);
    await endings.pop()?.();
    expect(store.ends).toMatchObject([{ partition: 0, end: 15 }]);
    await (await openPublisher(source, store)).publish(1);
    expect(store.losses).toEqual([]);
  });

  it('I1: a topic that was deleted and made again has lost what was confirmed, seen by the next message', async () => {
    await openAdmin();
    const source = uniqueName('src');
    const topic = topicName(source, 'shop', 'orders');
    const store = new MemoryConfirmedEnds();
    const running = await openPublisher(source, store);
    await running.publish(10);
    await admin.deleteTopics({ topics: [topic] });
    await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] });
    await expect(running.publish(3)).rejects.toBeDefined();
    expect(running.fatal[0]).toMatchObject(lost);
    expect(store.losses[0]).toMatchObject({ topic, partition: 0, confirmedEnd: 10, survivingEnd: 0 });
    await expect(openPublisher(source, store)).rejects.toMatchObject(lost);
  });

  it('I1: a topic that was deleted while nobody published is noticed before it is made again', async () => {
    await openAdmin();
    const source = uniqueName('src');
    const topic = topicName(source, 'shop', 'orders');
    const store = new MemoryConfirmedEnds();
    store.ends = [{ topic, partition: 0, end: 10 }];
    await expect(openPublisher(source, store)).rejects.toMatchObject(lost);
    expect(await admin.listTopics()).not.toContain(topic);
  });
});
