import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import {
  type Column,
  formatVersion,
  partitionForKey,
  type Row,
  type RowChanges,
  type TableLayout,
  ValueImages,
} from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { QuarantinedKeys, type SinkOpenOptions } from '#replication';
import { openSink } from '#testing';

import { createLayout, createTransaction } from '../test/changes.ts';
import { FakeBrokers } from '../test/fake-brokers.ts';
import { MemoryPartitionCounts } from '../test/memory-partition-counts.ts';
import { type KafkaRecord } from './kafka-client.ts';
import { KafkaPublisher, type KafkaPublisherOptions } from './kafka-publisher.ts';

const never = new AbortController().signal;
const PARTITIONS = 3;
const layouts = [createLayout('orders'), createLayout('lines'), createLayout('log', false)] as const;
const opened: KafkaPublisher[] = [];

afterEach(async () => {
  for (const publisher of opened.splice(0)) await publisher.close();
});

interface World {
  readonly publisher: KafkaPublisher;
  readonly fatal: Error[];
}

async function open(
  client: FakeBrokers,
  options: Partial<KafkaPublisherOptions> = {},
  mayDeliver = (): boolean => true,
  more: Partial<SinkOpenOptions> = {},
): Promise<World> {
  const fatal: Error[] = [];
  const publisher = new KafkaPublisher({
    client,
    source: 's',
    version: '1',
    logger: silentLogger,
    counts: new MemoryPartitionCounts(),
    topics: { partitions: PARTITIONS, replicationFactor: 1 },
    backoff: { initialMs: 0, maxMs: 0 },
    ...options,
  });
  opened.push(publisher);
  await openSink(publisher, { onFatal: (error) => fatal.push(error), mayDeliver, ...more });
  for (const layout of layouts) await publisher.prepareTable(layout);
  return { publisher, fatal };
}

/** One event of the log: rows of one table, one operation; a row of an update has the two keys. */
interface Event {
  readonly table: number;
  readonly op: 'create' | 'update' | 'delete';
  readonly keys: readonly (readonly [before: number, after: number])[];
}

interface Message {
  readonly key: string | null;
  readonly id: string;
  readonly version: string;
  readonly value: unknown;
}

/** A change and the messages that it has to become, each with its partition. */
interface Expected {
  readonly topic: string;
  readonly messages: readonly (readonly [partition: number, message: Message])[];
}

const fewKeys = fc.nat(3);
const events: fc.Arbitrary<readonly Event[]> = fc.array(
  fc.record({
    table: fc.nat(layouts.length - 1),
    op: fc.constantFrom('create', 'update', 'delete'),
    keys: fc.array(fc.tuple(fewKeys, fewKeys), { minLength: 1, maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 25 },
);

function layoutOf({ table }: Event): TableLayout {
  return layouts[table] as TableLayout;
}

/** Long and short values by turns, so that batches are filled in the middle of an event. */
const nameOf = (number: number, index: number): string => `${number}/${index}/`.padEnd(number % 3 === 0 ? 300 : 9, 'x');

function changesOf(event: Event, number: number): RowChanges {
  const layout = layoutOf(event);
  const before = event.keys.map(([key], i): Row => [key, `before ${nameOf(number, i)}`]);
  const after = event.keys.map(([key, to], i): Row => [event.op === 'update' ? to : key, nameOf(number, i)]);
  return {
    op: event.op,
    layout,
    count: event.keys.length,
    before: event.op === 'create' ? null : new ValueImages(layout, before),
    after: event.op === 'delete' ? null : new ValueImages(layout, after),
    transaction: createTransaction(number),
    firstRowIndex: 5,
    readSequence: 0,
    windowId: null,
  };
}

function expectedOf(event: Event, number: number): readonly Expected[] {
  const { gtid, offset } = createTransaction(number);
  const { table, key: keyed } = layoutOf(event);
  const changes = changesOf(event, number);
  return event.keys.map((_, i): Expected => {
    const row = 5 + i;
    const version = formatVersion({ lineage: 1, fileNumber: 1, offset, rowIndex: row, readSequence: 0 });
    const imageOf = (image: Row | undefined): object | null =>
      image === undefined ? null : { id: image[0], name: image[1] };
    const before = imageOf(changes.before?.row(i));
    const after = imageOf(changes.after?.row(i));
    const messages: [number, Message][] = [];
    const add = (image: object | null, op: string | null, half = '', images: readonly unknown[] = []): void => {
      const key = keyed.length === 0 ? null : JSON.stringify({ id: (image as { id: number }).id });
      const value = op === null ? null : { before: images[0], after: images[1], op, row };
      const partition = key === null ? 0 : partitionForKey(Buffer.from(key), PARTITIONS);
      messages.push([partition, { key, id: `${gtid}/${row}${half}`, version, value }]);
    };
    const isMoved = keyed.length > 0 && event.op === 'update' && event.keys[i]?.[0] !== event.keys[i]?.[1];
    if (isMoved) {
      add(before, 'd', '/d', [before, null]);
      add(before, null, '/d');
      add(after, 'c', '/c', [null, after]);
    } else {
      add(after ?? before, event.op.slice(0, 1), '', [before, after]);
      if (event.op === 'delete' && keyed.length > 0) add(before, null);
    }
    return { topic: `s.shop.${table}`, messages };
  });
}

function shown({ key, value, headers }: KafkaRecord): Message {
  const text = (part: Buffer | string | null): string | null => (part === null ? null : String(part));
  const envelope = JSON.parse(text(value) ?? 'null') as Record<string, unknown> | null;
  return {
    key: text(key),
    id: headers['ditto.id'] ?? '',
    version: headers['ditto.version'] ?? '',
    value: envelope && {
      before: envelope['before'],
      after: envelope['after'],
      op: envelope['op'],
      row: (envelope['source'] as { row: number }).row,
    },
  };
}

/** Acknowledges one event; fails at once when more changes are acknowledged than the brokers hold. */
class Confirmed {
  count = 0;
  readonly #brokers: FakeBrokers;
  readonly #changes: readonly Expected[];

  constructor(brokers: FakeBrokers, changes: readonly Expected[]) {
    this.#brokers = brokers;
    this.#changes = changes;
  }

  acknowledge(count: number): void {
    this.count += count;
    const whole = this.#changes.filter(({ topic, messages }) =>
      messages.every(([partition, { id, value }]) =>
        this.#brokers.has(
          topic,
          partition,
          (record) => record.headers['ditto.id'] === id && (record.value === null) === (value === null),
        ),
      ),
    );
    if (this.count > whole.length) this.#brokers.complaints.push(`${this.count} confirmed, ${whole.length} written`);
  }
}

describe('KafkaPublisher', () => {
  it('I1, I2: each row of each event is written once, in order, and confirmed once, when all its messages are', async () => {
    await fc.assert(
      fc.asyncProperty(
        events,
        fc.array(fc.constantFrom('ok', 'lost', 'down'), { maxLength: 30 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 300, max: 2_500 }),
        fc.array(fc.boolean(), { minLength: 25, maxLength: 25 }),
        async (given, outcomes, maxBatchMessages, maxBatchBytes, flushes) => {
          const client = new FakeBrokers(PARTITIONS, outcomes);
          const { publisher, fatal } = await open(client, { maxBatchMessages, maxBatchBytes });
          const wanted = new Map<string, Message[]>();
          const confirmed: Confirmed[] = [];
          for (const [index, event] of given.entries()) {
            const expected = expectedOf(event, index + 1);
            for (const { topic, messages } of expected)
              for (const [partition, message] of messages) {
                const place = `${topic}/${partition}`;
                wanted.set(place, [...(wanted.get(place) ?? []), message]);
              }
            confirmed.push(new Confirmed(client, expected));
            publisher.accept(changesOf(event, index + 1), confirmed.at(-1) as Confirmed);
            if (flushes[index] === true) publisher.flush();
            if (index % 4 === 3) await new Promise((resolve) => setImmediate(resolve));
          }
          await publisher.drain(never);
          expect([client.complaints, fatal]).toEqual([[], []]);
          expect(new Map([...client.written].map(([place, records]) => [place, records.map(shown)]))).toEqual(wanted);
          expect(confirmed.map(({ count }) => count)).toEqual(given.map(({ keys }) => keys.length));
          expect(publisher.status()).toMatchObject({ bytesInFlight: 0, changesInFlight: 0, holdingBecause: null });
          expect(client.largestBatch.messages).toBeLessThanOrEqual(maxBatchMessages);
          expect(client.largestBatch.bytes).toBeLessThanOrEqual(Math.max(maxBatchBytes, client.largestSingle));
        },
      ),
      { numRuns: 50 },
    );
  }, 60_000);

  it('without tombstones a delete is confirmed by its one message', async () => {
    const client = new FakeBrokers(PARTITIONS);
    const { publisher } = await open(client, { tombstones: false });
    const event: Event = {
      table: 0,
      op: 'delete',
      keys: [
        [1, 1],
        [2, 2],
      ],
    };
    const confirmed = new Confirmed(client, []);
    publisher.accept(changesOf(event, 1), confirmed);
    await publisher.drain(never);
    expect(confirmed.count).toBe(2);
    expect([...client.written.values()].flat().map(({ value }) => value === null)).toEqual([false, false]);
  });

  it('I1: confirms nothing after it has failed, not even what a broker answers later', async () => {
    const client = new FakeBrokers(PARTITIONS);
    const { publisher, fatal } = await open(client);
    const gate = Promise.withResolvers<undefined>();
    client.before = (topic) =>
      topic.endsWith('lines') ? Promise.reject(new DittoError('DITTO_KAFKA_REFUSED', 'no')) : gate.promise;
    const acknowledged: number[] = [];
    const acknowledgement = { acknowledge: (count: number): void => void acknowledged.push(count) };
    publisher.accept(changesOf({ table: 0, op: 'create', keys: [[1, 1]] }, 1), acknowledgement);
    publisher.accept(changesOf({ table: 1, op: 'create', keys: [[1, 1]] }, 2), acknowledgement);
    await expect(publisher.drain(never)).rejects.toMatchObject({ code: 'DITTO_KAFKA_REFUSED' });
    gate.resolve(undefined);
    while (client.written.size === 0) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect([client.written.size, acknowledged]).toEqual([1, []]);
    expect(fatal).toMatchObject([{ code: 'DITTO_KAFKA_REFUSED' }]);
  });

  it('I5: sends nothing once the lease is lost', async () => {
    const client = new FakeBrokers(PARTITIONS);
    const { publisher, fatal } = await open(client, {}, () => false);
    publisher.accept(changesOf({ table: 0, op: 'create', keys: [[1, 1]] }, 1), { acknowledge: () => undefined });
    await expect(publisher.drain(never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
    expect(client.written).toEqual(new Map());
    expect(fatal).toMatchObject([{ code: 'DITTO_LEASE_LOST' }]);
  });

  it('I5: writes nothing when the lease is lost while the client has a batch', async () => {
    const client = new FakeBrokers(PARTITIONS);
    let isLeased = true;
    const { publisher } = await open(client, {}, () => isLeased);
    client.before = () => Promise.resolve((isLeased = false));
    publisher.accept(changesOf({ table: 0, op: 'create', keys: [[1, 1]] }, 1), { acknowledge: () => undefined });
    await expect(publisher.drain(never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
    expect([isLeased, client.written]).toEqual([false, new Map()]);
  });

  it('I9: holds no row of a table whose changes are confirmed, however long nothing more comes to it', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const { publisher } = await open(new FakeBrokers(PARTITIONS));
    const place = { transaction: createTransaction(1), firstRowIndex: 0, readSequence: 1, windowId: 'w' };
    const rows = layouts.map((layout) => {
      const after = new ValueImages(layout, [[1, 'a chunk of the table']]);
      publisher.accept(
        { op: 'read', layout, count: 1, before: null, after, ...place },
        { acknowledge: () => undefined },
      );
      return new WeakRef(after);
    });
    await publisher.drain(never);
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(rows.filter((row) => row.deref() !== undefined)).toEqual([]);
  });

  it('I9: counts what is in flight', async () => {
    const client = new FakeBrokers(PARTITIONS);
    const { publisher } = await open(client);
    const before = publisher.bytesInFlight;
    publisher.accept(
      changesOf({ table: 0, op: 'create', keys: Array.from({ length: 50 }, (_, i) => [i, i] as const) }, 3),
      {
        acknowledge: () => undefined,
      },
    );
    expect(publisher.bytesInFlight - before).toBeGreaterThan(50 * 300);
    await publisher.drain(never);
    expect(publisher.bytesInFlight).toBe(0);
  });

  it('I1: the end of a table is in every partition before it is over, with a key where rows have one', async () => {
    const client = new FakeBrokers(PARTITIONS, ['down', 'lost']);
    const { publisher } = await open(client);
    for (const layout of layouts)
      await publisher.applyTableChange({ op: 'truncate', layout, transaction: createTransaction(7), rowIndex: 0 });
    const version = formatVersion({ lineage: 1, fileNumber: 1, offset: 7_000, rowIndex: 0, readSequence: 0 });
    const message = (key: string | null): unknown => ({ key, version, value: { op: 't', before: null, after: null } });
    const keyed = [0, 1, 2].flatMap((partition) =>
      ['orders', 'lines'].map((table) => [`s.shop.${table}/${partition}`, [message('null')]] as const),
    );
    const written = [...client.written].map(([place, records]) => [place, records.map(shown)] as const);
    expect(new Map(written)).toMatchObject(new Map([...keyed, ['s.shop.log/0', [message(null)]]]));
    expect(written).toHaveLength(7);
  });

  it('I1: a row that is refused holds back its own changes only, also where its layout came back after another', async () => {
    const client = new FakeBrokers(1);
    const [layout] = layouts;
    const quarantined = new QuarantinedKeys();
    const refused: string[] = [];
    const { publisher, fatal } = await open(client, {}, undefined, {
      quarantined,
      refuse: ({ table, key, version }) => {
        refused.push(key);
        quarantined.add({ ...table, key }, version);
        return Promise.resolve();
      },
    });
    // a table that was made again is truncated before it has shown a row
    const [id] = layout.columns;
    const assumed = { ...layout, columns: [{ ...(id as Column), name: 'unknown' }], fingerprint: '' };
    await publisher.applyTableChange({
      op: 'truncate',
      layout: assumed,
      transaction: createTransaction(1),
      rowIndex: 0,
    });
    await publisher.prepareTable(layout);
    client.before = () => Promise.reject(new DittoError('DITTO_KAFKA_RECORD_REFUSED', 'no'));
    let confirmed = 0;
    const acknowledgement = { acknowledge: (count: number): void => void (confirmed += count) };
    publisher.accept(changesOf({ table: 0, op: 'create', keys: [[1, 1]] }, 2), acknowledgement);
    await publisher.drain(never);
    client.before = () => Promise.resolve();
    for (const key of [2, 1, 3])
      publisher.accept(changesOf({ table: 0, op: 'create', keys: [[key, key]] }, 2 + key), acknowledgement);
    await publisher.drain(never);
    const written = client.written.get('s.shop.orders/0')?.map((record) => shown(record).key);
    expect([refused, written, confirmed, fatal]).toEqual([['[1]'], ['null', '{"id":2}', '{"id":3}'], 4, []]);
  });
});
