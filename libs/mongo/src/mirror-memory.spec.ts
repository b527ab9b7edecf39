import { changeVersion, READ_ROW_INDEX, type RowChange, type TableChange } from '#change-events';
import { silentLogger } from '#kernel';
import { acceptChanges, openSink } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type mongo } from 'mongoose';
import { FakeReplicaSet } from '../test/fake-replica-set.ts';
import { makeChange, makeTransaction, ordersLayout } from '../test/make-changes.ts';
import { MirrorLineage, MirrorMemory, MirrorWriter, type MongoConnection, openMongo } from './index.ts';

const never = new AbortController().signal;
const COLLECTION = 'shop.orders';
const acknowledgement = { acknowledge: (): void => undefined };
let set: FakeReplicaSet;
let connection: MongoConnection;
let writer: MirrorWriter;

beforeEach(async () => {
  set = await FakeReplicaSet.open();
  connection = await openMongo({
    ...{ url: set.url, logger: silentLogger },
    ...{ serverSelectionTimeoutMs: 5_000, socketTimeoutMs: 5_000 },
  });
  writer = new MirrorWriter({ connection, source: 's', isReplaying: () => false, logger: silentLogger });
  await openSink(writer);
});
afterEach(async () => {
  await writer.close();
  await connection.close();
  await set.close();
});

/** A row as transaction `number` left it; of an older time without one. */
function row(id: number, number: number, options: Partial<RowChange> = {}, lineage = 1): RowChange {
  return { ...makeChange(null, [id, 'x'], { transaction: makeTransaction(number, lineage) }), ...options };
}

async function write(...changes: readonly RowChange[]): Promise<void> {
  acceptChanges(writer, changes, acknowledgement);
  await writer.drain(never);
}

const removed = (id: number, number: number): RowChange =>
  makeChange([id, 'x'], null, { transaction: makeTransaction(number) });
const gtid = (number: number): string | null => makeTransaction(number).gtid;

describe('MirrorMemory', () => {
  const memory = (): MirrorMemory => new MirrorMemory({ connection, source: 's', logger: silentLogger });

  it('I7: knows the greatest GTID above a version, of rows and of tombstones, not of reads', async () => {
    const read = { op: 'read', rowIndex: READ_ROW_INDEX, readSequence: 4, windowId: 'w' } as const;
    await write(row(1, 9), row(2, 10), row(3, 11), removed(4, 12), row(5, 99, read));
    expect(await memory().gtidsAbove('', never)).toEqual([gtid(12)]);
    expect(await memory().gtidsAbove(changeVersion(removed(4, 12)), never)).toEqual([]);
    expect(await memory().gtidsAbove(changeVersion(row(3, 11)), never)).toEqual([gtid(12)]);
    await write(row(6, 13));
    expect(await memory().gtidsAbove(changeVersion(row(3, 11)), never)).toEqual([gtid(13)]);
  });

  it('I7: compares numbers as numbers, for each server by itself', async () => {
    const of = (id: number, at: number, name: string): RowChange =>
      row(id, at, { transaction: { ...makeTransaction(at), gtid: name } });
    await write(of(1, 1, '0-1-9'), of(2, 2, '0-1-10'), of(3, 3, '1-7-8'), of(4, 4, 'somebody was here'));
    expect(new Set(await memory().gtidsAbove('', never))).toEqual(new Set(['0-1-10', '1-7-8']));
  });

  it('I7: sees what the primary had applied when no majority had it yet', async () => {
    set.handle = ({ command }, run) => {
      set.confirms = !('insert' in command);
      return 'insert' in command ? { ...run(), writeConcernError: undefined } : run();
    };
    await write(row(1, 9));
    expect(set.list(COLLECTION)).toEqual([]);
    expect(await memory().gtidsAbove('', never)).toEqual([gtid(9)]);
  });

  it('I7: the newest lineage is the lineage of the highest version or of the record, whichever is higher', async () => {
    await write(row(1, 9), row(2, 3, {}, 4), row(3, 1, {}, 6), row(4, 2, {}, 5));
    expect(await memory().newestLineage(never)).toBe(6);
    await new MirrorLineage({ connection, source: 's' }).raise(8);
    await new MirrorLineage({ connection, source: 's' }).raise(7);
    expect(await memory().newestLineage(never)).toBe(8);
  });
});

describe('the end of a table', () => {
  const end: TableChange = { op: 'truncate', layout: ordersLayout, transaction: makeTransaction(9), rowIndex: 0 };
  const states = (): unknown[] =>
    set.list(COLLECTION).map(({ _id, v, row: image }) => [Number(_id), v as string, image !== undefined]);

  it('I3: takes every row and tombstone that is older, and none that is not', async () => {
    const [newer, newerGone] = [row(3, 10), removed(5, 11)];
    await write(row(1, 7), row(2, 8), newer, removed(4, 6), newerGone, row(6, 9));
    await writer.applyTableChange(end);
    const version = changeVersion(end);
    expect(states().toSorted()).toEqual([
      [1, version, false],
      [2, version, false],
      [3, changeVersion(newer), true],
      [4, version, false],
      [5, changeVersion(newerGone), false],
      // the same version: nothing that a change of its own place made is older
      [6, changeVersion(row(6, 9)), true],
    ]);
  });

  it('I3: leaves a row that was written again between the page and its statement', async () => {
    await write(row(1, 7), row(2, 8));
    let isWritten = false;
    const again = row(2, 12);
    set.handle = ({ command }, run) => {
      if (command['update'] === COLLECTION && !isWritten) {
        isWritten = true;
        for (const state of [set.applied, set.confirmed]) {
          const documents = state.get(COLLECTION) as Map<string, mongo.Document>;
          for (const [key, document] of documents)
            if (Number(document['_id']) === 2) documents.set(key, { ...document, v: changeVersion(again) });
        }
      }
      return run();
    };
    await writer.applyTableChange(end);
    expect(states().toSorted()).toEqual([
      [1, changeVersion(end), false],
      [2, changeVersion(again), true],
    ]);
  });

  it('I1: holds and continues with the page whose statement failed', async () => {
    await write(row(1, 7), row(2, 8));
    let failures = 0;
    set.handle = ({ command }, run) =>
      command['update'] === COLLECTION && failures++ < 2 ? { ok: 0, code: 112, errmsg: 'write conflict' } : run();
    await writer.applyTableChange(end);
    expect(states().toSorted()).toEqual([1, 2].map((id) => [id, changeVersion(end), false]));
  });
});
