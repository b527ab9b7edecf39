import { createServer, type Socket } from 'node:net';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { DittoError, silentLogger, sleep } from '#kernel';
import { uniqueName } from '#testing';

import {
  batchOf,
  type KafkaClient,
  type KafkaCompression,
  type KafkaConnectionOptions,
  type KafkaRecord,
} from '../src/index.ts';
import { readTopic, type StoredMessage } from './read-topic.ts';

/** Three brokers that can be broken one at a time (1 to 3). */
export interface BrokerCluster {
  readonly brokers: readonly string[];
  kill(broker: number): Promise<void>;
  start(broker: number): Promise<void>;
  freeze(broker: number): Promise<void>;
  thaw(broker: number): Promise<void>;
}

function record(key: string | null, value: string | null, headers: Record<string, string> = {}): KafkaRecord {
  return { key, value, headers };
}

/** Sends as the lanes do: the same batch again until it is confirmed. Gives the number of failures. */
async function sendUntilConfirmed(
  client: KafkaClient,
  topic: string,
  partition: number,
  records: readonly KafkaRecord[],
): Promise<number> {
  const batch = batchOf(records);
  for (let failures = 0; ; failures++) {
    try {
      await client.produce(topic, partition, batch);
      return failures;
    } catch (error) {
      if (!(error instanceof DittoError) || !error.retriable) throw error;
      await sleep(50);
    }
  }
}

interface Load {
  /** Number of confirmed messages per partition. */
  readonly confirmed: readonly number[];
  readonly slowestCallMs: number;
}

/** Numbered messages to every partition at once until `until` resolves. */
async function runLoad(client: KafkaClient, topic: string, partitions: number, until: Promise<unknown>): Promise<Load> {
  const confirmed = new Array<number>(partitions).fill(0);
  let slowestCallMs = 0;
  let over = false;
  const ended = until.finally(() => (over = true));
  const timed = {
    produce: async (...call: Parameters<KafkaClient['produce']>) => {
      const began = performance.now();
      try {
        return await client.produce(...call);
      } finally {
        slowestCallMs = Math.max(slowestCallMs, performance.now() - began);
      }
    },
  } as KafkaClient;
  const lanes = confirmed.map(async (_, partition) => {
    while (!over) {
      const first = confirmed[partition] as number;
      const records = Array.from({ length: 40 }, (_unused, index) =>
        record(`${partition}`, `${first + index} ${'x'.repeat(200)}`),
      );
      await sendUntilConfirmed(timed, topic, partition, records);
      confirmed[partition] = first + records.length;
    }
  });
  await Promise.all([ended, ...lanes]);
  return { confirmed, slowestCallMs };
}

function numbersByPartition(messages: readonly StoredMessage[], partitions: number): number[][] {
  const numbers = Array.from({ length: partitions }, (): number[] => []);
  for (const { partition, value } of messages) numbers[partition]?.push(Number.parseInt(value ?? '', 10));
  return numbers;
}

/** Accepts connections and never says a word. */
async function startSilentServer(): Promise<{ address: string; close: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { address: `127.0.0.1:${address.port}`, close };
}

/** What every `KafkaClient` must do; `cluster` is called when the tests run. */
export function describeKafkaClient(
  name: string,
  create: (options: KafkaConnectionOptions) => KafkaClient,
  cluster: () => BrokerCluster,
): void {
  describe(`${name} keeps the KafkaClient contract`, () => {
    const open: KafkaClient[] = [];
    const connect = async (options: Partial<KafkaConnectionOptions> = {}): Promise<KafkaClient> => {
      const client = create({
        brokers: cluster().brokers,
        clientId: 'contract',
        logger: silentLogger,
        requestTimeoutMs: 6_000,
        ...options,
      });
      open.push(client);
      await client.connect();
      return client;
    };
    const createTopic = async (
      client: KafkaClient,
      partitions: number,
      config: Record<string, string> = {},
    ): Promise<string> => {
      const topic = uniqueName('contract');
      await client.ensureTopic({
        topic,
        partitions,
        replicationFactor: 3,
        config: { 'min.insync.replicas': '2', ...config },
      });
      return topic;
    };

    afterEach(async () => {
      await Promise.all(open.splice(0).map((client) => client.close()));
    });

    it('creates a missing topic as asked and leaves an existing one as it is', async () => {
      const client = await connect();
      const topic = uniqueName('contract');
      expect(await client.partitionCount(topic)).toBeNull();
      const spec = {
        topic,
        partitions: 5,
        replicationFactor: 3,
        config: { 'cleanup.policy': 'compact', 'min.insync.replicas': '2' },
      };
      const [created] = await Promise.all([client.ensureTopic(spec), client.ensureTopic(spec)]);
      expect(created).toEqual({
        partitions: 5,
        replicationFactor: 3,
        cleanupPolicy: 'compact',
        minInSyncReplicas: 2,
        maxMessageBytes: 1048588,
      });
      expect(await client.ensureTopic({ ...spec, partitions: 9 })).toEqual(created);
      expect(await client.partitionCount(topic)).toBe(5);
    });

    it.each<KafkaCompression>(['none', 'gzip', 'snappy', 'lz4', 'zstd'])(
      'stores what it was given, in order (compression %s)',
      async (compression) => {
        const client = await connect({ compression });
        const topic = await createTopic(client, 3);
        const records = [
          record('{"id":1}', '{"a":"ä€😀"}', { 'ditto.id': 'uuid:1/0', 'ditto.version': '00' }),
          record('{"id":2}', null),
          record(null, 'no key'),
          record('', ''),
          { key: Buffer.from('buffer'), value: Buffer.from('bytes'), headers: { empty: '', text: 'ü' } },
          ...Array.from({ length: 3_000 }, (_, index) => record(`k${index}`, `v${index}`.repeat(index % 90))),
        ];
        await sendUntilConfirmed(client, topic, 2, records);
        await sendUntilConfirmed(client, topic, 2, [record('last', 'v')]);
        const stored = await readTopic(cluster().brokers, topic);
        const expected = [...records, record('last', 'v')].map(({ key, value, headers }, offset) => ({
          partition: 2,
          offset,
          key: key?.toString() ?? null,
          value: value?.toString() ?? null,
          headers,
        }));
        expect(stored).toEqual(expected);
      },
    );

    it('refuses what is too large with a code of its own, writes nothing of it, and continues', async () => {
      const client = await connect();
      const topic = await createTopic(client, 1, { 'max.message.bytes': '20000' });
      await sendUntilConfirmed(client, topic, 0, [record('a', '1')]);
      const several = Array.from({ length: 30 }, (_, index) => record(`k${index}`, 'x'.repeat(1_000)));
      await expect(client.produce(topic, 0, batchOf(several))).rejects.toMatchObject({
        code: 'DITTO_KAFKA_MESSAGE_TOO_LARGE',
        retriable: false,
      });
      await client.produce(topic, 0, batchOf(several.slice(0, 15)));
      await client.produce(topic, 0, batchOf(several.slice(15)));
      await expect(client.produce(topic, 0, batchOf([record('big', 'x'.repeat(30_000))]))).rejects.toMatchObject({
        code: 'DITTO_KAFKA_MESSAGE_TOO_LARGE',
      });
      await client.produce(topic, 0, batchOf([record('z', '2')]));
      const stored = await readTopic(cluster().brokers, topic);
      expect(stored.map(({ key }) => key)).toEqual(['a', ...several.map(({ key }) => key), 'z']);
    });

    it('names a record that the brokers refuse for good', async () => {
      const client = await connect();
      const topic = await createTopic(client, 1, { 'cleanup.policy': 'compact' });
      await expect(
        client.produce(topic, 0, batchOf([record(null, 'a compacted topic wants keys')])),
      ).rejects.toMatchObject({
        code: 'DITTO_KAFKA_RECORD_REFUSED',
        retriable: false,
      });
      await client.produce(topic, 0, batchOf([record('a', '1')]));
      await expect(
        client.produce(topic, 0, batchOf([record('b', '2'), record(null, 'beside others'), record('c', '3')])),
      ).rejects.toMatchObject({ code: 'DITTO_KAFKA_RECORD_REFUSED' });
      await client.produce(topic, 0, batchOf([record('d', '4')]));
      expect((await readTopic(cluster().brokers, topic)).map(({ key }) => key)).toEqual(['a', 'd']);
    });

    it('I5: writes nothing of what it has once it may not write any more', async () => {
      const client = await connect();
      const topic = await createTopic(client, 1);
      let mayWrite = true;
      client.guardWith(() => mayWrite);
      await sendUntilConfirmed(client, topic, 0, [record('a', '1')]);
      const batch = batchOf([record('b', '2')]);
      const sent = client.produce(topic, 0, batch);
      mayWrite = false;
      const refusal = { code: 'DITTO_LEASE_LOST', retriable: true };
      await expect(sent).rejects.toMatchObject(refusal);
      await expect(client.produce(topic, 0, batch)).rejects.toMatchObject(refusal);
      expect((await readTopic(cluster().brokers, topic)).map(({ key }) => key)).toEqual(['a']);
    });

    describe('with brokers that do not answer', () => {
      let silent: Awaited<ReturnType<typeof startSilentServer>>;
      beforeAll(async () => {
        silent = await startSilentServer();
      });
      afterAll(() => silent.close());

      it('settles within its bound', async () => {
        const began = performance.now();
        const limits = { connectTimeoutMs: 500, requestTimeoutMs: 500, deliveryTimeoutMs: 2_000 };
        await expect(connect({ brokers: [silent.address], ...limits })).rejects.toMatchObject({
          code: 'DITTO_KAFKA_UNAVAILABLE',
          retriable: true,
        });
        expect(performance.now() - began).toBeLessThan(5_000);
      });
    });
  });
}

/** Loads of all clients at once while `breakBrokers` runs; then every topic is compared with what was confirmed. */
async function expectCompleteAfter(
  clients: readonly KafkaClient[],
  cluster: BrokerCluster,
  breakBrokers: () => Promise<void>,
  longestCallMs: number,
): Promise<void> {
  const partitions = 4;
  const topics = await Promise.all(
    clients.map(async (client) => {
      const topic = uniqueName('faults');
      await client.ensureTopic({ topic, partitions, replicationFactor: 3, config: { 'min.insync.replicas': '2' } });
      return topic;
    }),
  );
  const breaking = breakBrokers();
  const loads = clients.map(async (client, index) => {
    const topic = topics[index] as string;
    return { topic, load: await runLoad(client, topic, partitions, breaking) };
  });
  for (const [index, { topic, load }] of (await Promise.all(loads)).entries()) {
    const client = clients[index]?.constructor.name;
    expect(Math.min(...load.confirmed)).toBeGreaterThan(0);
    expect(load.slowestCallMs).toBeLessThan(longestCallMs);
    const stored = numbersByPartition(await readTopic(cluster.brokers, topic), partitions);
    for (const [partition, numbers] of stored.entries()) {
      const wrong = numbers.findIndex((number, index) => number !== index);
      const expected = { client, partition, count: load.confirmed[partition], wrong: -1, found: undefined };
      expect({ client, partition, count: numbers.length, wrong, found: numbers[wrong] }).toEqual(expected);
    }
  }
}

/** The part of the contract that needs broken brokers; all clients go through the same faults at the same time. */
export function describeBrokerFaults(
  clients: Readonly<Record<string, (options: KafkaConnectionOptions) => KafkaClient>>,
  cluster: () => BrokerCluster,
): void {
  describe(`${Object.keys(clients).join(' and ')} with breaking brokers`, () => {
    const open: KafkaClient[] = [];
    const connectAll = async (limits: Partial<KafkaConnectionOptions>): Promise<KafkaClient[]> => {
      const options = { brokers: cluster().brokers, clientId: 'faults', logger: silentLogger, ...limits };
      open.push(...Object.values(clients).map((create) => create(options)));
      for (const client of open) await client.connect();
      return open;
    };

    afterEach(async () => {
      await Promise.all(open.splice(0).map((client) => client.close()));
    });

    it('I1, I2: lose, double and reorder no confirmed message while brokers are killed and come back', async () => {
      const breakBrokers = async (): Promise<void> => {
        await sleep(1_000);
        await cluster().kill(2);
        await sleep(3_500);
        await cluster().start(2);
        await cluster().kill(3);
        await sleep(3_500);
        await cluster().start(3);
      };
      await expectCompleteAfter(await connectAll({ requestTimeoutMs: 6_000 }), cluster(), breakBrokers, 31_000);
    }, 120_000);

    it('settle each call while a leader is frozen, and end complete and in order', async () => {
      const freeze = async (): Promise<void> => {
        await sleep(1_000);
        await cluster().freeze(1);
        await sleep(5_000);
        await cluster().thaw(1);
        await sleep(1_000);
      };
      const limits = { requestTimeoutMs: 1_500, deliveryTimeoutMs: 4_000 };
      await expectCompleteAfter(await connectAll(limits), cluster(), freeze, 5_000);
    }, 120_000);
  });
}
