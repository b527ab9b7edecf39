import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { GtidSet, startVersion, type TableChange } from '#change-events';
import { silentLogger } from '#kernel';
import { acceptChanges, openSink } from '#testing';
import { type mongo } from 'mongoose';
import { FakeReplicaSet, type Handler } from '../test/fake-replica-set.ts';
import { makeChange, makeTransaction, ordersLayout } from '../test/make-changes.ts';
import {
  listMirroredTables,
  MirrorLineage,
  MirrorMemory,
  MirrorWriter,
  type MongoConnection,
  MongoMirroredKeys,
  openMongo,
  TombstoneSweeper,
} from './index.ts';

const never = new AbortController().signal;
const COLLECTION = 'shop.orders';
const backoff = { initialMs: 10, maxMs: 50 };
const truncate: TableChange = { op: 'truncate', layout: ordersLayout, transaction: makeTransaction(9), rowIndex: 0 };

let set: FakeReplicaSet;
let connection: MongoConnection;
let acknowledged = 0;
const opened: MongoConnection[] = [];
const fatal: Error[] = [];
const acknowledgement = {
  acknowledge: (count: number): void => {
    acknowledged += count;
  },
};

beforeEach(async () => {
  acknowledged = 0;
  fatal.length = 0;
  set = await FakeReplicaSet.open();
  connection = await open();
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
  await set.close();
});

async function open(urlOptions = '', socketTimeoutMs = 500): Promise<MongoConnection> {
  const url = set.url + urlOptions;
  const one = await openMongo({ url, logger: silentLogger, serverSelectionTimeoutMs: 500, socketTimeoutMs });
  opened.push(one);
  return one;
}

async function openWriter(of = connection): Promise<MirrorWriter> {
  const writer = new MirrorWriter({
    connection: of,
    source: 's',
    isReplaying: () => false,
    logger: silentLogger,
    backoff,
  });
  await openSink(writer, { onFatal: (error) => fatal.push(error) });
  return writer;
}

async function writeRows(writer: MirrorWriter, ids: readonly number[]): Promise<void> {
  const changes = ids.map((id) => makeChange(null, [id, 'x'], { transaction: makeTransaction(id) }));
  acceptChanges(writer, changes, acknowledgement);
  await writer.drain(never);
}

/** Whether a majority has the row, or its end. */
const states = (): boolean[] => set.list(COLLECTION).map(({ deletedAt }) => deletedAt === undefined);

/** Does `act` with the first command of this name, and serves the others. */
function once(name: string, act: Handler): { readonly happened: () => boolean } {
  let isDone = false;
  set.handle = (received, run) => {
    if (isDone || received.command[name] !== COLLECTION) return run();
    isDone = true;
    return act(received, run);
  };
  return { happened: () => isDone };
}

describe('a truncate whose outcome is unknown', () => {
  it.each<[string, Handler]>([
    ['the answer is lost', (_, run) => (run(), null)],
    ['no majority confirms in time', (_, run) => run()],
    ['the connection falls silent', async (_, run) => (run(), new Promise<null>((r) => setTimeout(r, 2000, null)))],
  ])('I1: %s: it ends when a majority has it, also when a failover takes it back', async (_, act) => {
    const writer = await openWriter();
    await writeRows(writer, [1, 2, 3]);
    const update = once('update', (received, run) => {
      set.confirms = false;
      return act(received, run);
    });
    let isResolved = false;
    const ended = writer.applyTableChange(truncate).then(() => (isResolved = true));
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect([update.happened(), isResolved]).toEqual([true, false]);
    set.failOver();
    await ended;
    expect(states()).toEqual([false, false, false]);
    expect(fatal).toEqual([]);
  });

  it('I1: a row that was confirmed by one member only, before the truncate, ends too', async () => {
    const writer = new MirrorWriter({
      ...{ connection, source: 's', isReplaying: () => false, logger: silentLogger, backoff },
      writeConcern: 1,
    });
    await openSink(writer, { onFatal: (error) => fatal.push(error) });
    await writeRows(writer, [1, 2]);
    expect(set.list(COLLECTION)).toEqual([]);
    await writer.applyTableChange(truncate);
    expect(states()).toEqual([false, false]);
  });
});

describe('the opening of a source', () => {
  it.each([10107, 11600, 91])(
    'waits while MongoDB refuses each command with code %i for now, and goes on',
    async (code) => {
      const left = new Map<string, number>();
      const refused: string[] = [];
      set.handle = ({ command }, run) => {
        const name = Object.keys(command)[0] ?? '';
        const times = left.get(name) ?? 2;
        if (!['find', 'update', 'listCollections'].includes(name) || times === 0) return run();
        left.set(name, times - 1);
        refused.push(name);
        return { ok: 0, code, errmsg: 'not now' };
      };
      const name = { connection, source: 's' };
      const patience = { signal: never, logger: silentLogger, backoff };
      const lineage = new MirrorLineage({ ...name, patience });
      expect(await lineage.read()).toBe(0);
      await lineage.raise(3);
      expect(await lineage.read()).toBe(3);
      expect(await listMirroredTables(name, patience)).toEqual([]);
      expect(new Set(refused)).toEqual(new Set(['find', 'update', 'listCollections']));
    },
  );

  it('does not wait for what never passes, nor beyond its signal', async () => {
    const signal = AbortSignal.timeout(200);
    set.handle = ({ command }, run) => ('find' in command ? { ok: 0, code: 11600, errmsg: 'not now' } : run());
    const name = { connection, source: 's', patience: { signal, logger: silentLogger, backoff } };
    await expect(new MirrorLineage(name).read()).rejects.toMatchObject({ name: 'TimeoutError' });
    set.handle = ({ command }, run) => ('find' in command ? { ok: 0, code: 13, errmsg: 'not authorized' } : run());
    const patience = { signal: never, logger: silentLogger, backoff };
    await expect(new MirrorLineage({ connection, source: 's', patience }).read()).rejects.toMatchObject({
      retriable: false,
    });
  });
});

type Demotion = [string, number, (run: () => mongo.Document, code: number, count: number) => mongo.Document];

describe('a primary that is demoted in mid-call', () => {
  // each takes half a second, the driver's least time between two looks; mongo-errors.spec.ts has all codes
  const demotions = [10107, 11600];
  const concerns = [64, 91];

  it.each<Demotion>([
    ...demotions.map((code): Demotion => ['refuses the command', code, () => ({ ok: 0, code, errmsg: 'no' })]),
    ...concerns.map((code): Demotion => [
      'has applied the write, and no majority has it',
      code,
      (run) => ({ ...run(), writeConcernError: { code, errmsg: 'no' } }),
    ]),
    ...[189].map((code): Demotion => [
      'fails each operation',
      code,
      (_, __, count) => ({
        ok: 1,
        n: 0,
        writeErrors: Array.from({ length: count }, (___, index) => ({ index, code, errmsg: 'no' })),
      }),
    ]),
  ])('I1: %s (%i): held, and given to the new one', async (_, code, answer) => {
    const writer = await openWriter();
    const insert = once('insert', (received, run) => {
      set.confirms = false;
      const reply = answer(run, code, sizeOf(received.command));
      set.failOver();
      expect(acknowledged).toBe(0);
      return reply;
    });
    await writeRows(writer, [1, 2]);
    expect(insert.happened()).toBe(true);
    expect(acknowledged).toBe(2);
    expect(states()).toEqual([true, true]);
    expect(fatal).toEqual([]);
  });

  it('I1: a connection that falls silent in mid-call is dropped, and the batch is given again', async () => {
    const writer = await openWriter();
    once('insert', (_, run) => (run(), new Promise<null>((resolve) => setTimeout(resolve, 5000, null).unref())));
    const began = performance.now();
    await writeRows(writer, [1, 2]);
    expect(performance.now() - began).toBeLessThan(3000);
    expect([acknowledged, states()]).toEqual([2, [true, true]]);
  });
});

function sizeOf(command: mongo.Document): number {
  return ((command['documents'] ?? []) as unknown[]).length;
}

describe('a server that is too slow', () => {
  it('I1: gets smaller commands, until one ends before its connection is given up', async () => {
    const writer = await openWriter(await open('', 200));
    set.handle = ({ command }, run) => {
      return sizeOf(command) > 100 ? new Promise((resolve) => setTimeout(resolve, 1000, run())) : run();
    };
    await writeRows(
      writer,
      Array.from({ length: 1600 }, (_, id) => id + 1),
    );
    expect([acknowledged, states().length]).toEqual([1600, 1600]);
    const sizes = set.commands.map(({ command }) => sizeOf(command));
    expect(Math.max(...sizes)).toBeGreaterThan(100);
  }, 30_000);
});

describe('options of the URL', () => {
  const weak =
    '&readPreference=secondary&readConcernLevel=local&w=0&journal=false&retryWrites=true&retryReads=true&promoteValues=false';

  it('I1: do not weaken any read or write of the mirror', async () => {
    const weakened = await open(weak);
    const writer = await openWriter(weakened);
    set.commands.length = 0;
    const name = { connection: weakened, source: 's' };
    await writer.prepareTable(ordersLayout);
    await writeRows(writer, [1, 2]);
    acceptChanges(writer, [makeChange([1, 'x'], null, { transaction: makeTransaction(5) })], acknowledgement);
    await writer.drain(never);
    const keys = new MongoMirroredKeys({ ...name, logger: silentLogger });
    expect(await keys.newestVersion(ordersLayout, 1)).toContain(makeTransaction(5).versionPrefix);
    const pages = keys.list({ layout: ordersLayout, above: '', below: 'f', tombstonesAbove: '', limit: 10 });
    let listed = 0;
    for await (const page of pages) listed += page.length;
    expect(listed).toBe(2);
    await new MirrorLineage(name).raise(3);
    const memory = new MirrorMemory({ ...name, logger: silentLogger });
    expect(await memory.newestLineage(never)).toBe(3);
    expect(await memory.gtidsAbove('', never)).toEqual([makeTransaction(5).gtid]);
    expect(await listMirroredTables(name)).toEqual([{ database: 'shop', table: 'orders' }]);
    await writer.applyTableChange(truncate);
    const sweeper = new TombstoneSweeper({ connection: weakened, logger: silentLogger, nowMs: () => Date.now() + 9 });
    const belowVersion = startVersion(1, 'binlog.999999', 4);
    expect((await sweeper.sweep({ source: 's', olderThanMs: 0, belowVersion, covered: GtidSet.empty })).removed).toBe(
      2,
    );

    const received = set.commands.filter(({ command }) => !('endSessions' in command));
    expect(received.filter(({ isPrimary }) => !isPrimary)).toEqual([]);
    expect(received.filter(({ command }) => command['$readPreference'] !== undefined)).toEqual([]);
    const finds = received.filter(({ command }) => 'find' in command);
    const writes = received.filter(({ command }) => ['insert', 'update', 'delete'].some((each) => each in command));
    expect([finds.length > 5, writes.length > 5]).toEqual([true, true]);
    for (const { command } of finds) expect(command['readConcern']).toEqual({ level: 'majority' });
    for (const { command } of writes) expect(command['writeConcern']).toMatchObject({ w: 'majority' });
    for (const { command } of received) expect(command['txnNumber']).toBeUndefined();
  });
});
