import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { FakeMongo } from '../test/fake-mongo.ts';
import { readSequence } from '../test/read-bson.ts';
import { type GuardedWrite, writeGuarded } from './guarded-write.ts';

const options = { writeConcern: { w: 'majority' as const } };
const write = (id: number, v: string, isNew = false, row: object = { id }): GuardedWrite => ({
  document: {
    bytes: mongo.BSON.serialize({ _id: id, row, v, gtid: null }),
    idEnd: mongo.BSON.serialize({ _id: id }).length - 1,
    version: v,
  },
  isNew,
});
const dbOf = (fake: FakeMongo) => fake.connection.db('x');
const dbThat = (reply: (command: mongo.Document) => mongo.Document) =>
  ({ command: (command: mongo.Document) => Promise.resolve().then(() => reply(command)) }) as unknown as mongo.Db;

describe('writeGuarded', () => {
  it('I3: refuses what is older than the stored document and says which', async () => {
    const fake = new FakeMongo();
    await writeGuarded(dbOf(fake), 'c', [write(1, 'b'), write(2, 'b')], options);
    const result = await writeGuarded(dbOf(fake), 'c', [write(1, 'a'), write(2, 'c'), write(3, 'a', true)], options);
    expect(result).toEqual({ rejected: [0], notNew: 0, refused: [] });
    expect([1, 2, 3].map((id) => fake.find('c', id)?.v)).toEqual(['b', 'c', 'a']);
  });

  it('takes an equal version for applied already', async () => {
    const fake = new FakeMongo();
    await writeGuarded(dbOf(fake), 'c', [write(1, 'b')], options);
    expect(await writeGuarded(dbOf(fake), 'c', [write(1, 'b'), write(1, 'b', true)], options)).toEqual({
      rejected: [],
      notNew: 1,
      refused: [],
    });
  });

  it('writes over an older document that was believed absent', async () => {
    const fake = new FakeMongo();
    await writeGuarded(dbOf(fake), 'c', [write(1, 'a')], options);
    expect(await writeGuarded(dbOf(fake), 'c', [write(1, 'b', true)], options)).toEqual({
      rejected: [],
      notNew: 1,
      refused: [],
    });
    expect(fake.find('c', 1)?.v).toBe('b');
  });

  it('I3: lets the newer of two writers win who both see that the document is absent', async () => {
    for (let seed = 1; seed <= 100; seed++) {
      const fake = new FakeMongo(seed);
      const [, newer] = await Promise.all([
        writeGuarded(dbOf(fake), 'c', [write(1, 'a', seed % 2 === 0)], options),
        writeGuarded(dbOf(fake), 'c', [write(1, 'b')], options),
      ]);
      expect(fake.find('c', 1)?.v).toBe('b');
      expect(newer.rejected).toEqual([]);
    }
  });

  it('sends the guard as the driver would write it', async () => {
    const fake = new FakeMongo();
    await writeGuarded(dbOf(fake), 'c', [write(7, 'b')], options);
    expect(readSequence(fake.commands[0] ?? {}, 'updates')).toEqual([
      { q: { _id: 7, v: { $lte: 'b' } }, u: { _id: 7, row: { id: 7 }, v: 'b', gtid: null }, upsert: true },
    ]);
  });

  it('costs no second call when nothing was refused', async () => {
    const fake = new FakeMongo();
    await writeGuarded(dbOf(fake), 'c', [write(1, 'a', true), write(2, 'a', true)], options);
    await writeGuarded(dbOf(fake), 'c', [write(1, 'b'), write(2, 'b')], options);
    expect(fake.commands.map((command) => Object.keys(command)[0])).toEqual(['insert', 'update']);
    expect(fake.commands[0]).toMatchObject({ ordered: false, writeConcern: { w: 'majority' } });
  });

  it('sends only the deadlocked operations again', async () => {
    const sent: number[][] = [];
    const db = dbThat((command) => {
      sent.push(readSequence<{ u: { _id: number } }>(command, 'updates').map(({ u }) => u._id));
      return sent.length === 1 ? { ok: 1, writeErrors: [{ index: 1, code: 16908292 }] } : { ok: 1 };
    });
    await writeGuarded(db, 'c', [write(1, 'a'), write(2, 'a'), write(3, 'a')], options);
    expect(sent).toEqual([[1, 2, 3], [2]]);
  });

  it('rejects retriably when deadlocks continue, and when the write concern is not reached', async () => {
    let asked = 0;
    const deadlock = { ok: 1, writeErrors: [{ index: 0, code: 16908292 }] };
    const deadlocked = dbThat(() => (asked++ < 50 ? deadlock : { ok: 1 }));
    await expect(writeGuarded(deadlocked, 'c', [write(1, 'a')], options)).rejects.toMatchObject({ retriable: true });
    const unconfirmed = dbThat(() => ({
      ok: 1,
      writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' },
    }));
    await expect(writeGuarded(unconfirmed, 'c', [write(1, 'a')], options)).rejects.toMatchObject({ retriable: true });
  });

  const refusal = (index: number, key = index) => ({
    index,
    error: expect.objectContaining({
      code: 'DITTO_MONGO_DOCUMENT_REFUSED',
      retriable: false,
      context: { collection: 'c', key: `{"_id":${key}}` },
    }),
  });

  it('names the document that the server refuses, and writes the others', async () => {
    const db = dbThat(() => ({ ok: 1, writeErrors: [{ index: 1, code: 17280, errmsg: 'key too long' }] }));
    expect(await writeGuarded(db, 'c', [write(1, 'a'), write(2, 'a')], options)).toEqual({
      rejected: [],
      notNew: 0,
      refused: [refusal(1, 2)],
    });
  });

  it.each([
    ['MongoDB', { code: 11000, errmsg: 'E11000 duplicate key error', keyPattern: { email: 1 } }],
    ['FerretDB', { code: 11000, errmsg: "Duplicate key violation on the requested collection: Index 'email_1'" }],
  ])('I6: does not take a duplicate in another unique index of %s for a newer document', async (_name, error) => {
    const db = dbThat(() => ({ ok: 1, writeErrors: [{ index: 0, ...error }] }));
    expect((await writeGuarded(db, 'c', [write(0, 'a')], options)).refused).toEqual([refusal(0)]);
  });

  it('finds the documents for whose content a whole command is refused', async () => {
    for (const code of [2, 22, 52, 57, 121, 261, 10334, 15974, 17280, 17419, 17420]) {
      const written: (number | undefined)[] = [];
      const db = dbThat((command) => {
        const ids = readSequence<{ u: { _id?: number } }>(command, 'updates').map(({ u }) => u._id);
        if (ids.includes(undefined)) return { ok: 1, n: 0 }; // asks only
        if (ids.includes(3) || ids.includes(4)) throw new mongo.MongoServerError({ message: 'no', code });
        written.push(...ids);
        return { ok: 1 };
      });
      const writes = Array.from({ length: 7 }, (_, id) => write(id, 'a'));
      expect((await writeGuarded(db, 'c', writes, options)).refused).toEqual([refusal(3), refusal(4)]);
      expect(written).toEqual([0, 1, 2, 5, 6]);
    }
  });

  it.each([2, 22, 52])('I6: stops at code %i when the server refuses the command whatever is in it', async (code) => {
    const db = dbThat(() => {
      throw new mongo.MongoServerError({ message: 'no such write concern', code });
    });
    for (const isNew of [false, true]) {
      const writes = [write(1, 'a', isNew), write(2, 'a', isNew)];
      await expect(writeGuarded(db, 'c', writes, options)).rejects.toMatchObject({
        code: 'DITTO_MONGO_REFUSED',
        context: { serverCode: code },
      });
    }
  });

  it('I1: holds when the server goes away while it is asked whether the command or the document is refused', async () => {
    let calls = 0;
    const db = dbThat(() => {
      if (calls++ > 0) throw new mongo.MongoNetworkError('connection closed');
      throw new mongo.MongoServerError({ message: 'no', code: 2 });
    });
    await expect(writeGuarded(db, 'c', [write(1, 'a')], options)).rejects.toMatchObject({ retriable: true });
  });

  it('stops at an error that is not known to be about one document', async () => {
    const db = dbThat(() => ({ ok: 1, writeErrors: [{ index: 0, code: 59, errmsg: 'no such command' }] }));
    await expect(writeGuarded(db, 'c', [write(1, 'a')], options)).rejects.toMatchObject({
      code: 'DITTO_MONGO_REFUSED',
      context: { serverCode: 59 },
    });
  });

  it('refuses a document above 16 MB before it is sent', async () => {
    const fake = new FakeMongo();
    const tooLarge = write(0, 'a', true, { a: 'x'.repeat(16_777_216 - 40) });
    expect(tooLarge.document.bytes.length).toBeGreaterThan(16_777_216);
    const { refused } = await writeGuarded(dbOf(fake), 'c', [tooLarge, write(1, 'a', true)], options);
    expect(refused).toEqual([refusal(0)]);
    expect([fake.find('c', 0), fake.find('c', 1)?.v]).toEqual([undefined, 'a']);
  });

  it('cuts commands by count and by bytes', async () => {
    const fake = new FakeMongo();
    await writeGuarded(
      dbOf(fake),
      'c',
      Array.from({ length: 2500 }, (_, id) => write(id, 'a')),
      options,
    );
    expect(fake.commands.map((command) => readSequence(command, 'updates').length)).toEqual([1000, 1000, 500]);
    const large = Array.from({ length: 5 }, (_, id) => write(id, 'a', true, { a: 'x'.repeat(5_000_000) }));
    fake.commands.length = 0;
    await writeGuarded(dbOf(fake), 'd', large, options);
    expect(fake.commands.map((command) => readSequence(command, 'documents').length)).toEqual([2, 2, 1]);
  });
});
