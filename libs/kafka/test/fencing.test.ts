import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { silentLogger } from '#kernel';
import { eventually, testStack, uniqueName } from '#testing';

import { batchOf, type KafkaConnectionOptions, PlatformaticKafkaClient, TopicReader } from '../src/index.ts';
import { openProxiedBroker, type ProxiedBroker } from './proxied-broker.ts';

const limits = { connectTimeoutMs: 5_000, requestTimeoutMs: 5_000, deliveryTimeoutMs: 20_000 };
const fenced = { code: 'DITTO_LEASE_FENCED', retriable: false };

let brokers: string[] = [];
let topic = '';
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  brokers = (await testStack()).url('kafka').split(',');
});

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

function connect(transactionalId: string | null, more: Partial<KafkaConnectionOptions> = {}): PlatformaticKafkaClient {
  const options = { brokers, clientId: 'fencing', logger: silentLogger, transactionalId, ...limits, ...more };
  const client = new PlatformaticKafkaClient(options);
  endings.push(() => client.close());
  return client;
}

function produce(client: PlatformaticKafkaClient, partition: number, value: string): Promise<number | null> {
  return client.produce(topic, partition, batchOf([{ key: 'k', value, headers: {} }]));
}

async function createTopic(client: PlatformaticKafkaClient): Promise<void> {
  topic = uniqueName('fencing');
  await client.ensureTopic({ topic, partitions: 2, replicationFactor: 1, config: {} });
}

async function read(partition: number): Promise<string[]> {
  const reader = new TopicReader({ brokers, clientId: 'fencing', logger: silentLogger, ...limits });
  endings.push(() => reader.close());
  const bounds = await reader.findBounds(topic, partition);
  const values: string[] = [];
  for await (const { messages } of reader.readForwards(topic, partition, bounds, new AbortController().signal))
    values.push(...messages.map(({ value }) => String(value)));
  return values;
}

describe('kafka.fencing: transactions', () => {
  it('I5: a partition takes nothing of a former owner once the next one has written there', async () => {
    const id = uniqueName('owner');
    const former = connect(id);
    await createTopic(former);
    for (const value of ['1', '2']) await produce(former, 0, value);
    await produce(former, 1, '1');
    const next = connect(id);
    for (const value of ['2', '3']) await produce(next, 0, value);
    await expect(produce(former, 0, 'stale')).rejects.toMatchObject(fenced);
    // what it writes where the next owner has not been yet comes before all that this one will write
    await produce(former, 1, '2');
    for (const value of ['2', '3']) await produce(next, 1, value);
    await expect(produce(former, 1, 'stale')).rejects.toMatchObject(fenced);
    await produce(next, 0, '4');
    expect([await read(0), await read(1)]).toEqual([
      ['1', '2', '2', '3', '4'],
      ['1', '2', '2', '3'],
    ]);
  }, 60_000);

  it.each([
    ['I5: is refused by the brokers with a transactional id', true],
    ['would be written after what is newer without one', false],
  ])(
    'what a former owner had sent, and the network held until another had taken over, %s',
    async (_, isFenced) => {
      const [first = ''] = brokers;
      const [host = '', port = ''] = first.split(':');
      const proxied: ProxiedBroker = await openProxiedBroker({ host, port: Number(port) });
      endings.push(proxied.close);
      const id = isFenced ? uniqueName('owner') : null;
      const next = connect(id);
      await createTopic(next);
      const former = connect(id, { brokers: [proxied.address] });
      await produce(former, 0, '1');
      proxied.proxy.silence({ direction: 'toServer' });
      const { toServer } = proxied.proxy.receivedBytes;
      const sent = produce(former, 0, 'stale').then(
        () => 'written',
        (error: unknown) => error,
      );
      await eventually(() => proxied.proxy.receivedBytes.toServer > toServer);
      for (const value of ['1', '2']) await produce(next, 0, value);
      proxied.proxy.restore();
      if (isFenced) expect(await sent).toMatchObject(fenced);
      else expect(await sent).toBe('written');
      await produce(next, 0, '3');
      expect(await read(0)).toEqual(isFenced ? ['1', '1', '2', '3'] : ['1', '1', '2', 'stale', '3']);
    },
    60_000,
  );

  it('I5: a client whose lease is over asks for no identity, and so takes the place of nobody', async () => {
    const id = uniqueName('owner');
    const former = connect(id);
    await createTopic(former);
    await produce(former, 0, '1');
    const late = connect(id);
    late.guardWith(() => false);
    await expect(produce(late, 1, 'stale')).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
    await produce(former, 0, '2');
    const next = connect(id);
    await produce(next, 0, '3');
    await expect(produce(former, 0, 'stale')).rejects.toMatchObject(fenced);
    await produce(next, 0, '4');
    expect(await read(0)).toEqual(['1', '2', '3', '4']);
  }, 60_000);
});
