import { changeVersion, formatVersion, type Row, type RowChange, type RowChanges, ValueImages } from '#change-events';
import { silentLogger } from '#kernel';
import { acceptChanges, openSink } from '#testing';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import { FakeMongo } from '../test/fake-mongo.ts';
import { makeChange, makeColumn, makeLayout, makeTransaction, ordersLayout } from '../test/make-changes.ts';
import { readSequence } from '../test/read-bson.ts';
import { type MirrorDocument } from './mirror-document.ts';
import { MirrorWriter, type MirrorWriterOptions } from './mirror-writer.ts';
import { type MongoConnection } from './mongo-connection.ts';

const never = new AbortController().signal;

class CountingAcknowledgement {
  count = 0;
  acknowledge(count: number): void {
    this.count += count;
  }
}

async function openWriter(fake: FakeMongo, options: Partial<MirrorWriterOptions> = {}): Promise<MirrorWriter> {
  const writer = new MirrorWriter({
    connection: fake.connection,
    source: 'shop',
    lanes: 3,
    backoff: { initialMs: 0, maxMs: 0 },
    isReplaying: () => false,
    logger: silentLogger,
    ...options,
  });
  await openSink(writer, {
    onFatal: (error) => {
      throw error;
    },
  });
  return writer;
}

/** A history of rows of few keys, as a log gives it: creates, updates, deletes, changes of the key. */
const history = fc
  .array(
    fc.record({
      key: fc.nat(4),
      to: fc.nat(4),
      action: fc.constantFrom('write', 'delete', 'move'),
      same: fc.boolean(),
    }),
    { minLength: 5, maxLength: 60, size: 'max' },
  )
  .map((steps) => {
    const rows = new Map<number, Row>();
    const changes: RowChange[] = [];
    let number = 1;
    let rowIndex = 0;
    let transaction = makeTransaction(number);
    const emit = (before: Row | null, after: Row | null) => {
      if (rowIndex === 0) transaction = makeTransaction(number);
      changes.push(makeChange(before, after, { transaction, rowIndex: rowIndex++ }));
      if (before !== null) rows.delete(before[0] as number);
      if (after !== null) rows.set(after[0] as number, after);
    };
    for (const { key, to, action, same } of steps) {
      if (!same) {
        number++;
        rowIndex = 0;
      }
      const before = rows.get(key) ?? null;
      if (action === 'write') emit(before, [key, `${number}/${rowIndex}`]);
      else if (action === 'delete' && before !== null) emit(before, null);
      else if (action === 'move' && before !== null && !rows.has(to)) emit(before, [to, `${number}/${rowIndex}`]);
    }
    return { changes, rows };
  });

function sliceFrom(changes: readonly RowChange[], from: number, length: number): readonly RowChange[] {
  const start = from % (changes.length + 1);
  return changes.slice(start, start + length);
}

function expectedVersions(changes: readonly RowChange[]): Map<number, string> {
  const versions = new Map<number, string>();
  for (const change of changes)
    for (const row of [change.before, change.after])
      if (row !== null) versions.set(row[0] as number, changeVersion(change));
  return versions;
}

function expectMirror(fake: FakeMongo, changes: readonly RowChange[], rows: ReadonlyMap<number, Row>): void {
  for (const [key, version] of expectedVersions(changes)) {
    const document = fake.find('shop.orders', key);
    const row = rows.get(key);
    expect(document?.v).toBe(version);
    expect(document?.row).toEqual(row === undefined ? undefined : { id: row[0], note: row[1] });
  }
}

/** Of the documents that a command writes. */
function findIds(command: mongo.Document): unknown[] {
  return 'documents' in command
    ? readSequence<MirrorDocument>(command, 'documents').map(({ _id }) => _id)
    : readSequence<{ q: { _id: unknown } }>(command, 'updates').map(({ q }) => q._id);
}

/** Neighbours of one transaction and operation as one event, as a log gives them. */
function eventsOf(changes: readonly RowChange[]): RowChanges[] {
  const groups: RowChange[][] = [];
  for (const change of changes) {
    const last = groups.at(-1)?.at(-1);
    const follows =
      last?.transaction === change.transaction && last.op === change.op && last.rowIndex + 1 === change.rowIndex;
    if (follows) groups.at(-1)?.push(change);
    else groups.push([change]);
  }
  return groups.map((group) => eventOf(group));
}

function eventOf(group: readonly RowChange[]): RowChanges {
  const { op, layout, transaction, rowIndex, readSequence, windowId } = group[0] as RowChange;
  const images = (rows: readonly (Row | null)[]): ValueImages | null => {
    const whole = rows.filter((row) => row !== null);
    return whole.length === 0 ? null : new ValueImages(layout, whole);
  };
  return {
    ...{ op, layout, transaction, readSequence, windowId },
    count: group.length,
    before: images(group.map(({ before }) => before)),
    after: images(group.map(({ after }) => after)),
    firstRowIndex: rowIndex,
  };
}

describe('MirrorWriter', () => {
  it('I3: ends in the newest version of every key, whatever is repeated, reordered, cut off or written twice at once', async () => {
    const cuts = fc.array(fc.record({ from: fc.nat(), length: fc.nat(60) }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        history,
        cuts,
        fc.integer(),
        fc.integer({ min: 1, max: 9 }),
        async ({ changes, rows }, repeats, seed, step) => {
          const fake = new FakeMongo(seed);
          fake.failureRate = 0.2;
          const writers = [
            await openWriter(fake, { maxBatchChanges: step }),
            await openWriter(fake, { maxBatchChanges: step + 1 }),
          ];
          const acknowledgements: [CountingAcknowledgement, number][] = [];
          const runs = [changes, ...repeats.map(({ from, length }) => sliceFrom(changes, from, length))];
          runs.forEach((run, index) => {
            for (const event of eventsOf(run)) {
              const acknowledgement = new CountingAcknowledgement();
              acknowledgements.push([acknowledgement, event.count]);
              writers[index % 2]?.accept(event, acknowledgement);
              if (acknowledgements.length % step === 0) writers[index % 2]?.flush();
            }
          });
          for (const writer of writers) await writer.drain(never);
          for (const [{ count }, expected] of acknowledgements) expect(count).toBe(expected);
          expectMirror(fake, changes, rows);
        },
      ),
      { numRuns: 150 },
    );
  }, 30_000);

  it("I3: rows of one event that move into each other's keys end in their own", async () => {
    const fake = new FakeMongo();
    const writer = await openWriter(fake, { lanes: 1 });
    const acknowledgement = new CountingAcknowledgement();
    const transaction = makeTransaction(4);
    const changes = [1, 2, 3].map((id, rowIndex) =>
      makeChange([id, `was ${id}`], [id - 1, `was ${id}`], { transaction, rowIndex: rowIndex + 7 }),
    );
    writer.accept(eventOf(changes), acknowledgement);
    await writer.drain(never);
    const version = (rowIndex: number): string =>
      formatVersion({ lineage: 1, fileNumber: 1, offset: 400, rowIndex, readSequence: 0 });
    for (const id of [0, 1, 2])
      expect(fake.find('shop.orders', id)).toMatchObject({ row: { id, note: `was ${id + 1}` }, v: version(7 + id) });
    expect(fake.find('shop.orders', 3)).toMatchObject({ v: version(9), deletedAt: expect.any(Date) });
    expect(acknowledgement.count).toBe(3);
  });

  it('I1: a batch that failed in one collection is not given again while another is being written', async () => {
    const fake = new FakeMongo();
    const gate = Promise.withResolvers<undefined>();
    const started: string[] = [];
    let isFirst = true;
    const command = async (received: mongo.Document): Promise<mongo.Document> => {
      started.push(String(received['insert'] ?? received['update']));
      if (!isFirst) return fake.command(received);
      if (started.length === 2) isFirst = false;
      if (started.at(-1) === 'shop.orders') throw new mongo.MongoNetworkError('gone');
      await gate.promise;
      return fake.command(received);
    };
    const connection = { db: () => ({ command }), ping: () => Promise.resolve() } as unknown as MongoConnection;
    const writer = await openWriter(fake, { lanes: 1, connection });
    const acknowledgement = new CountingAcknowledgement();
    const other = makeLayout([makeColumn('id', 'integer', 'int')], [0], 'lines');
    acceptChanges(writer, [makeChange(null, [1, 'a']), makeChange(null, [1], { layout: other })], acknowledgement);
    const drained = writer.drain(never);
    for (let turn = 0; turn < 50; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    expect([started, acknowledgement.count]).toEqual([['shop.orders', 'shop.lines'], 0]);
    gate.resolve(undefined);
    await drained;
    expect(acknowledgement.count).toBe(2);
  });

  it('I1: confirms nothing after it has failed, not even what the server answers later', async () => {
    const fake = new FakeMongo();
    const gate = Promise.withResolvers<undefined>();
    const command = async (received: mongo.Document): Promise<mongo.Document> => {
      if (received['insert'] === 'shop.orders') throw new mongo.MongoServerError({ message: 'no', code: 13 });
      await gate.promise;
      return fake.command(received);
    };
    const connection = { db: () => ({ command }), ping: () => Promise.resolve() } as unknown as MongoConnection;
    const writer = await openWriter(fake, { lanes: 64, connection });
    await openSink(writer);
    const acknowledgement = new CountingAcknowledgement();
    const other = makeLayout([makeColumn('id', 'integer', 'int')], [0], 'lines');
    acceptChanges(writer, [makeChange(null, [1, 'a']), makeChange(null, [2], { layout: other })], acknowledgement);
    await expect(writer.drain(never)).rejects.toMatchObject({ code: 'DITTO_MONGO_ACCESS_DENIED' });
    gate.resolve(undefined);
    while (fake.find('shop.lines', 2) === undefined) await new Promise<void>((resolve) => setImmediate(resolve));
    const keyless = makeLayout([makeColumn('id', 'integer', 'int')], [], 'log');
    acceptChanges(writer, [makeChange(null, [3], { layout: keyless })], acknowledgement);
    for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    expect(acknowledgement.count).toBe(0);
  });

  it('I5: writes nothing once the lease is lost', async () => {
    const fake = new FakeMongo();
    const writer = await openWriter(fake);
    const fatal: Error[] = [];
    await openSink(writer, { mayDeliver: () => false, onFatal: (error) => fatal.push(error) });
    acceptChanges(writer, [makeChange(null, [1, 'a'])], new CountingAcknowledgement());
    await expect(writer.drain(never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
    expect([fake.commands, fatal.length]).toEqual([[], 1]);
  });

  it('I1: acknowledges each change once, a change of the key when both documents are confirmed', async () => {
    const fake = new FakeMongo();
    const writer = await openWriter(fake);
    const acknowledgement = new CountingAcknowledgement();
    acceptChanges(
      writer,
      [makeChange(null, [1, 'a']), makeChange([1, 'a'], [2, 'a'], { rowIndex: 1 })],
      acknowledgement,
    );
    expect(writer.status().changesInFlight).toBe(2);
    await writer.drain(never);
    expect(acknowledgement.count).toBe(2);
    expect(writer.status()).toMatchObject({ changesInFlight: 0, confirmedChanges: 2, bytesInFlight: 0 });
    expect(fake.find('shop.orders', 1)).toHaveProperty('deletedAt');
    expect(fake.find('shop.orders', 2)).toMatchObject({ row: { id: 2, note: 'a' } });
  });

  it.each([1, 2])('I1: a changed key is not confirmed while the document of key %s is being written', async (held) => {
    const fake = new FakeMongo();
    const gate = Promise.withResolvers<undefined>();
    let written = 0;
    const command = async (received: mongo.Document): Promise<mongo.Document> => {
      if (findIds(received).includes(held)) await gate.promise;
      else written++;
      return fake.command(received);
    };
    const connection = { db: () => ({ command }), ping: () => Promise.resolve() } as unknown as MongoConnection;
    const writer = await openWriter(fake, { lanes: 64, connection });
    const acknowledgement = new CountingAcknowledgement();
    acceptChanges(writer, [makeChange([1, 'a'], [2, 'a'])], acknowledgement);
    const drained = writer.drain(never);
    for (let turn = 0; turn < 50; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    expect([written, acknowledgement.count, writer.status().confirmedChanges]).toEqual([1, 0, 0]);
    gate.resolve(undefined);
    await drained;
    expect([acknowledgement.count, writer.status().confirmedChanges]).toEqual([1, 1]);
  });

  it('acknowledges changes of tables without a key at once and writes nothing', async () => {
    const fake = new FakeMongo();
    const writer = await openWriter(fake);
    const layout = makeLayout([makeColumn('a', 'integer', 'int')], []);
    const acknowledgement = new CountingAcknowledgement();
    acceptChanges(writer, [makeChange(null, [1], { layout })], acknowledgement);
    expect(acknowledgement.count).toBe(1);
    expect(fake.commands).toEqual([]);
  });

  it('counts what a newer document refused, apart for replays', async () => {
    const fake = new FakeMongo();
    const newest = makeChange(null, [1, 'new'], { transaction: makeTransaction(9) });
    const older = makeTransaction(5);
    const writer = await openWriter(fake, { isReplaying: (transaction) => transaction === older });
    for (const change of [
      newest,
      newest,
      makeChange(null, [1, 'x'], { transaction: older }),
      makeChange(null, [1, 'y'], { transaction: makeTransaction(6) }),
    ]) {
      acceptChanges(writer, [change], new CountingAcknowledgement());
      await writer.drain(never);
    }
    expect(writer.status()).toMatchObject({
      counters: { rejectedInReplay: 1, rejectedOutsideReplay: 1 },
      confirmedChanges: 4,
    });
  });

  it('holds while the server is away and continues by itself', async () => {
    const fake = new FakeMongo();
    fake.failureRate = 1;
    const writer = await openWriter(fake, { backoff: { initialMs: 1, maxMs: 1 } });
    acceptChanges(writer, [makeChange(null, [1, 'a'])], new CountingAcknowledgement());
    while (writer.status().retries < 2) await new Promise<void>((resolve) => setImmediate(resolve));
    expect(writer.status().holdingBecause).toMatch(/^DITTO_MONGO_UNAVAILABLE/);
    fake.failureRate = 0;
    await writer.drain(never);
    expect(writer.status()).toMatchObject({ holdingBecause: null, confirmedChanges: 1 });
  });

  it('I6: stops with a coded error at a document that can not be written, and acknowledges nothing after it', async () => {
    const fake = new FakeMongo();
    const writer = await openWriter(fake);
    const fatal: Error[] = [];
    await openSink(writer, { onFatal: (error) => fatal.push(error) });
    const acknowledgement = new CountingAcknowledgement();
    const layout = makeLayout([makeColumn('id', 'integer', 'int'), makeColumn('doc', 'json', 'json')]);
    acceptChanges(writer, [makeChange(null, [1, '{broken'], { layout })], acknowledgement);
    await expect(writer.drain(never)).rejects.toMatchObject({
      code: 'DITTO_MONGO_DOCUMENT_REFUSED',
      context: { collection: 'shop.orders' },
    });
    acceptChanges(writer, [makeChange(null, [2, 'a'])], acknowledgement);
    expect(fatal).toHaveLength(1);
    expect(acknowledgement.count).toBe(0);
  });

  it('I9: counts the bytes of what is in flight, before and after images', async () => {
    const fake = new FakeMongo();
    const writer = await openWriter(fake);
    const long = 'x'.repeat(10_000);
    acceptChanges(
      writer,
      [makeChange([1, long], [1, `${long}y`], { layout: ordersLayout })],
      new CountingAcknowledgement(),
    );
    expect(writer.status().bytesInFlight).toBeGreaterThan(20_000);
    await writer.drain(never);
    expect(writer.status().bytesInFlight).toBe(0);
  });
});
