import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { partitionForKey, type RowChange, topicName } from '#change-events';
import { type LogFields, type Logger, silentLogger, sleep } from '#kernel';
import { acceptChanges, openSink, testStack, uniqueName } from '#testing';

import { KafkaPublisher, type KafkaPublisherOptions, PlatformaticKafkaClient } from '../src/index.ts';
import { createChange, createLayout, createRows, createTransaction } from './changes.ts';
import { MemoryPartitionCounts } from './memory-partition-counts.ts';
import { readTopic, type StoredMessage } from './read-topic.ts';

let brokers: string[] = [];
const open: KafkaPublisher[] = [];

beforeAll(async () => {
  brokers = (await testStack()).url('kafka').split(',');
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((publisher) => publisher.close()));
});

interface Opened {
  readonly publisher: KafkaPublisher;
  readonly source: string;
  readonly counts: MemoryPartitionCounts;
  readonly fatal: Error[];
  /** Accepts, waits until all is confirmed, gives the number of acknowledged changes. */
  publish(changes: readonly RowChange[]): Promise<number>;
  read(table: string): Promise<StoredMessage[]>;
}

async function openPublisher(options: Partial<KafkaPublisherOptions> = {}): Promise<Opened> {
  const source = options.source ?? uniqueName('src');
  const counts = new MemoryPartitionCounts();
  const fatal: Error[] = [];
  const client = new PlatformaticKafkaClient({ brokers, clientId: 'test', logger: silentLogger, compression: 'none' });
  const topics = { partitions: 3, replicationFactor: 1 };
  const publisher = new KafkaPublisher({
    client,
    source,
    version: '0.1.0',
    logger: silentLogger,
    counts,
    topics,
    ...options,
  });
  open.push(publisher);
  await openSink(publisher, { onFatal: (error) => void fatal.push(error) });
  const publish = async (changes: readonly RowChange[]): Promise<number> => {
    let acknowledged = 0;
    acceptChanges(publisher, changes, { acknowledge: (count) => (acknowledged += count) });
    await publisher.drain(AbortSignal.timeout(20_000));
    return acknowledged;
  };
  return {
    publisher,
    source,
    counts,
    fatal,
    publish,
    read: (table) => readTopic(brokers, topicName(source, 'shop', table)),
  };
}

function shapes(messages: readonly StoredMessage[]): unknown[] {
  return messages.map(({ key, value, headers }) => {
    const envelope = value === null ? null : (JSON.parse(value) as { op: string; before: unknown; after: unknown });
    return [
      key,
      envelope?.op ?? null,
      envelope?.before ?? null,
      envelope?.after ?? null,
      headers['ditto.id']?.split(':')[1],
    ];
  });
}

describe('KafkaPublisher', () => {
  it("publishes Debezium's envelope under the key, with identity and version, on the partition that Java would choose", async () => {
    const { publisher, publish, read, source } = await openPublisher();
    const layout = createLayout('orders');
    await publisher.prepareTable(layout);
    expect(await publish(createRows(layout, 500))).toBe(500);
    const messages = await read('orders');
    expect(messages).toHaveLength(500);
    for (const { key, partition } of messages) expect(partition).toBe(partitionForKey(Buffer.from(key ?? ''), 3));
    const message = messages.find(({ key }) => key === '{"id":7}');
    expect(message?.headers).toEqual({
      'ditto.id': `${createTransaction(1).gtid}/7`,
      'ditto.version': `${createTransaction(1).versionPrefix}0000000700000000`,
    });
    expect(JSON.parse(message?.value ?? '')).toMatchObject({
      before: null,
      after: { id: 7, name: 'n7' },
      source: { name: source, db: 'shop', table: 'orders', connector: 'mysql', row: 7 },
      op: 'c',
    });
    expect(publisher.status()).toMatchObject({
      confirmedChanges: 500,
      changesInFlight: 0,
      bytesInFlight: 0,
      holdingBecause: null,
    });
  });

  it('I2: keeps the rows of `a.b`.`c` and `a`.`b.c` apart', async () => {
    const { publisher, source, publish } = await openPublisher();
    const places = [
      ['a.b', 'c'],
      ['a', 'b.c'],
    ] as const;
    for (const [database, table] of places) {
      const layout = { ...createLayout(table), database };
      await publisher.prepareTable(layout);
      await publish([createChange({ op: 'create', layout, after: [1, `${database} and ${table}`] })]);
    }
    for (const [database, table] of places) {
      const messages = await readTopic(brokers, topicName(source, database, table));
      expect(messages.map(({ value }) => JSON.parse(value ?? '{}') as unknown)).toMatchObject([
        { after: { name: `${database} and ${table}` }, source: { db: database, table } },
      ]);
    }
  });

  it('I2: keeps the changes of each key in the order of accept', async () => {
    const { publisher, publish, read } = await openPublisher({ maxBatchMessages: 7 });
    const layout = createLayout('orders');
    await publisher.prepareTable(layout);
    const changes = Array.from({ length: 1_000 }, (_, index) =>
      createChange({
        op: 'update',
        layout,
        before: [index % 13, ''],
        after: [index % 13, String(index)],
        rowIndex: index,
      }),
    );
    expect(await publish(changes)).toBe(1_000);
    const lastOf = new Map<string | null, number>();
    for (const { key, value } of await read('orders')) {
      const number = Number((JSON.parse(value ?? '') as { after: { name: string } }).after.name);
      expect(number).toBeGreaterThan(lastOf.get(key) ?? -1);
      lastOf.set(key, number);
    }
    expect([...lastOf.values()].sort((a, b) => a - b)).toEqual(Array.from({ length: 13 }, (_, index) => 987 + index));
  });

  it('follows a delete with a tombstone, unless switched off, and counts both as one change', async () => {
    const removal = (layout: ReturnType<typeof createLayout>) =>
      createChange({ op: 'delete', layout, before: [1, 'a'] });
    const layout = createLayout('orders');
    for (const tombstones of [true, false]) {
      const { publisher, publish, read } = await openPublisher({ tombstones });
      await publisher.prepareTable(layout);
      expect(await publish([removal(layout)])).toBe(1);
      const [deleted, tombstone] = [
        ['{"id":1}', 'd', { id: 1, name: 'a' }, null, '1/0'],
        ['{"id":1}', null, null, null, '1/0'],
      ];
      expect(shapes(await read('orders'))).toEqual(tombstones ? [deleted, tombstone] : [deleted]);
    }
  });

  it('makes a changed key a delete of the old and a create of the new, counted once', async () => {
    const { publisher, publish, read } = await openPublisher({ topics: { partitions: 1, replicationFactor: 1 } });
    const layout = createLayout('orders');
    await publisher.prepareTable(layout);
    expect(
      await publish([createChange({ op: 'update', layout, before: [1, 'a'], after: [2, 'a'], rowIndex: 4 })]),
    ).toBe(1);
    expect(shapes(await read('orders'))).toEqual([
      ['{"id":1}', 'd', { id: 1, name: 'a' }, null, '1/4/d'],
      ['{"id":1}', null, null, null, '1/4/d'],
      ['{"id":2}', 'c', null, { id: 2, name: 'a' }, '1/4/c'],
    ]);
    expect(publisher.status()).toMatchObject({ confirmedChanges: 1, changesInFlight: 0 });
  });

  it('publishes a table without a key without keys, in order, on one partition that is not compacted', async () => {
    const { publisher, publish, read, counts, source } = await openPublisher();
    const layout = createLayout('log', false);
    await publisher.prepareTable(layout);
    const deletion = createChange({ op: 'delete', layout, before: [1, 'x'] });
    expect(await publish([...createRows(layout, 20), deletion])).toBe(21);
    const messages = await read('log');
    expect(messages.map(({ key, partition }) => [key, partition])).toEqual(Array.from({ length: 21 }, () => [null, 0]));
    expect(counts.counts.get(topicName(source, 'shop', 'log'))).toBe(1);
  });

  it.each(['truncate', 'drop'] as const)('sends a %s to every partition', async (op) => {
    const { publisher, publish, read } = await openPublisher();
    const layout = createLayout('orders');
    await publisher.prepareTable(layout);
    await publish(createRows(layout, 10));
    const change = { op, layout, transaction: createTransaction(2), rowIndex: 0 };
    await publisher.applyTableChange(change);
    const ends = [0, 1, 2].map((partition) => ({ partition, key: 'null' }));
    const messages = (await read('orders')).filter(
      ({ value }) => (JSON.parse(value ?? '') as { op: string }).op === 't',
    );
    expect(messages.map(({ partition, key }) => ({ partition, key }))).toEqual(ends);
    expect(publisher.status()).toMatchObject({ changesInFlight: 0, bytesInFlight: 0 });
  });

  it.each([true, false])(
    'ends a table that was never published without a topic (it may create them: %s)',
    async (create) => {
      const { publisher, publish, source, counts } = await openPublisher({
        topics: { create, partitions: 3, replicationFactor: 1 },
      });
      // what DROP TABLE IF EXISTS says of a table that nobody knows
      const layout = { ...createLayout('log'), fingerprint: 'assumed' };
      await publisher.applyTableChange({ op: 'drop', layout, transaction: createTransaction(1), rowIndex: 0 });
      expect(counts.counts.size).toBe(0);
      if (!create) return;
      const keyless = createLayout('log', false);
      await publisher.prepareTable(keyless);
      expect(await publish(createRows(keyless, 2))).toBe(2);
      expect(counts.counts.get(topicName(source, 'shop', 'log'))).toBe(1);
    },
  );

  it('ends a table that was published by the process before', async () => {
    const { publisher, source } = await openPublisher();
    await publisher.prepareTable(createLayout('orders'));
    const again = await openPublisher({ source });
    const layout = createLayout('orders');
    await again.publisher.applyTableChange({ op: 'drop', layout, transaction: createTransaction(1), rowIndex: 0 });
    expect(await again.read('orders')).toHaveLength(3);
  });

  it('says what it waits for while brokers are down, before there is anything to deliver', async () => {
    const client = new PlatformaticKafkaClient({
      brokers: ['127.0.0.1:1'],
      clientId: 'test',
      logger: silentLogger,
      connectTimeoutMs: 200,
    });
    const topics = { partitions: 1, replicationFactor: 1 };
    const publisher = new KafkaPublisher({
      ...{ client, source: 's', version: '0', logger: silentLogger, topics, counts: new MemoryPartitionCounts() },
      backoff: { initialMs: 10, maxMs: 10 },
    });
    const stop = new AbortController();
    const opened = openSink(publisher, { signal: stop.signal });
    while (publisher.status().holdingBecause === null) await sleep(10);
    const seen = publisher.status().holdingBecause;
    stop.abort();
    await expect(opened).rejects.toBe(stop.signal.reason);
    expect(seen).toContain('DITTO_KAFKA_UNAVAILABLE');
    expect(publisher.status().holdingBecause).toBeNull();
    await publisher.close();
  });

  it('splits what the topic takes only in smaller batches', async () => {
    const topics = { partitions: 1, replicationFactor: 1, config: { 'max.message.bytes': '3000' } };
    const { publisher, publish, read, fatal } = await openPublisher({ topics });
    const layout = createLayout('orders');
    await publisher.prepareTable(layout);
    expect(await publish(createRows(layout, 200, 'x'.repeat(300)))).toBe(200);
    expect((await read('orders')).map(({ key }) => key)).toEqual(
      Array.from({ length: 200 }, (_, id) => `{"id":${id}}`),
    );
    expect(fatal).toEqual([]);
  });

  it('stops with a code at one message that is too large, and acknowledges only what came before it', async () => {
    const topics = { partitions: 1, replicationFactor: 1, config: { 'max.message.bytes': '3000' } };
    const { publisher, fatal } = await openPublisher({ topics });
    const layout = createLayout('orders');
    await publisher.prepareTable(layout);
    let acknowledged = 0;
    const changes = [...createRows(layout, 2), createChange({ op: 'create', layout, after: [9, 'x'.repeat(5_000)] })];
    acceptChanges(publisher, changes, { acknowledge: (count) => (acknowledged += count) });
    await expect(publisher.drain(AbortSignal.timeout(20_000))).rejects.toMatchObject({
      code: 'DITTO_KAFKA_MESSAGE_TOO_LARGE',
    });
    expect(fatal).toHaveLength(1);
    expect(fatal[0]).toMatchObject({
      context: { key: '{"id":9}' },
      remedy: expect.stringContaining('max.message.bytes'),
    });
    expect(acknowledged).toBe(2);
  });

  it('stops with a code when a topic has another number of partitions than at first use', async () => {
    const { publisher, source } = await openPublisher();
    await publisher.prepareTable(createLayout('orders'));
    const again = await openPublisher({ source });
    again.counts.counts.set(topicName(source, 'shop', 'orders'), 5);
    await expect(again.publisher.prepareTable(createLayout('orders'))).rejects.toMatchObject({
      code: 'DITTO_KAFKA_PARTITIONS_CHANGED',
      context: { stored: 5, partitions: 3 },
    });
  });

  it('refuses a compacted topic for a table without a key', async () => {
    const { publisher, source } = await openPublisher();
    await publisher.prepareTable(createLayout('log'));
    const again = await openPublisher({ source });
    await expect(again.publisher.prepareTable(createLayout('log', false))).rejects.toMatchObject({
      code: 'DITTO_KAFKA_COMPACTED_WITHOUT_KEY',
    });
  });

  it('refuses a missing topic when it may not create any', async () => {
    const { publisher } = await openPublisher({ topics: { create: false, partitions: 3, replicationFactor: 1 } });
    await expect(publisher.prepareTable(createLayout('orders'))).rejects.toMatchObject({
      code: 'DITTO_KAFKA_TOPIC_MISSING',
    });
  });

  it('warns of few replicas', async () => {
    const warnings: LogFields[] = [];
    const logger: Logger = { ...silentLogger, warn: (_message, fields) => void warnings.push(fields ?? {}) };
    const { publisher } = await openPublisher({ logger });
    await publisher.prepareTable(createLayout('a'));
    await publisher.prepareTable(createLayout('b'));
    expect(warnings).toEqual([
      expect.objectContaining({ replicationFactor: 1 }),
      expect.objectContaining({ minInSyncReplicas: 1 }),
    ]);
  });

  it('publishes statements in order, confirmed when it resolves, to a topic of one partition that keeps them', async () => {
    const { publisher, source } = await openPublisher({ schemaChanges: true });
    const changes = ['CREATE TABLE a (id INT)', 'DROP TABLE a'].map((ddl, index) => ({
      database: 'shop',
      ddl,
      tables: [],
      transaction: createTransaction(index + 1),
    }));
    for (const [index, change] of changes.entries()) {
      await publisher.publishStatement(change);
      expect(await readTopic(brokers, source)).toHaveLength(index + 1);
    }
    const messages = await readTopic(brokers, source);
    expect(messages.map(({ partition, key }) => [partition, key])).toEqual([
      [0, '{"databaseName":"shop"}'],
      [0, '{"databaseName":"shop"}'],
    ]);
    expect(messages.map(({ value }) => (JSON.parse(value ?? '') as { ddl: string }).ddl)).toEqual(
      changes.map(({ ddl }) => ddl),
    );
    expect(messages[0]?.headers).toEqual({
      'ditto.id': `${createTransaction(1).gtid}/ddl`,
      'ditto.version': `${createTransaction(1).versionPrefix}0000000000000000`,
    });
    expect(publisher.status()).toMatchObject({ confirmedChanges: 0, changesInFlight: 0, bytesInFlight: 0 });
  });

  it('publishes a statement that is larger than a message may be, cut', async () => {
    const { publisher, source, fatal } = await openPublisher({ schemaChanges: true });
    const ddl = `ALTER TABLE a COMMENT '${'x'.repeat(2_000_000)}'`;
    await publisher.publishStatement({ database: 'shop', ddl, tables: [], transaction: createTransaction(1) });
    const [message] = await readTopic(brokers, source);
    expect(JSON.parse(message?.value ?? '')).toMatchObject({ truncated: true });
    expect(fatal).toEqual([]);
  });

  it('publishes no statements, and makes no topic for them, when it is configured so', async () => {
    const { publisher, source } = await openPublisher();
    const change = { database: 'shop', ddl: 'DROP TABLE a', tables: [], transaction: createTransaction(1) };
    await publisher.publishStatement(change);
    const client = new PlatformaticKafkaClient({
      brokers,
      clientId: 'test',
      logger: silentLogger,
      compression: 'none',
    });
    try {
      expect(await client.partitionCount(source)).toBeNull();
    } finally {
      await client.close();
    }
  });
});
