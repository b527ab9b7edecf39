import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';

import { silentLogger } from '#kernel';
import { testStack, uniqueName } from '#testing';

import { TopicReader } from '../src/index.ts';
import { retryBriefly } from '../src/retry-briefly.ts';

/** More than are asked for at once. */
const TOPICS = 60;
const PARTITIONS = 2;

let reader: TopicReader;
const topics = Array.from({ length: TOPICS }, (_, index) => `${uniqueName('reader')}.${index}`);

beforeAll(async () => {
  const brokers = (await testStack()).url('kafka').split(',');
  const kafka = new kafkajs.Kafka({ clientId: 'reader', brokers, logLevel: kafkajs.logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const replicationFactor = 1;
  await admin.createTopics({
    topics: topics.map((topic) => ({ topic, numPartitions: PARTITIONS, replicationFactor })),
    timeout: 30_000,
  });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  for (const index of [0, 30, TOPICS - 1])
    await producer.send({
      topic: topics[index] as string,
      messages: Array.from({ length: index + 1 }, () => ({ partition: 1, value: 'v' })),
    });
  await producer.disconnect();
  reader = new TopicReader({ brokers, clientId: 'reader', logger: silentLogger });
}, 60_000);

afterAll(() => reader.close());

describe('TopicReader', () => {
  it('finds the ends of many topics; one that does not exist does not keep it from those asked for beside it', async () => {
    const expected = topics.map((_, index) => [0, [0, 30, TOPICS - 1].includes(index) ? index + 1 : 0]);
    // a leader that is new does not answer yet
    const ends = await retryBriefly(new AbortController().signal, () => reader.findEnds(topics));
    expect(topics.map((topic) => ends.get(topic))).toEqual(expected);
    const missing = uniqueName('missing');
    const asked = [...topics.slice(0, 10), missing, ...topics.slice(10)];
    const found = await reader.findEnds(asked);
    expect([found.has(missing), topics.map((topic) => found.get(topic))]).toEqual([false, expected]);
    const counts = await reader.countPartitions(asked);
    expect(asked.map((topic) => counts.get(topic))).toEqual(asked.map((topic) => (topic === missing ? 0 : PARTITIONS)));
    expect(await reader.findExtent(missing)).toBeNull();
  });
});
