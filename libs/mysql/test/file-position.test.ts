import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RowDataPacket } from 'mysql2/promise';
import { MySqlChangeSource } from '#mysql';
import { type FilePosition, type Position } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { type SourceItem } from '#replication';
import { OwnServer } from '#testing';
import { position, type ReadItem, TestSource } from './test-source.ts';

type GtidMode = (typeof MODES)[number];
const MODES = ['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'] as const;
const HEARTBEAT_MS = 100;

let server: OwnServer;
let source: TestSource;
let serverUuid: string;

beforeAll(async () => {
  server = await OwnServer.start('mysql-primary');
  source = await TestSource.open('place', server.url);
  serverUuid = (await source.value('SELECT @@server_uuid')) ?? '';
  await source.run('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100))');
}, 300_000);
afterAll(async () => {
  await source.close();
  await server.end();
});

/** A server takes one step of these at a time. */
async function setMode(wanted: GtidMode): Promise<void> {
  const target = MODES.indexOf(wanted);
  for (;;) {
    const at = MODES.findIndex((mode) => mode === currentMode);
    if (at === target) return;
    currentMode = MODES[at + Math.sign(target - at)] ?? wanted;
    await source.run(`SET GLOBAL gtid_mode = ${currentMode}`);
  }
}
let currentMode: GtidMode = 'ON';

async function insert(id: number): Promise<void> {
  await source.run(`INSERT INTO t VALUES (${id}, 'v')`);
}

async function insertAs(gtid: string, id: number): Promise<void> {
  await source.run(`SET SESSION gtid_next = '${gtid}'`);
  await insert(id);
  await source.run("SET SESSION gtid_next = 'AUTOMATIC'");
}

/** Xids begin with the name of the database, as `TestSource.executedSet` wants it. */
function prepare(name: string, id: number): readonly string[] {
  const xid = `'${source.database}${name}'`;
  return [`XA START ${xid}`, `INSERT INTO t VALUES (${id}, 'xa')`, `XA END ${xid}`, `XA PREPARE ${xid}`];
}

async function here(): Promise<FilePosition> {
  return { gtidSet: null, ...(await source.logEnd()), serverUuid };
}

/** As a checkpoint of this server has it. */
async function checkpoint(): Promise<Position> {
  return { gtidSet: await source.executedSet(), ...(await source.logEnd()), serverUuid };
}

function behind(item: ReadItem): FilePosition {
  if (item.type !== 'end') throw new TypeError('no end');
  return { gtidSet: null, file: item.file, offset: item.endOffset, serverUuid };
}

function ids(items: readonly (ReadItem | SourceItem)[]): unknown[] {
  return items.flatMap((item) => {
    if (item.type !== 'rows') return [];
    const { after } = item;
    if (after === null) return ['deleted'];
    return 'row' in after ? Array.from({ length: after.count }, (_, i) => after.row(i)[0]) : after.map((row) => row[0]);
  });
}

function gtids(items: readonly ReadItem[]): unknown[] {
  return items.flatMap((item) => (item.type === 'begin' ? [item.transaction.gtid] : []));
}

async function failure(work: Promise<unknown>): Promise<DittoError> {
  const error: unknown = await work.then(
    () => null,
    (cause: unknown) => cause,
  );
  if (error instanceof DittoError) return error;
  throw new Error(`no coded error: ${String(error)}`, { cause: error });
}

/** Every restart after a transaction gives what follows it: no more, no less, the same. */
async function expectExactRests(from: FilePosition, all: readonly ReadItem[]): Promise<void> {
  expect(await source.readItems(from)).toEqual(all);
  for (const [index, item] of all.entries())
    if (item.type === 'end') expect(await source.readItems(behind(item))).toEqual(all.slice(index + 1));
}

/** A stream that continues until it has given as many transactions. */
function follow(
  from: Position | FilePosition,
  transactions: number,
): { read: Promise<SourceItem[]>; first: Promise<unknown>; stop: () => void } {
  const first = Promise.withResolvers<unknown>();
  const abort = new AbortController();
  const changes = new MySqlChangeSource({
    connection: source.connection,
    logger: silentLogger,
    heartbeatMs: HEARTBEAT_MS,
  });
  const run = async (): Promise<SourceItem[]> => {
    const items: SourceItem[] = [];
    for await (const batch of changes.stream({ from, includes: source.includes, signal: abort.signal })) {
      items.push(...batch.items);
      if (items.length > 0) first.resolve(items[0]);
      if (items.filter(({ type }) => type === 'end').length >= transactions) break;
    }
    return items;
  };
  return {
    read: run(),
    first: first.promise,
    stop: () => {
      abort.abort();
    },
  };
}

describe('a server with gtid_mode=OFF', () => {
  beforeAll(() => setMode('OFF'));

  test('I1: is streamed by file and offset over rotations, and from the end of any transaction again', async () => {
    const from = await here();
    await source.run(
      'BEGIN',
      "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
      "UPDATE t SET v = 'c' WHERE id = 1",
      'COMMIT',
      'FLUSH BINARY LOGS',
      'CREATE TABLE other (id INT PRIMARY KEY)',
      'INSERT INTO other VALUES (1)',
      'FLUSH BINARY LOGS',
      'FLUSH BINARY LOGS',
      'DELETE FROM t WHERE id = 2',
    );
    const all = await source.readItems(from);
    expect(all.map((item) => (item.type === 'rows' ? `${item.op} ${item.layout.table}` : item.type))).toEqual([
      ...['begin', 'create t', 'update t', 'end'],
      ...['begin', 'statement', 'end', 'begin', 'create other', 'end'],
      ...['begin', 'delete t', 'end'],
    ]);
    expect(gtids(all)).toEqual([null, null, null, null]);
    const begins = all.flatMap((item) => (item.type === 'begin' ? [item.transaction] : []));
    const anonymous = (await source.events(from)).filter(({ type }) => type === 'Anonymous_Gtid');
    expect(begins[0]).toMatchObject({ file: from.file, offset: anonymous[0]?.offset, serverUuid });
    expect(new Set(begins.map(({ file }) => file)).size).toBe(3);
    expect(begins[0]?.commitMicros).toBeGreaterThan(1e15);
    await expectExactRests(from, all);
  });

  test('is streamed from the head of a file, and from the end of one that is full', async () => {
    const { file } = await here();
    await source.run('FLUSH BINARY LOGS');
    await insert(10);
    const [logs] = await source.admin.query<RowDataPacket[]>('SHOW BINARY LOGS');
    const size = Number(logs.find((log) => log['Log_name'] === file)?.['File_size']);
    const full = { gtidSet: null, file, offset: size, serverUuid };
    expect(ids(await source.readItems(full))).toEqual([10]);
    const next = { ...full, file: (await source.logEnd()).file, offset: 4 };
    expect(ids(await source.readItems(next))).toEqual([10]);
  });

  test('is not streamed by GTID, and says how to get there', async () => {
    expect(await failure(source.readItems(await source.executedSet()))).toMatchObject({
      code: 'DITTO_SOURCE_GTID_MODE',
      retriable: false,
      remedy: expect.stringMatching(/OFF_PERMISSIVE.*ON_PERMISSIVE.*gtid_mode = ON;/),
    });
  });

  test('XA: an outcome whose PREPARE lies before the start is a stop, and no rows without it', async () => {
    const from = await here();
    await source.run(...prepare('a', 20));
    const between = await here();
    const other = await source.connect();
    await other.query("INSERT INTO t VALUES (21, 'between')");
    await other.end();
    await source.run(`XA COMMIT '${source.database}a'`);
    const items = await source.readItems(from);
    expect(items[0]).toEqual({ type: 'prepared', gtid: null });
    expect(ids(items)).toEqual([21, 20]);
    expect(await failure(source.readItems(between))).toMatchObject({ code: 'DITTO_SOURCE_XA_UNKNOWN' });
  });

  describe('I6: refuses a place', () => {
    test('of another server, and names both', async () => {
      const expected = '11111111-2222-3333-4444-555555555555';
      const error = await failure(source.readItems({ ...(await here()), serverUuid: expected }));
      expect(error).toMatchObject({
        code: 'DITTO_SOURCE_OTHER_SERVER',
        retriable: false,
        context: { expected, serverUuid },
        remedy: expect.stringContaining(expected),
      });
      expect(error.message).toContain(expected);
      expect(error.message).toContain(serverUuid);
    });

    test('in a file that is purged', async () => {
      const from = await here();
      await source.run('FLUSH BINARY LOGS');
      const { file } = await source.logEnd();
      // a dump that ended keeps its file until the server notices
      while ((await source.value('SHOW BINARY LOGS')) !== file) await source.run(`PURGE BINARY LOGS TO '${file}'`);
      expect(await failure(source.readItems(from))).toMatchObject({ code: 'DITTO_SOURCE_PURGED', retriable: false });
    });

    async function expectRefusal(place: FilePosition): Promise<void> {
      const { read, stop } = follow(place, 1);
      const error = await failure(read);
      stop();
      expect(error).toMatchObject({
        code: 'DITTO_SOURCE_PLACE_INVALID',
        retriable: false,
        remedy: expect.stringContaining('SHOW BINARY LOG STATUS'),
        context: { file: place.file, offset: place.offset },
      });
    }

    test('after the end of the log, also where the server can not be asked for it', async () => {
      const end = await here();
      await expectRefusal({ ...end, offset: end.offset + 1 });
      await expectRefusal({ ...end, offset: 2 ** 32 + end.offset });
      await source.run('FLUSH BINARY LOGS');
      await expectRefusal({ ...end, offset: end.offset + 1000 });
      await expectRefusal({ ...end, offset: 2 ** 32 + end.offset });
      await expectRefusal({ ...end, offset: 3 });
      await expectRefusal({ ...end, file: '', offset: 4 });
    });

    test.each(['the newest', 'an older'])('inside an event or a transaction of %s file', async (which) => {
      const from = await here();
      await source.run(`INSERT INTO t VALUES (${which === 'an older' ? 40 : 41}, REPEAT('x', 100))`);
      const events = await source.events(from);
      const [first, last] = [events[0]?.offset ?? 0, events.at(-1)?.end ?? 0];
      await insert(which === 'an older' ? 50 : 51);
      if (which === 'an older') await source.run('FLUSH BINARY LOGS');
      const offsets = new Set(events.map(({ offset }) => offset));
      for (let offset = first + 1; offset < last; offset += 29) offsets.add(offset);
      offsets.delete(first);
      for (const offset of offsets) await expectRefusal({ ...from, offset });
      expect(offsets.size).toBeGreaterThan(10);
    });
  });
});

describe('on the way from OFF to ON', () => {
  let from: FilePosition;
  let all: readonly ReadItem[];

  test('I2: transactions with and without a GTID come in the order of the log, also to a stream that runs at that time', async () => {
    await setMode('OFF');
    from = await here();
    const live = follow(from, 6);
    await insert(101);
    await live.first;
    await setMode('OFF_PERMISSIVE');
    await insert(102);
    await insertAs(`${serverUuid}:1000`, 103);
    await insert(104);
    await setMode('ON_PERMISSIVE');
    await insertAs('ANONYMOUS', 105);
    await insert(106);
    all = await source.readItems(from);
    expect(ids(await live.read)).toEqual([101, 102, 103, 104, 105, 106]);
    expect(ids(all)).toEqual([101, 102, 103, 104, 105, 106]);
    const gtid: unknown = expect.stringMatching(`^${serverUuid}:\\d+$`);
    expect(gtids(all)).toEqual([null, null, `${serverUuid}:1000`, null, null, gtid]);
    await expectExactRests(from, all);
  });

  test('with gtid_mode=ON the server refuses what has none, until it is put back', async () => {
    await setMode('ON');
    const byGtid = await checkpoint();
    await insert(107);
    expect(await failure(source.readItems(from))).toMatchObject({
      code: 'DITTO_SOURCE_ANONYMOUS_TRANSACTION',
      retriable: false,
      remedy: expect.stringContaining('gtid_mode = ON_PERMISSIVE'),
    });
    await setMode('ON_PERMISSIVE');
    expect(ids(await source.readItems(from))).toEqual([101, 102, 103, 104, 105, 106, 107]);
    await setMode('ON');
    const last = all.at(-1);
    if (last === undefined) throw new Error('nothing');
    expect(ids(await source.readItems(behind(last)))).toEqual([107]);
    expect(ids(await source.readItems(byGtid))).toEqual([107]);
  });

  test('back at OFF it refuses what has one', async () => {
    const start = await here();
    await insert(108);
    await setMode('OFF');
    expect(await failure(source.readItems(start))).toMatchObject({
      code: 'DITTO_SOURCE_GTID_MODE',
      retriable: false,
      remedy: expect.stringContaining('OFF_PERMISSIVE'),
    });
  });
});

describe('I6: a stream by GTID never passes a transaction without one', () => {
  beforeAll(() => setMode('ON'));

  const stopped = {
    code: 'DITTO_SOURCE_ANONYMOUS_TRANSACTION',
    retriable: false,
    remedy: expect.stringMatching(/gtid_mode = ON;.*resync/),
  };

  test('that comes while it reads', async () => {
    const { read, first } = follow(await checkpoint(), 3);
    await insert(201);
    await first;
    await setMode('ON_PERMISSIVE');
    await insertAs('ANONYMOUS', 202);
    expect(await failure(read)).toMatchObject(stopped);
    await setMode('ON');
  });

  test('that was written while it did not, even if nothing shows it any more', async () => {
    await source.run('FLUSH BINARY LOGS');
    await insert(203);
    const from = await checkpoint();
    await setMode('OFF_PERMISSIVE');
    await insert(204);
    await setMode('ON');
    // the GTID sets of the server and of the position are the same
    expect(await source.executedSet()).toBe(from.gtidSet);
    const { read, stop } = follow(from, 1);
    const timer = setTimeout(stop, 2000);
    expect(await failure(read)).toMatchObject(stopped);
    clearTimeout(timer);
  });

  test('and continues where there is none, over files, from one that is gone, and on another server', async () => {
    await source.run('FLUSH BINARY LOGS');
    const from = await checkpoint();
    await source.run('FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');
    await insert(205);
    expect(ids(await source.readItems(from))).toEqual([205]);
    expect(ids(await source.readItems({ ...from, serverUuid: 'another' }))).toEqual([205]);
    expect(ids(await source.readItems({ ...from, file: 'binlog.999999' }))).toEqual([205]);
    expect(ids(await source.readItems(position(from.gtidSet)))).toEqual([205]);
  });

  test('nor an XA transaction that was prepared in an earlier file', async () => {
    await source.run('FLUSH BINARY LOGS');
    const before = await source.executedSet();
    await source.run(...prepare('b', 206));
    await source.run('FLUSH BINARY LOGS');
    const other = await source.connect();
    await other.query("INSERT INTO t VALUES (207, 'behind')");
    await other.end();
    const items = await source.readItems(before);
    const [prepared, begin] = items;
    if (prepared?.type !== 'prepared' || begin?.type !== 'begin') throw new Error('not as expected');
    // what a checkpoint is while the transaction is undecided
    const from = { ...(await checkpoint()), gtidSet: `${before},${begin.transaction.gtid ?? ''}` };
    await source.run(`XA COMMIT '${source.database}b'`);
    expect(ids(await source.readItems(from))).toEqual([206]);
  });
});
