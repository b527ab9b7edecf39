import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { Backoff, retry, silentLogger, sleep } from '#kernel';
import { type FaultProxy, testStack, uniqueName } from '#testing';

import {
  batchOf,
  KafkaEventReader,
  type KafkaClient,
  type KafkaConnectionOptions,
  KafkaJsClient,
  PlatformaticKafkaClient,
  type RecordBatch,
  TopicReader,
} from '../src/index.ts';
import { openProxiedBroker } from './proxied-broker.ts';

let broker = { host: '', port: 0 };
let proxy: FaultProxy;
let address = '';
const endings: (() => unknown)[] = [];
const limits = { connectTimeoutMs: 1_000, requestTimeoutMs: 1_000, deliveryTimeoutMs: 4_000 };

beforeAll(async () => {
  const [first = ''] = (await testStack()).url('kafka').split(',');
  const [host = '', port = ''] = first.split(':');
  broker = { host, port: Number(port) };
});

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function openProxy(): Promise<void> {
  const proxied = await openProxiedBroker(broker);
  ({ proxy, address } = proxied);
  endings.push(proxied.close);
}

function options(): KafkaConnectionOptions {
  return { brokers: [address], clientId: 'silence', logger: silentLogger, ...limits };
}

/** The connections that are there say nothing any more; new ones work. */
async function expectPassed(work: () => Promise<unknown>): Promise<void> {
  proxy.silence({ newConnections: false });
  const began = performance.now();
  await retry(work, { backoff: new Backoff({ initialMs: 20, maxMs: 100 }) });
  expect(performance.now() - began).toBeLessThan(6_000);
  proxy.restore();
}

const clients: Readonly<Record<string, (given: KafkaConnectionOptions) => KafkaClient>> = {
  PlatformaticKafkaClient: (given) => new PlatformaticKafkaClient(given),
  KafkaJsClient: (given) => new KafkaJsClient(given),
};

describe('a broker connection that goes silent in mid-call is dropped in seconds', () => {
  it.each(Object.entries(clients))(
    '%s: while it produces, and while it asks for topics',
    async (_name, create) => {
      await openProxy();
      const client = create(options());
      endings.push(() => client.close());
      await client.connect();
      const topic = uniqueName('silence');
      await client.ensureTopic({ topic, partitions: 1, replicationFactor: 1, config: {} });
      const produce = async (): Promise<void> => {
        const batch = batchOf([{ key: 'k', value: 'v', headers: {} }]);
        await retry(() => client.produce(topic, 0, batch), { backoff: new Backoff({ initialMs: 20, maxMs: 100 }) });
      };
      await produce();
      await expectPassed(produce);
      await expectPassed(() => client.partitionCount(topic));
    },
    40_000,
  );

  it('PlatformaticKafkaClient: while no broker answers, all topics share one question, and its error', async () => {
    await openProxy();
    const client = new PlatformaticKafkaClient({ ...options(), deliveryTimeoutMs: 10_000 });
    endings.push(() => client.close());
    await client.connect();
    const topics = Array.from({ length: 8 }, () => uniqueName('silence'));
    const batches = topics.map(() => batchOf([{ key: 'k', value: 'v', headers: {} }]));
    const produce = (): Promise<unknown[]> =>
      Promise.all(
        topics.map((topic, index) =>
          client.produce(topic, 0, batches[index] as RecordBatch).catch((error: unknown) => error),
        ),
      );
    for (const topic of topics) await client.ensureTopic({ topic, partitions: 1, replicationFactor: 1, config: {} });
    expect(await produce()).toEqual(topics.map(() => 0));
    for (const index of topics.keys()) batches[index] = batchOf([{ key: 'k', value: 'w', headers: {} }]);
    proxy.silence();
    await produce();
    const errors = new Set(await produce());
    expect([errors.size, [...errors][0]]).toEqual([1, expect.objectContaining({ retriable: true })]);
    proxy.restore();
    await retry(
      async () => {
        const failed = (await produce()).find((outcome) => outcome instanceof Error);
        if (failed !== undefined) throw failed;
      },
      { backoff: new Backoff({ initialMs: 20, maxMs: 100 }), isRetriable: () => true },
    );
  }, 60_000);

  it('TopicReader', async () => {
    await openProxy();
    const reader = new TopicReader(options());
    endings.push(() => reader.close());
    const [topic = ''] = await reader.listTopics();
    await reader.findEnds([topic]);
    await expectPassed(() => reader.findEnds([topic]));
  }, 40_000);

  it('KafkaEventReader: continues with new events', async () => {
    await openProxy();
    const direct = new PlatformaticKafkaClient({ ...options(), brokers: [`${broker.host}:${broker.port}`] });
    endings.push(() => direct.close());
    const topic = uniqueName('silence');
    await direct.ensureTopic({ topic, partitions: 1, replicationFactor: 1, config: {} });
    const value = JSON.stringify({ op: 'c', source: { name: 's', db: 'd', table: 't' }, after: { id: 1 } });
    const publish = (): Promise<unknown> => {
      const batch = batchOf([{ key: 'k', value, headers: {} }]);
      return retry(() => direct.produce(topic, 0, batch), { backoff: new Backoff({ initialMs: 20, maxMs: 100 }) });
    };
    let count = 0;
    const reader = new KafkaEventReader(options());
    const stop = new AbortController();
    const onEvents = (events: readonly unknown[]): Promise<void> => {
      count += events.length;
      return Promise.resolve();
    };
    const what = { topics: [topic], maxEventsPerSecond: 1_000, read: () => 'an event' };
    const run = { groupId: uniqueName('group'), ...what, onEvents };
    const ended = reader.run(run, stop.signal);
    endings.push(() => {
      stop.abort();
      return ended;
    });
    await publish();
    while (count < 1) await sleep(20);
    proxy.silence({ newConnections: false });
    await publish();
    const began = performance.now();
    while (count < 2) await sleep(20);
    expect(performance.now() - began).toBeLessThan(15_000);
    proxy.restore();
  }, 60_000);
});
