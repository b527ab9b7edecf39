import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { formatVersion, topicName } from '#change-events';
import { Backoff, retry, silentLogger, sleep } from '#kernel';
import { testStack, uniqueName } from '#testing';

import {
  batchOf,
  type KafkaRecord,
  listKeysAbove,
  PlatformaticKafkaClient,
  TABLE_CHANGE_KEY,
  TopicMemory,
  TopicReader,
} from '../src/index.ts';
import { readTopic } from './read-topic.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const never = new AbortController().signal;
let brokers: string[] = [];
const endings: (() => Promise<void>)[] = [];

beforeAll(async () => {
  brokers = (await testStack()).url('kafka').split(',');
});

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

interface Place {
  readonly lineage?: number;
  readonly number: number;
  readonly row?: number;
  readonly read?: number;
}

/** Transaction n is at offset 1000 n. */
function versionOf({ lineage = 1, number, row = 0, read = 0 }: Place): string {
  return formatVersion({ lineage, fileNumber: 1, offset: number * 1000, rowIndex: row, readSequence: read });
}

function message(place: Place, options: Partial<KafkaRecord> & { readonly gtid?: string } = {}): KafkaRecord {
  const { number, row = 0 } = place;
  const headers = {
    'ditto.id': `${options.gtid ?? `${UUID}:${number}`}/${row}`,
    'ditto.version': versionOf(place),
  };
  return {
    key: options.key === undefined ? `k${row}` : options.key,
    value: options.value === undefined ? '{}' : options.value,
    headers,
  };
}

/** As the lanes do: the same batch until it is confirmed. */
async function produce(
  client: PlatformaticKafkaClient,
  topic: string,
  partition: number,
  records: readonly KafkaRecord[],
): Promise<void> {
  const batch = batchOf(records);
  await retry(() => client.produce(topic, partition, batch), { backoff: new Backoff({ initialMs: 50, maxMs: 500 }) });
}

interface World {
  readonly source: string;
  readonly memory: TopicMemory;
  /** Each list is one batch. */
  send(table: string, partition: number, ...batches: (readonly KafkaRecord[])[]): Promise<void>;
  topic(name: string, config?: Readonly<Record<string, string>>): Promise<void>;
}

async function openWorld(): Promise<World> {
  const source = uniqueName('src').toLowerCase().replaceAll('.', '-');
  const client = new PlatformaticKafkaClient({ brokers, clientId: 'memory', logger: silentLogger });
  const reader = new TopicReader({ brokers, clientId: 'memory', logger: silentLogger });
  endings.push(
    () => client.close(),
    () => reader.close(),
  );
  await client.connect();
  const topic = async (name: string, config: Readonly<Record<string, string>> = {}): Promise<void> => {
    await client.ensureTopic({ topic: name, partitions: 2, replicationFactor: 1, config });
  };
  return {
    source,
    memory: new TopicMemory({ reader, source }),
    topic,
    send: async (table, partition, ...batches) => {
      const name = table === '' ? source : topicName(source, 'shop', table);
      await topic(name);
      for (const records of batches) await produce(client, name, partition, records);
    },
  };
}

describe('TopicMemory', () => {
  it('I7: knows the transactions above a version, in every kind of topic, and nothing of other sources', async () => {
    const { source, memory, send, topic } = await openWorld();
    await send('orders', 0, [message({ number: 4 }), message({ number: 5, row: 1 })]);
    await send('orders', 1, [message({ number: 7 }, { value: null })]);
    await send('log', 0, [message({ number: 8 }, { key: null, gtid: `${UUID}:blue:3` })]);
    await send('log', 0, [message({ number: 8 }, { key: null, gtid: '0-1-77' })]);
    const ddl = message({ number: 9 });
    await send('', 0, [{ ...ddl, headers: { ...ddl.headers, 'ditto.id': `${UUID}:9/ddl` } }]);
    const client = new PlatformaticKafkaClient({ brokers, clientId: 'other', logger: silentLogger });
    endings.push(() => client.close());
    for (const other of [`${source}-b.shop.orders`, `${source}2`]) {
      await topic(other);
      await produce(client, other, 0, [message({ number: 99 })]);
    }
    const above = async (number: number): Promise<string[]> => [
      ...(await memory.gtidsAbove(versionOf({ number }), never)),
    ];
    expect((await above(4)).sort()).toEqual(['0-1-77', `${UUID}:9`, `${UUID}:blue:3`]);
    expect(await above(8)).toEqual([`${UUID}:9`]);
    expect(await above(9)).toEqual([]);
    expect((await memory.gtidsAbove('', never)).length).toBe(3);
    expect(await memory.newestLineage(never)).toBe(1);
  }, 60_000);

  it('passes over reads, the end of a table by a resync, and what others published', async () => {
    const { source, memory, send } = await openWorld();
    const end = { ...message({ number: 0 }), headers: { 'ditto.id': `${source}/2/resync`, 'ditto.version': '' } };
    end.headers['ditto.version'] = formatVersion({
      lineage: 2,
      fileNumber: 0,
      offset: 0,
      rowIndex: 0,
      readSequence: 0,
    });
    const read = message({ lineage: 2, number: 6, row: 0xffffffff, read: 3 });
    await send(
      'orders',
      0,
      [message({ number: 3 })],
      [end],
      [{ ...read, headers: { ...read.headers, 'ditto.id': `${source}/2/3/abc` } }],
      [
        { key: 'x', value: 'x', headers: {} },
        { key: 'x', value: 'x', headers: { 'ditto.version': 'zz' } },
      ],
    );
    expect(await memory.gtidsAbove(versionOf({ number: 2 }), never)).toEqual([`${UUID}:3`]);
    expect(await memory.gtidsAbove(versionOf({ lineage: 2, number: 1 }), never)).toEqual([]);
    expect(await memory.newestLineage(never)).toBe(2);
  });

  it('continues to read after a batch of a former owner that arrived late, and after repeats', async () => {
    const { memory, send } = await openWorld();
    const run = [1, 2, 3, 4, 5, 6].map((number) => message({ number }));
    await send('orders', 0, run.slice(0, 3), run.slice(3), [message({ number: 4 })], [message({ number: 1 })]);
    expect(await memory.gtidsAbove(versionOf({ number: 3 }), never)).toEqual([`${UUID}:6`]);
  });

  it('ends at once in a partition of much older changes, and goes far back where it must', async () => {
    const { memory, send } = await openWorld();
    const batch = (first: number): KafkaRecord[] =>
      Array.from({ length: 500 }, (_, index) => message({ number: first + index }, { value: 'x'.repeat(500) }));
    await send('orders', 0, ...Array.from({ length: 20 }, (_, index) => batch(1 + index * 500)));
    expect(await memory.gtidsAbove(versionOf({ number: 10 }), never)).toEqual([`${UUID}:10000`]);
    await send('orders', 0, [message({ lineage: 2, number: 1 }, { gtid: `${UUID}:10001` })]);
    expect(await memory.gtidsAbove(versionOf({ number: 10 }), never)).toEqual([`${UUID}:10001`]);
    expect(await memory.newestLineage(never)).toBe(2);
  });

  it('finds its way in compacted and in empty partitions', async () => {
    const { source, memory, send, topic } = await openWorld();
    const name = topicName(source, 'shop', 'orders');
    await topic(name, {
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0.01',
      'segment.ms': '100',
      'max.compaction.lag.ms': '100',
    });
    expect(await memory.newestLineage(never)).toBe(0);
    expect(await memory.gtidsAbove('', never)).toEqual([]);
    for (let number = 1; number <= 300; number += 100) {
      const same = Array.from({ length: 100 }, (_, index) => message({ number: number + index }, { key: 'same' }));
      await send('orders', 0, same);
      await sleep(200);
    }
    await send('orders', 0, [{ key: 'x', value: '1', headers: {} }]);
    await expectCompacted(name);
    expect(await memory.gtidsAbove(versionOf({ number: 1 }), never)).toEqual([`${UUID}:300`]);
    expect(await memory.newestLineage(never)).toBe(1);
  }, 60_000);

  it('can be interrupted, and says when no broker answers', async () => {
    const { memory, send } = await openWorld();
    await send('orders', 0, [message({ number: 1 })]);
    await expect(memory.gtidsAbove('', AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    const reader = new TopicReader({ brokers: ['127.0.0.1:1'], clientId: 'memory', logger: silentLogger });
    endings.push(() => reader.close());
    await expect(new TopicMemory({ reader, source: 'shop' }).newestLineage(never)).rejects.toMatchObject({
      code: 'DITTO_KAFKA_UNAVAILABLE',
      retriable: true,
    });
  }, 30_000);
});

describe('the keys of messages above a version', () => {
  it('I4: are those of all partitions, and not known where rows of the whole table were ended', async () => {
    const { source, send } = await openWorld();
    const at = (number: number, key: string): KafkaRecord => message({ number }, { key });
    const run = [1, 2, 3, 4].map((number) => at(number, `k${number}`));
    await send('orders', 0, run.slice(0, 2), run.slice(2), [at(1, 'late')], [{ key: 'x', value: 'x', headers: {} }]);
    await send('orders', 1, [at(5, 'k5')], [message({ number: 6 }, { key: 'k6', value: null })]);
    await send('ended', 0, [at(1, 'k1')], [at(4, TABLE_CHANGE_KEY)]);
    await send('old', 0, [at(1, TABLE_CHANGE_KEY)], [at(2, 'k2')]);
    const reader = new TopicReader({ brokers, clientId: 'keys', logger: silentLogger });
    endings.push(() => reader.close());
    const topics = ['orders', 'ended', 'old', 'missing'].map((table) => topicName(source, 'shop', table));
    const version = versionOf({ number: 2 });
    const found = await listKeysAbove(reader, topics, { above: version, downTo: version }, never);
    expect([...(found.get(topics[0] ?? '') ?? [])].sort()).toEqual(['k3', 'k4', 'k5', 'k6']);
    expect([found.get(topics[1] ?? ''), found.get(topics[2] ?? ''), found.has(topics[3] ?? '')]).toEqual([
      null,
      new Set(),
      false,
    ]);
  });

  it('I4: are found before a long repeat of messages that are not above, after two crashes', async () => {
    const { source, send } = await openWorld();
    const at = (number: number): KafkaRecord[] => [message({ number }, { key: `k${number}` })];
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    await send('orders', 0, ...numbers.map(at), ...numbers.slice(2, 8).map(at));
    const reader = new TopicReader({ brokers, clientId: 'keys', logger: silentLogger });
    endings.push(() => reader.close());
    const topic = topicName(source, 'shop', 'orders');
    const versions = { above: versionOf({ number: 8 }), downTo: versionOf({ number: 2 }) };
    const found = await listKeysAbove(reader, [topic], versions, never);
    expect([...(found.get(topic) ?? [])].sort()).toEqual(['k10', 'k9']);
  });
});

async function expectCompacted(topic: string): Promise<void> {
  for (;;) {
    const left = await readTopic(brokers, topic);
    if (left.length < 110) return;
    await sleep(300);
  }
}
