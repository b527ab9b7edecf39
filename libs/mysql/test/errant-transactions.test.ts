import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { GtidSet } from '#change-events';
import { silentLogger } from '#kernel';
import { MySqlRowReader } from '#mysql';
import { type Stack, startStack } from '#stack';
import { eventually, FaultProxy, OwnServer } from '#testing';
import { createConnection } from 'mysql2/promise';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;

/** The set is changed on one server only, so the servers are the test's own. */
describe('I7: transactions that only one server has', () => {
  let stack: Stack;
  let primary: TestSource;
  let replica: TestSource;
  const readers: MySqlRowReader[] = [];

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ditto-errant-'));
    stack = await startStack({ folder, servers: ['mysql-primary', 'mysql-replica'] });
    primary = await TestSource.open('errant', stack.url('mysql-primary'));
    await primary.run('CREATE TABLE t (id INT PRIMARY KEY)', 'CREATE TABLE other (id INT PRIMARY KEY)');
    await primary.run('INSERT INTO t VALUES (1), (2)');
    const admin = await createConnection(stack.url('mysql-replica'));
    await admin.query('SET GLOBAL read_only = OFF');
    await admin.end();
    replica = await TestSource.open('beside', stack.url('mysql-replica'));
  }, 60_000);
  afterAll(async () => {
    for (const reader of readers) reader.close();
    await primary.admin.end();
    await replica.admin.end();
    await stack.down();
    await rm(stack.folder, { recursive: true, force: true });
  });

  /** Reads from `read` what is streamed from `streamed`. */
  function open(read: TestSource, streamed: Pick<TestSource, 'connection'>, accepted = ''): MySqlRowReader {
    const reader = new MySqlRowReader({
      connection: read.connection,
      streamed: streamed.connection,
      includes: (database, table) => database === primary.database && table === 't',
      acceptGtids: GtidSet.parse(accepted),
      waitMs: 700,
      logger: silentLogger,
    });
    readers.push(reader);
    return reader;
  }

  async function read(reader: MySqlRowReader, dispatchedSet: string): Promise<{ rows: number; high: GtidSet }> {
    const table = { database: primary.database, table: 't' };
    const layout = await reader.readLayout(table, signal, dispatchedSet);
    if (layout === null) throw new Error('no table');
    const chunk = await reader.readChunk({ layout, after: null, limit: 10, dispatchedSet, signal });
    return { rows: chunk.rows.length, high: GtidSet.parse(chunk.high) };
  }

  const executed = async (source: TestSource): Promise<GtidSet> => GtidSet.parse(await source.executedSet());

  test('of a replica: those that changed nothing included are left out of what the stream must reach', async () => {
    const reader = open(replica, primary);
    const dispatched = await primary.executedSet();
    const { rows, high } = await read(reader, dispatched);
    expect(rows).toBe(2);
    expect((await executed(primary)).contains(high)).toBe(true);
    expect((await executed(replica)).subtract(high).isEmpty).toBe(false);
    expect(reader.findErrant()).toBe((await executed(replica)).subtract(await executed(primary)).toString());
  });

  test('are asked for again after the connection to the streamed server broke in the middle of the answer', async () => {
    const proxy = await FaultProxy.open(primary.connection);
    const { host, port } = proxy;
    const reader = open(replica, { connection: { ...primary.connection, host, port } });
    const dispatched = await primary.executedSet();
    await read(reader, dispatched);
    proxy.silence({ direction: 'toClient', bytes: 'swallowed', from: 'gtid_executed' });
    const before = proxy.receivedBytes.toClient;
    await Promise.all([
      expect(read(reader, dispatched)).rejects.toMatchObject({ code: 'DITTO_SOURCE_CONNECTION_LOST' }),
      eventually(() => proxy.receivedBytes.toClient > before).then(() => proxy.cutConnections()),
    ]);
    proxy.restore();
    expect((await read(reader, dispatched)).rows).toBe(2);
    proxy.close();
  });

  test('of a streamed server: they are left out of what the server that is read must have', async () => {
    // the primary is read, and nothing is replicated to it
    const reader = open(primary, replica);
    const { rows, high } = await read(reader, await replica.executedSet());
    expect(rows).toBe(2);
    expect((await executed(replica)).contains(high)).toBe(true);
  });

  test('a server with errant changes of an included table is not read, unless they are accepted', async () => {
    await replica.run(
      `INSERT INTO ${primary.database}.t VALUES (99)`,
      `DELETE FROM ${primary.database}.t WHERE id = 99`,
    );
    const errant = (await executed(replica)).subtract(await executed(primary));
    const dispatched = await primary.executedSet();
    await expect(read(open(replica, primary), dispatched)).rejects.toMatchObject({
      code: 'DITTO_SOURCE_ERRANT_CHANGES',
      message: expect.stringMatching(new RegExp(`errant transactions.*they changed ${primary.database}\\.t$`)),
      context: { gtids: errant.toString() },
    });
    const { rows, high } = await read(open(replica, primary, errant.toString()), dispatched);
    expect([rows, high.contains(errant)]).toEqual([2, false]);
  });

  test('a database that was dropped on one of them may have had included tables', async () => {
    const known = (await executed(replica)).toString();
    await replica.run('CREATE DATABASE dropped', 'DROP DATABASE dropped');
    await expect(read(open(replica, primary, known), await primary.executedSet())).rejects.toMatchObject({
      code: 'DITTO_SOURCE_ERRANT_CHANGES',
      message: expect.stringMatching(/they changed database dropped$/),
    });
  });

  test('where the log no longer shows what they changed, an operator decides', async () => {
    const gtids = 'aaaaaaaa-0000-0000-0000-00000000000a:1-3';
    await replica.run(`SET GLOBAL gtid_purged = '+${gtids}'`);
    const dispatched = await primary.executedSet();
    const known = (await executed(replica))
      .subtract(await executed(primary))
      .subtract(GtidSet.parse(gtids))
      .toString();
    await expect(read(open(replica, primary, known), dispatched)).rejects.toMatchObject({
      code: 'DITTO_SOURCE_ERRANT_CHANGES',
      message: expect.stringContaining('its log no longer shows'),
      remedy: expect.stringContaining('acceptGtids'),
    });
    expect((await read(open(replica, primary, `${known},${gtids}`), dispatched)).rows).toBe(2);
  });

  test('what the streamed server has executed and its log never gives is named, not waited for', async () => {
    const gtids = 'bbbbbbbb-0000-0000-0000-00000000000b:1-2';
    const dispatched = await primary.executedSet();
    await primary.run(`SET GLOBAL gtid_purged = '+${gtids}'`);
    const alone = (accepted: string): MySqlRowReader => {
      const { connection } = primary;
      const includes = (database: string, table: string): boolean => database === primary.database && table === 't';
      const reader = new MySqlRowReader({ connection, includes, acceptGtids: GtidSet.parse(accepted) });
      readers.push(reader);
      return reader;
    };
    await expect(read(alone(''), dispatched)).rejects.toMatchObject({
      code: 'DITTO_SOURCE_GTIDS_UNLOGGED',
      context: { gtids },
    });
    const { rows, high } = await read(alone(gtids), dispatched);
    expect([rows, high.contains(GtidSet.parse(gtids))]).toEqual([2, false]);
  });

  test('reads share one connection to the streamed server, and leave none behind where it does not answer', async () => {
    // by their ids, and in the end: a server notices a moment later that a connection was closed
    const connections = async (server: TestSource): Promise<readonly string[]> =>
      String(
        await server.value(
          `SELECT GROUP_CONCAT(id) FROM information_schema.processlist WHERE command NOT LIKE 'Binlog Dump%'`,
        ),
      ).split(',');
    const newSince = async (server: TestSource, before: readonly string[]): Promise<readonly string[]> =>
      (await connections(server)).filter((id) => !before.includes(id));
    const before = await connections(primary);
    const reader = open(replica, primary, (await executed(replica)).toString());
    await Promise.all([1, 2, 3, 4].map(() => read(reader, '')));
    await eventually(
      () => newSince(primary, before),
      ({ length }) => length === 1,
    );
    reader.close();

    const beside = open(replica, { connection: { ...primary.connection, port: 1 } });
    const layout = await beside.readLayout({ database: primary.database, table: 't' }, signal);
    if (layout === null) throw new Error('no table');
    const beforeRefusals = await connections(replica);
    for (let i = 0; i < 3; i++)
      await expect(
        beside.readChunk({
          layout,
          after: null,
          limit: 10,
          dispatchedSet: 'cccccccc-0000-0000-0000-00000000000c:1',
          signal,
        }),
      ).rejects.toMatchObject({ code: 'DITTO_SOURCE_UNREACHABLE' });
    await eventually(
      () => connections(replica),
      ({ length }) => length <= beforeRefusals.length,
    );
  });

  test('a replica that has not executed what was dispatched is not read, and what it lacks is named', async () => {
    await replica.run('STOP REPLICA');
    await primary.run('INSERT INTO t VALUES (3)');
    const reader = open(replica, primary, (await executed(replica)).toString());
    await expect(read(reader, await primary.executedSet())).rejects.toMatchObject({
      code: 'DITTO_SOURCE_BEHIND',
      retriable: true,
      context: { missing: (await executed(primary)).subtract(await executed(replica)).toString() },
    });
  });
});

describe('I7: MariaDB: a domain that only one server has', () => {
  let streamed: OwnServer;
  let beside: OwnServer;
  let log: TestSource;
  let rows: TestSource;

  beforeAll(async () => {
    [streamed, beside] = await Promise.all([OwnServer.start('mariadb'), OwnServer.start('mariadb')]);
    log = await TestSource.open('errant', streamed.url);
    rows = await TestSource.open('errant', beside.url);
    await rows.run('CREATE TABLE t (id INT PRIMARY KEY)', 'CREATE TABLE other (id INT PRIMARY KEY)');
    await rows.run('INSERT INTO t VALUES (1), (2)', 'RESET MASTER', 'SET SESSION gtid_domain_id = 7');
  }, 60_000);
  afterAll(async () => {
    await Promise.all([log.admin.end(), rows.admin.end()]);
    await Promise.all([streamed.end(), beside.end()]);
  });

  test('is left out of what the stream must reach, unless its transactions changed an included table', async () => {
    const reader = new MySqlRowReader({
      connection: rows.connection,
      streamed: log.connection,
      includes: (_, table) => table === 't',
      waitMs: 700,
    });
    const readRows = async (): Promise<unknown> => {
      const layout = await reader.readLayout({ database: rows.database, table: 't' }, signal);
      if (layout === null) throw new Error('no table');
      const { rows: found, high } = await reader.readChunk({
        layout,
        after: null,
        limit: 10,
        dispatchedSet: '',
        signal,
      });
      return [found.length, high];
    };
    try {
      await rows.run('INSERT INTO other VALUES (1)');
      expect(await readRows()).toEqual([2, '']);
      expect(reader.findErrant()).toMatch(/(^|,)7-\d+-1$/);
      await rows.run('INSERT INTO t VALUES (3)');
      await expect(readRows()).rejects.toMatchObject({
        code: 'DITTO_SOURCE_ERRANT_CHANGES',
        message: expect.stringContaining(`they changed ${rows.database}.t`),
      });
    } finally {
      reader.close();
    }
  });
});
