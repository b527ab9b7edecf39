import { changeVersion, type Row, type RowChange } from '#change-events';
import { silentLogger } from '#kernel';
import { acceptChanges } from '#testing';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FakeMongo } from '../test/fake-mongo.ts';
import { makeChange, makeColumn, makeLayout, makeTransaction, ordersLayout } from '../test/make-changes.ts';
import { MirrorWriter, type MirrorWriterOptions } from './mirror-writer.ts';

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
  await writer.open({
    mayDeliver: () => true,
    onFatal: (error) => {
      throw error;
    },
    signal: never,
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
    const emit = (before: Row | null, after: Row | null) => {
      changes.push(makeChange(before, after, { transaction: makeTransaction(number), rowIndex: rowIndex++ }));
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
          const acknowledgement = new CountingAcknowledgement();
          const runs = [changes, ...repeats.map(({ from, length }) => sliceFrom(changes, from, length))];
          runs.forEach((run, index) => {
            for (let start = 0; start < run.length; start += step)
              acceptChanges(writers[index % 2] as MirrorWriter, run.slice(start, start + step), acknowledgement);
          });
          for (const writer of writers) await writer.drain(never);
          expect(acknowledgement.count).toBe(runs.flat().length);
          expectMirror(fake, changes, rows);
        },
      ),
      { numRuns: 150 },
    );
  }, 30_000);

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
    expect(writer.status()).toMatchObject({ rejectedInReplay: 1, rejectedOutsideReplay: 1, confirmedChanges: 4 });
  });

  it('holds while the server is away and goes on by itself', async () => {
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
    await writer.open({ mayDeliver: () => true, onFatal: (error) => fatal.push(error), signal: never });
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
