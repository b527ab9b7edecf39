import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';

import { Deferred, silentLogger, sleep } from '#kernel';
import { type Stack, startStack } from '#stack';
import { uniqueName } from '#testing';

import {
  checkKafka,
  type KafkaConnectionOptions,
  KafkaEventReader,
  KafkaJsClient,
  PlatformaticKafkaClient,
  TopicReader,
} from '../src/index.ts';
import { retryBriefly } from '../src/retry-briefly.ts';
import { type BrokerCluster, describeBrokerFaults, describeKafkaClient } from './kafka-client.contract.ts';

type Broker = 'kafka-1' | 'kafka-2' | 'kafka-3';

let folder = '';
let stack: Stack;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ditto-kafka-'));
  stack = await startStack({ folder, servers: ['kafka'], kafkaBrokers: 3 });
}, 180_000);

afterAll(async () => {
  await stack.down();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

function cluster(): BrokerCluster {
  const name = (broker: number) => `kafka-${broker}` as Broker;
  return {
    brokers: stack.url('kafka').split(','),
    kill: (broker) => stack.kill(name(broker)),
    start: (broker) => stack.start(name(broker)),
    freeze: (broker) => stack.freeze(name(broker)),
    thaw: (broker) => stack.thaw(name(broker)),
  };
}

const clients = {
  PlatformaticKafkaClient: (options: KafkaConnectionOptions) => new PlatformaticKafkaClient(options),
  KafkaJsClient: (options: KafkaConnectionOptions) => new KafkaJsClient(options),
};

for (const [name, create] of Object.entries(clients)) describeKafkaClient(name, create, cluster);
describeBrokerFaults(clients, cluster);

const kafkaJs = (): kafkajs.Kafka =>
  new kafkajs.Kafka({ clientId: 'topics', brokers: [...cluster().brokers], logLevel: kafkajs.logLevel.NOTHING });

/** With one replica: nothing leads its partition while that broker is gone. */
async function createTopic(topic: string, broker: number): Promise<void> {
  const admin = kafkaJs().admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, replicaAssignment: [{ partition: 0, replicas: [broker] }] }] });
  await admin.disconnect();
}

/** The controller misses a broker after some seconds. */
async function waitUntilLeaderless(reader: TopicReader, topic: string): Promise<void> {
  let trouble = '';
  while (!trouble.includes('leader')) {
    trouble = await reader.findExtent(topic).then(() => '', String);
    await sleep(200);
  }
}

describe('TopicReader and KafkaEventReader', () => {
  it('list, check and read the topics while one of them has no leader', async () => {
    const [here, there] = [uniqueName('here'), uniqueName('there')];
    await createTopic(here, 1);
    await createTopic(there, 2);
    const producer = kafkaJs().producer();
    await producer.connect();
    await producer.send({ topic: here, messages: [{ value: 'read' }] });
    await producer.disconnect();
    const stop = new AbortController();
    const options = { brokers: cluster().brokers, clientId: 'topics', logger: silentLogger };
    const reader = new TopicReader(options);
    await cluster().kill(2);
    try {
      await waitUntilLeaderless(reader, there);
      const listed = await retryBriefly(stop.signal, () => reader.listTopics());
      expect(listed).toEqual(expect.arrayContaining([here, there]));
      const findings = await checkKafka({
        connection: options,
        topics: { create: false, partitions: 1, replicationFactor: 1 },
        wanted: [here, there].map((topic) => ({ topic, keyed: true })),
        maxBatchBytes: 100_000,
      });
      expect(findings.filter(({ severity }) => severity === 'error')).toEqual([
        expect.objectContaining({ message: expect.stringContaining(`no broker leads some partitions of ${there}`) }),
      ]);
      const read = new Deferred<unknown>();
      const reading = new KafkaEventReader(options).run(
        {
          groupId: uniqueName('group'),
          topics: [here],
          maxEventsPerSecond: 100,
          read: (_topic, _partition, { value }) => value?.toString() ?? null,
          onEvents: (events) => {
            read.resolve(events);
            return Promise.resolve();
          },
        },
        stop.signal,
      );
      expect(await Promise.race([read.promise, reading])).toEqual(['read']);
      stop.abort();
      await reading;
    } finally {
      stop.abort();
      await reader.close();
      await cluster().start(2);
    }
  }, 120_000);
});
