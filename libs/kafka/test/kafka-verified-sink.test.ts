import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import {
  changeVersion,
  type Column,
  type ColumnKind,
  formatVersion,
  GtidSet,
  partitionForKey,
  readEnvelope,
  type Row,
  type RowChange,
  rowOfKey,
  type TableLayout,
  topicName,
  LOWEST_VERSION,
  ValueRows,
} from '#change-events';
import { Backoff, retry, silentLogger, sleep } from '#kernel';
import { acceptChanges, openSink, testStack, uniqueName } from '#testing';
import { type Bounds, judge, type ListedPage, type StoredRow } from '#verification';

import {
  batchOf,
  type KafkaRecord,
  KafkaPublisher,
  KafkaVerifiedSink,
  KeyHistory,
  type KeyMessage,
  PlatformaticKafkaClient,
  TopicFolds,
  TopicReader,
} from '../src/index.ts';
import { createKafkaJs } from '../src/kafkajs-client.ts';
import { createChange, createLayout, createRows, createTransaction } from './changes.ts';
import { MemoryPartitionCounts } from './memory-partition-counts.ts';

const never = new AbortController().signal;
const PARTITIONS = 3;
/** How a service collects garbage from its start on. */
const GARBAGE = ['--expose-gc', '--heap-growing-percent=60', '--semi-space-growth-factor=1'];
let brokers: string[] = [];
let folder: string;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  brokers = (await testStack()).url('kafka').split(',');
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ditto-folds-'));
});

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
  rmSync(folder, { recursive: true, force: true });
});

interface World {
  readonly source: string;
  readonly layout: TableLayout;
  readonly topic: string;
  readonly sink: KafkaVerifiedSink;
  readonly folds: TopicFolds;
  readonly history: KeyHistory;
  publish(changes: readonly RowChange[]): Promise<void>;
  truncate(transaction: number): Promise<void>;
  /** As another program does. */
  forge(...records: readonly KafkaRecord[]): Promise<void>;
  readOne(id: number): Promise<StoredRow | null>;
}

async function openWorld(
  layout: TableLayout = createLayout('orders'),
  options: { readonly config?: Readonly<Record<string, string>>; readonly bigint?: 'number' | 'string' } = {},
): Promise<World> {
  const { config = {}, bigint = 'number' } = options;
  const source = uniqueName('src').toLowerCase().replaceAll('.', '-');
  const connection = { brokers, clientId: 'fold', logger: silentLogger };
  const client = new PlatformaticKafkaClient(connection);
  const reader = new TopicReader(connection);
  const publisher = new KafkaPublisher({
    ...{ client, source, version: '0', logger: silentLogger, counts: new MemoryPartitionCounts(), bigint },
    topics: { partitions: PARTITIONS, replicationFactor: 1, config },
  });
  await openSink(publisher);
  const folds = new TopicFolds({ reader, folder, maxBytes: 2 ** 30, logger: silentLogger });
  endings.push(
    () => publisher.close(),
    () => reader.close(),
    () => folds.close(),
  );
  await publisher.prepareTable(layout);
  const sink = new KafkaVerifiedSink({ folds, source, bigint });
  const topic = topicName(source, layout.database, layout.table);
  return {
    ...{ source, layout, topic, sink, folds, history: new KeyHistory(reader) },
    publish: async (given) => {
      acceptChanges(publisher, given, { acknowledge: () => undefined });
      await publisher.drain(AbortSignal.timeout(30_000));
    },
    truncate: (transaction) =>
      publisher.applyTableChange({
        ...{ op: 'truncate', layout, transaction: createTransaction(transaction), rowIndex: 0 },
      }),
    forge: async (...records) => {
      for (const record of records) {
        const batch = batchOf([record]);
        const partition = partitionForKey(Buffer.from(record.key ?? ''), PARTITIONS);
        await retry(() => client.produce(topic, partition, batch), {
          backoff: new Backoff({ initialMs: 50, maxMs: 500 }),
        });
      }
    },
    readOne: async (id) => (await sink.read(layout, [rowOfKey(layout, [id])], never))[0] ?? null,
  };
}

async function newest({ history, topic }: World, key: string): Promise<KeyMessage> {
  const { messages } = await history.read({ topic, key, limit: 1, maxMessages: 10_000 }, never);
  return messages[0] as KeyMessage;
}

function recordOf(key: string, { value, version, id }: KeyMessage): KafkaRecord {
  return { key, value, headers: { 'ditto.id': id, 'ditto.version': version ?? '' } };
}

const late = createChange({ op: 'create', layout: createLayout('orders'), after: [1, ''], transaction: 900 });
const checkpoint = { version: changeVersion(late), covered: GtidSet.parse('') };
const bounds: Bounds = { ...checkpoint, checkpoint: checkpoint.version, highest: checkpoint.version, keptTraces: true };

const VALUES: Readonly<Record<ColumnKind, readonly Row[number][]>> = {
  integer: [0, -2147483648, 4294967295],
  bigint: [0, 9223372036854775807n, -9007199254740993n],
  decimal: ['0.00', '-99999999999999999999.99', '1.50'],
  float: [0, 3.4028235e38, -1.1],
  double: [0, 5e-324, 0.1],
  text: ['', 'ä "quoted" \\ \u0000 \u{1f600}', 'x'.repeat(100_000)],
  bytes: [Buffer.alloc(0), Buffer.of(0, 255, 1), Buffer.alloc(80_000, 7)],
  boolean: [true, false, true],
  bits: [Buffer.of(1), Buffer.of(255, 255), Buffer.of(0)],
  date: ['0000-00-00', '9999-12-31', '2026-02-03'],
  time: ['-838:59:59.000000', '00:00:00.000001', '838:59:59.000000'],
  datetime: ['0000-00-00T00:00:00', '2026-02-03T04:05:06', '1000-01-01T00:00:00'],
  timestamp: ['1970-01-01T00:00:01.000000Z', '2026-02-03T04:05:06.000007Z', '0000-00-00T00:00:00.000000Z'],
  enum: ['', 'a', '日本'],
  set: ['', 'a,b', 'c'],
  json: ['{"a": [1, 2.50, "x"]}', 'null', '[]'],
  geometry: [Buffer.alloc(0), Buffer.of(0, 0, 0, 0, 1, 2, 3, 4, 5), Buffer.of(0xe6, 0x10, 0, 0, 1, 9, 9, 9, 9)],
  vector: [Buffer.alloc(0), Buffer.of(0, 0, 0x80, 0x3f), Buffer.of(0xcd, 0xcc, 0xcc, 0x3d)],
};

describe('KafkaVerifiedSink', () => {
  it.each(['number', 'string'] as const)(
    'I4: what the publisher wrote is equal, byte for byte, for every kind of column (BIGINT as %s)',
    async (bigint) => {
      const kinds = Object.keys(VALUES) as ColumnKind[];
      const column = (name: string, kind: ColumnKind): Column => ({
        ...{ name, kind, type: kind, unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] },
      });
      const columns = [column('id', 'integer'), ...kinds.map((kind) => column(`c "${kind}"`, kind))];
      const layout: TableLayout = { database: 'shop', table: 'all', columns, key: [0, 2], fingerprint: 'all' };
      const rows: Row[] = [0, 1, 2].map((i) => [i, ...kinds.map((kind) => VALUES[kind][i] ?? null)]);
      rows.push([3, ...kinds.map((kind) => (kind === 'bigint' ? 1 : null))]);
      const world = await openWorld(layout, { bigint });
      await world.publish(rows.map((after, rowIndex) => createChange({ op: 'create', layout, after, rowIndex })));
      const stored = await world.sink.read(
        layout,
        rows.map((row) => rowOfKey(layout, [row[0] ?? null, row[2] ?? null])),
        never,
      );
      expect(stored.map((one, i) => one?.compare(rows[i] as Row))).toEqual([[], [], [], []]);
      expect(stored.map((one) => one?.damage)).toEqual([null, null, null, null]);
      expect(world.sink.comparisons).toEqual({ byBytes: rows.length, byValue: 0 });
      expect(await listKeys(world, 2)).toEqual(new Set(rows.map((row) => String([row[0], row[2]]))));
    },
    90_000,
  );

  it('finds a flipped bit, a forged version, a lost header, an older message, and a deleted row that came back', async () => {
    const world = await openWorld();
    const { layout } = world;
    await world.publish(createRows(layout, 20));
    await world.publish([createChange({ op: 'delete', layout, before: [8, 'n8'], transaction: 3, rowIndex: 0 })]);
    const row = (id: number): Row => [id, `n${id}`];
    const verdict = async (id: number, is: Row | null): Promise<unknown> => judge(is, await world.readOne(id), bounds);
    for (let id = 0; id < 20; id++) expect(await verdict(id, id === 8 ? null : row(id))).toBe('equal');
    expect(await verdict(8, row(8))).toMatchObject({ kind: 'missing' });
    expect(await verdict(99, row(99))).toMatchObject({ kind: 'missing' });
    expect(await verdict(5, null)).toMatchObject({ kind: 'extra' });

    const [one, two, three, four] = await Promise.all([1, 2, 3, 4].map((id) => newest(world, `{"id":${id}}`)));
    const flipped = Buffer.from(one?.value ?? '');
    const at = flipped.indexOf('"n1"') + 1;
    flipped[at] = (flipped[at] as number) ^ 1;
    const future = `00000009${two?.version?.slice(8) ?? ''}`;
    const old = createChange({ op: 'create', layout, after: [4, 'old'], transaction: 0 });
    // GTIDs begin at 1
    await world.publish([{ ...old, transaction: { ...old.transaction, gtid: createTransaction(1).gtid } }]);
    await world.forge(
      recordOf('{"id":1}', { ...(one as KeyMessage), value: flipped }),
      recordOf('{"id":2}', { ...(two as KeyMessage), version: future }),
      { ...recordOf('{"id":3}', three as KeyMessage), headers: {} },
      recordOf('{"id":8}', { ...(four as KeyMessage), value: Buffer.from('{}') }),
    );
    expect(await verdict(1, row(1))).toMatchObject({
      kind: 'different',
      differences: [{ column: 'name', source: '"n1"', sink: '"o1"' }],
    });
    expect(await verdict(2, row(2))).toMatchObject({ kind: 'damaged', damage: expect.stringContaining(future) });
    expect(await verdict(3, row(3))).toMatchObject({ kind: 'damaged', damage: expect.stringContaining('missing') });
    expect(await verdict(4, row(4))).toMatchObject({ kind: 'different' });
    expect(await verdict(8, null)).toMatchObject({ kind: 'damaged', damage: expect.stringContaining('envelope') });
    expect(await verdict(0, row(0))).toBe('equal');

    // of a chunk only rows that are judged equal are counted, and the others are given
    const rows = new ValueRows([...Array(20).keys(), 99].map(row));
    const { equal, others, stored } = await world.sink.readChunk(layout, { rows, range: null }, checkpoint, never);
    expect([equal, others]).toEqual([15, [1, 2, 3, 4, 8, 20]]);
    expect(stored.map((one) => one?.version ?? null)).toEqual([
      one?.version,
      future,
      null,
      changeVersion(old),
      four?.version,
      null,
    ]);
    // a version that is not covered yet may change still
    const before = { ...checkpoint, version: LOWEST_VERSION };
    expect(await world.sink.readChunk(layout, { rows, range: null }, before, never)).toMatchObject({ equal: 0 });
  }, 90_000);

  it('takes a row as damaged while an earlier message of its key outranks it for who goes by versions', async () => {
    const world = await openWorld();
    const { layout } = world;
    await world.publish(createRows(layout, 2));
    const one = await newest(world, '{"id":1}');
    const future = `00000009${one.version?.slice(8) ?? ''}`;
    await world.forge(recordOf('{"id":1}', { ...one, version: future }));
    await world.publish([createChange({ op: 'update', layout, before: [1, 'n1'], after: [1, 'new'], transaction: 5 })]);
    const stored = await world.readOne(1);
    expect(judge([1, 'new'], stored, bounds)).toMatchObject({
      kind: 'damaged',
      damage: expect.stringContaining(future),
    });
    const rows = new ValueRows([[1, 'new']]);
    const { others } = await world.sink.readChunk(layout, { rows, range: null }, checkpoint, never);
    expect(others).toEqual([0]);
    // a resync has raised the lineage
    expect(judge([1, 'new'], stored, { ...bounds, highest: `0000000a${bounds.highest.slice(8)}` })).toBe('equal');
    expect(judge([0, 'n0'], await world.readOne(0), bounds)).toBe('equal');
  }, 60_000);

  it('I2: reports messages that are out of order, and none after a repeated suffix', async () => {
    const world = await openWorld();
    const { layout } = world;
    const of = (transaction: number): RowChange =>
      createChange({ op: 'create', layout, after: [1, `n${transaction}`], transaction });
    for (const transaction of [1, 2, 3, 2, 3, 4]) await world.publish([of(transaction)]);
    await world.readOne(1);
    expect(world.folds.status().get(world.topic)).toMatchObject({ messages: 6, outOfOrder: 0 });
    for (const transaction of [3, 5]) await world.publish([of(transaction)]);
    await world.readOne(1);
    expect(world.folds.status().get(world.topic)).toMatchObject({
      outOfOrder: 1,
      samples: [{ key: '{"id":1}', version: changeVersion(of(5)), highest: changeVersion(of(4)) }],
    });
  }, 60_000);

  it('takes all rows as ended after a truncate, and lists none', async () => {
    const world = await openWorld();
    const { layout } = world;
    await world.publish(createRows(layout, 30));
    expect((await listKeys(world, 7)).size).toBe(30);
    await world.truncate(5);
    expect((await listKeys(world, 7)).size).toBe(0);
    const version = changeVersion({ op: 'truncate', layout, transaction: createTransaction(5), rowIndex: 0 });
    expect(await world.readOne(3)).toMatchObject({ version, gtid: createTransaction(5).gtid, isDeleted: true });
    await world.publish([createChange({ op: 'create', layout, after: [3, 'new'], transaction: 6 })]);
    expect((await world.readOne(3))?.compare([3, 'new'])).toEqual([]);
    expect(await listKeys(world, 7)).toEqual(new Set(['3']));
  }, 60_000);

  it('lists keys that are not keys of the table as foreign, and continues after a page', async () => {
    const world = await openWorld();
    const { layout } = world;
    await world.publish(createRows(layout, 5));
    const headers = { 'ditto.version': '', 'ditto.id': '' };
    await world.forge({ key: '{"no":1}', value: '{}', headers }, { key: '{"id": 1}', value: '{}', headers });
    const pages: ListedPage[] = [];
    for await (const page of world.sink.list({ layout, after: null, limit: 3 }, never)) pages.push(page);
    expect(pages.flatMap(({ foreign }) => foreign.map(({ shown }) => shown)).sort()).toEqual(['{"id": 1}', '{"no":1}']);
    expect(pages.flatMap(({ keys }) => keys.map(([id]) => id)).sort()).toEqual([0, 1, 2, 3, 4]);
    const rest: ListedPage[] = [];
    const after = pages[0]?.after ?? '';
    for await (const page of world.sink.list({ layout, after, limit: 3 }, never)) rest.push(page);
    expect(rest).toEqual(pages.slice(1));
  }, 60_000);

  it('understands more partitions, and what compaction has left', async () => {
    const world = await openWorld(createLayout('orders'), {
      config: {
        'min.cleanable.dirty.ratio': '0.01',
        'segment.ms': '100',
        'max.compaction.lag.ms': '100',
      },
    });
    const { layout, topic } = world;
    for (let round = 1; round <= 5; round++) {
      const rows = createRows(layout, 50, `r${round}-`);
      await world.publish(rows.map((change) => ({ ...change, transaction: createTransaction(round) })));
      await sleep(200);
    }
    await world.publish([createChange({ op: 'delete', layout, before: [9, 'r5-9'], transaction: 6 })]);
    const admin = createKafkaJs({ brokers, clientId: 'fold', logger: silentLogger }).admin();
    await admin.connect();
    endings.push(() => admin.disconnect());
    await expectCompacted(world);
    const before = await readAll(world);
    expect(before.filter((name) => name?.startsWith('r5-'))).toHaveLength(49);
    expect(world.folds.status().get(topic)?.messages).toBeLessThan(250);

    await admin.createPartitions({ topicPartitions: [{ topic, count: PARTITIONS + 2 }] });
    const moved = createChange({ op: 'create', layout, after: [1, 'moved'], transaction: 7 });
    const client = new PlatformaticKafkaClient({ brokers, clientId: 'fold', logger: silentLogger });
    await client.connect();
    endings.push(() => client.close());
    const other = await openWorld();
    await other.publish([moved]);
    const { value, ...rest } = await newest(other, '{"id":1}');
    const renamed = Buffer.from(String(value).replace(other.source, world.source));
    const batch = batchOf([recordOf('{"id":1}', { ...rest, value: renamed })]);
    await retry(() => client.produce(topic, PARTITIONS, batch), {
      backoff: new Backoff({ initialMs: 50, maxMs: 500 }),
    });
    expect((await readAll(world))[1]).toBe('moved');
  }, 120_000);

  it('begins again when the topic is made again, and says so of one that expires', async () => {
    const world = await openWorld();
    await world.publish(createRows(world.layout, 10));
    expect((await listKeys(world, 100)).size).toBe(10);
    const admin = createKafkaJs({ brokers, clientId: 'fold', logger: silentLogger }).admin();
    await admin.connect();
    endings.push(() => admin.disconnect());
    await admin.deleteTopics({ topics: [world.topic] });
    await retry(
      async () => {
        if ((await admin.listTopics()).includes(world.topic)) throw new Error('still there');
      },
      {
        backoff: new Backoff({ initialMs: 50, maxMs: 500 }),
        signal: AbortSignal.timeout(20_000),
        isRetriable: () => true,
      },
    );
    expect(await world.readOne(1)).toBeNull();

    const expiring = await openWorld(createLayout('orders'), {
      config: { 'cleanup.policy': 'compact,delete', 'retention.ms': '86400000' },
    });
    await expect(expiring.readOne(1)).rejects.toMatchObject({ code: 'DITTO_VERIFICATION_NOT_POSSIBLE' });
  }, 90_000);

  it('does not verify a topic that does not fit, and removes the store', async () => {
    const world = await openWorld();
    await world.publish(createRows(world.layout, 5_000, 'x'.repeat(200)));
    const reader = new TopicReader({ brokers, clientId: 'fold', logger: silentLogger });
    const small = mkdtempSync(join(tmpdir(), 'ditto-folds-'));
    const folds = new TopicFolds({ reader, folder: small, maxBytes: 200_000, logger: silentLogger });
    endings.push(
      () => reader.close(),
      () => folds.close(),
      () => rmSync(small, { recursive: true }),
    );
    for (let attempt = 0; attempt < 2; attempt++)
      await expect(folds.use(world.topic, never, () => null)).rejects.toThrow(/do not fit into the 200000 bytes/);
    const own = readdirSync(small).filter((name) => !name.endsWith('.lock'));
    expect(own.map((name) => readdirSync(join(small, name)))).toEqual([[]]);
  }, 60_000);

  it('I9: folds 300,000 messages of 200,000 keys in bounded memory', async () => {
    const world = await openWorld();
    const client = new PlatformaticKafkaClient({ brokers, clientId: 'fold', logger: silentLogger });
    await client.connect();
    const admin = createKafkaJs({ brokers, clientId: 'fold', logger: silentLogger }).admin();
    await admin.connect();
    endings.push(
      () => client.close(),
      () => admin.disconnect(),
      // 120 MB that no other test needs
      () => admin.deleteTopics({ topics: [world.topic] }),
    );
    const filler = 'x'.repeat(250);
    for (let from = 0; from < 300_000; from += 3_000) {
      const byPartition = Array.from({ length: PARTITIONS }, (): KafkaRecord[] => []);
      for (let i = from; i < from + 3_000; i++) {
        const id = (i * 7_919) % 200_000;
        const key = `{"id":${id}}`;
        const version = formatVersion({ lineage: 1, fileNumber: 1, offset: i, rowIndex: 0, readSequence: 0 });
        const value = `{"before":null,"after":{"id":${id},"name":"${filler}"},"source":{},"op":"c","ts_ms":1,"transaction":null}`;
        byPartition[partitionForKey(Buffer.from(key), PARTITIONS)]?.push({
          ...{
            key,
            value,
            headers: { 'ditto.id': `3e11fa47-71ca-11e1-9e33-c80aa9429562:${i}/0`, 'ditto.version': version },
          },
        });
      }
      await Promise.all(
        byPartition.map(async (records, partition) => {
          for (let at = 0; at < records.length; at += 1_000) {
            const batch = batchOf(records.slice(at, at + 1_000));
            await retry(() => client.produce(world.topic, partition, batch), {
              backoff: new Backoff({ initialMs: 50, maxMs: 500 }),
            });
          }
        }),
      );
    }
    const program = join(import.meta.dirname, 'fold-topic.ts');
    const args = [...GARBAGE, '--conditions=source', program, brokers.join(), world.topic, folder];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: '' } });
    const measured = JSON.parse(stdout) as Record<'keys' | 'messages' | 'bytes' | 'tookMs' | 'grownBytes', number>;
    expect(measured).toMatchObject({ keys: 200_000, messages: 300_000 });
    expect(measured.grownBytes).toBeLessThan(150 * 1024 * 1024);
    process.stderr.write(`fold: ${stdout}\n`);
  }, 180_000);
});

async function listKeys({ sink, layout }: World, limit: number): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const { keys, foreign } of sink.list({ layout, after: null, limit }, never)) {
    expect(foreign).toEqual([]);
    for (const key of keys) found.add(String(layout.key.map((index) => key[index])));
  }
  return found;
}

/** The names of the first 50 rows. */
async function readAll({ folds, topic }: World): Promise<(string | null)[]> {
  return folds.use(topic, never, (store) =>
    Array.from({ length: 50 }, (_, id) => {
      const value = store?.find(Buffer.from(`{"id":${id}}`))?.value ?? null;
      const after = value === null ? null : readEnvelope(value)?.after;
      return after == null ? null : (JSON.parse(String(after)) as { name: string }).name;
    }),
  );
}

async function expectCompacted(world: World): Promise<void> {
  for (;;) {
    const { messages } = await world.history.read(
      { topic: world.topic, key: '{"id":2}', limit: 100, maxMessages: 100_000 },
      never,
    );
    if (messages.length < 5) return;
    // segments roll when messages come
    await world.publish([
      createChange({ op: 'create', layout: world.layout, after: [9, 'x'], transaction: 6, rowIndex: 1 }),
    ]);
    await world.publish([
      createChange({ op: 'delete', layout: world.layout, before: [9, 'x'], transaction: 6, rowIndex: 2 }),
    ]);
    await sleep(300);
  }
}
