import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { compileColumnSelection, type Row, rowOfKey, type TableLayout } from '#change-events';
import { Backoff, retry, silentLogger } from '#kernel';
import { MySqlChangeSource, type MySqlConnectionOptions, MySqlRowReader } from '#mysql';
import { OwnServer, FaultProxy, testStack } from '#testing';
import { allocatorSettings } from '../../../demo/process-settings.ts';
import { TestSource } from './test-source.ts';

const MEBIBYTE = 1024 * 1024;
const MOST_BYTES = 17 * MEBIBYTE;
/** The event comes in three packets, of which one is read before it is refused. */
const WIDE = 40 * MEBIBYTE;

/** What may be on its way when a reader has enough: buffers of both systems. */
const UNDER_WAY_BYTES = 8 * MEBIBYTE;
const MOST_WAIT_MS = 10_000;
const signal = new AbortController().signal;
// a server may take its time for so much
jest.setTimeout(60_000);

describe.each(['mysql-primary', 'mariadb'] as const)('I9: large rows on %s:', (name) => {
  let server: OwnServer;
  let source: TestSource;

  beforeAll(async () => {
    server = await OwnServer.start(name);
    source = await TestSource.open('large', server.url);
    await source.run(`SET GLOBAL max_allowed_packet = ${256 * MEBIBYTE}`);
    await source.admin.end();
    source = await TestSource.reopen(source);
    await source.run('CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB)', 'CREATE TABLE x_t LIKE t');
  }, 300_000);
  afterAll(async () => {
    await source.close();
    await server.end();
  });

  async function ids(from: string, excluded: readonly string[] = []): Promise<unknown[]> {
    const reader = new MySqlChangeSource({
      connection: source.connection,
      logger: silentLogger,
      columns: compileColumnSelection(excluded),
      maxRowBytes: MOST_BYTES,
    });
    const includes = (database: string, table: string): boolean =>
      source.includes(database, table) && !table.startsWith('x_');
    const items = await source.readItems(from, reader, includes);
    return items.flatMap((item) => (item.type === 'rows' ? (item.after ?? []).map(([id]) => id) : []));
  }

  test('one that no sink could take stops the stream before it is read', async () => {
    const from = await source.executedSet();
    await source.run(`INSERT INTO t VALUES (1, REPEAT('w', ${WIDE}))`);
    const before = process.memoryUsage().arrayBuffers;
    await expect(ids(from)).rejects.toMatchObject({
      code: 'DITTO_SOURCE_ROW_TOO_LARGE',
      retriable: false,
      message: expect.stringContaining(`${source.database}.t`),
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(WIDE);
  });

  test('one that no sink could take is passed over once its column, or its table, is excluded', async () => {
    const from = await source.executedSet();
    await source.run(
      `INSERT INTO t VALUES (2, REPEAT('w', ${WIDE}))`,
      `INSERT INTO x_t VALUES (3, REPEAT('w', ${WIDE}))`,
      "INSERT INTO t VALUES (4, 'narrow')",
    );
    expect(await ids(from, [`${source.database}.t.v`])).toEqual([2, 4]);
  });

  const opened: (() => void)[] = [];
  afterEach(() => {
    for (const close of opened.splice(0)) close();
  });

  /** A reader through a proxy, which counts what the server sends. */
  async function openReader(
    table: string,
    options: Partial<MySqlConnectionOptions> & { readonly maxRowBytes?: number } = {},
  ): Promise<{ reader: MySqlRowReader; layout: TableLayout; proxy: FaultProxy }> {
    const proxy = await FaultProxy.open(source.connection);
    const { maxRowBytes = 128 * MEBIBYTE, ...user } = options;
    const connection = { ...source.connection, host: proxy.host, port: proxy.port, ...user };
    const reader = new MySqlRowReader({ connection, includes: source.includes, maxRowBytes });
    opened.push(
      () => reader.close(),
      () => proxy.close(),
    );
    const layout = await reader.readLayout({ database: source.database, table }, signal);
    if (layout === null) throw new Error(`no table ${table}`);
    return { reader, layout, proxy };
  }

  /** Without a trace in the log: nobody streams it. */
  async function fill(table: string, rows: number, bytes: number): Promise<void> {
    const depth = source.isMariaDb ? 'max_recursive_iterations' : 'cte_max_recursion_depth';
    await source.run(
      'SET SESSION sql_log_bin = 0',
      `SET SESSION ${depth} = 100000`,
      `INSERT INTO ${table} WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
         SELECT i, REPEAT(CHAR(97 + i % 26), ${bytes}) FROM n`,
      'SET SESSION sql_log_bin = 1',
    );
  }

  const ROWS = 400;
  const ROW_BYTES = 100_000;

  describe('a read', () => {
    beforeAll(async () => {
      await source.run('CREATE TABLE many (id INT PRIMARY KEY, v LONGBLOB)', 'CREATE TABLE wide LIKE many');
      await fill('many', ROWS, ROW_BYTES);
      await fill('wide', 3, 17 * MEBIBYTE);
      // a server that has just come up can't be told from one that comes up during a read that is cut
      const { reader, layout } = await openReader('many');
      const request = { layout, after: null, limit: ROWS, maxBytes: MEBIBYTE, dispatchedSet: '', signal };
      await retry(() => reader.readChunk(request), { backoff: new Backoff({ initialMs: 100, maxMs: 100 }), signal });
    });

    function check(rows: readonly Row[], bytes: number): void {
      for (const [id, value] of rows) {
        const expected = Buffer.alloc(bytes, 97 + (Number(id) % 26));
        if (!expected.equals(value as Buffer)) throw new Error(`row ${String(id)} is not the one that was written`);
      }
    }

    test('ends with the last row before its bound, and leaves the rest on the server', async () => {
      const { reader, layout, proxy } = await openReader('many');
      const request = { layout, limit: ROWS, maxBytes: MEBIBYTE, dispatchedSet: '', signal };
      const first = await reader.readChunk({ ...request, after: null });
      const { length } = first.rows;
      expect(first.rows.map(([id]) => id)).toEqual(Array.from({ length }, (_, index) => index + 1));
      expect(first).toMatchObject({ lastKey: [length], complete: false });
      // a packet of the network more may have come, and with it the end of one row more
      expect([10, 11]).toContain(length);
      expect(first.bytes).toBeLessThan(MEBIBYTE + 128 * 1024);
      check(first.rows, ROW_BYTES);
      const second = await reader.readChunk({ ...request, after: first.lastKey });
      expect(second.rows[0]?.[0]).toBe(length + 1);
      expect(second.high).toBe(await source.executedSet());
      expect(proxy.receivedBytes.toClient).toBeLessThan(2 * UNDER_WAY_BYTES);
      // the server does not continue to work for the connections that were left
      const running = 'SELECT COUNT(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND info LIKE ?';
      const deadlineMs = performance.now() + MOST_WAIT_MS;
      const isRunning = async (): Promise<boolean> =>
        (await source.value(running, ['SELECT%FROM `%`.`many` ORDER%'])) !== '0';
      while ((await isRunning()) && performance.now() < deadlineMs);
      expect(await isRunning()).toBe(false);
    });

    test('of the whole table gives each row once, and the server sends little more than all of them', async () => {
      const { reader, layout, proxy } = await openReader('many');
      const seen: Row[] = [];
      let after: Row | null = null;
      for (let isComplete = false; !isComplete;) {
        const limit = 15;
        const request = { layout, after, limit, maxBytes: 2 * MEBIBYTE, dispatchedSet: '', signal };
        const read = await reader.readChunk(request);
        check(read.rows, ROW_BYTES);
        seen.push(...read.rows.map(([id = null]) => [id]));
        after = read.lastKey;
        isComplete = read.complete;
      }
      expect(seen).toEqual(Array.from({ length: ROWS }, (_, index) => [index + 1]));
      expect(proxy.receivedBytes.toClient).toBeLessThan(1.1 * ROWS * ROW_BYTES);
      expect(proxy.acceptedConnections).toBe(1);
    });

    test('of keys says which of them it gives no answer to', async () => {
      const { reader, layout, proxy } = await openReader('many');
      const keys = [5, 1, 399, 1000, 7, 100, 9, 11, 13].map((id) => rowOfKey(layout, [id]));
      const request = { layout, keys, dispatchedSet: '', signal };
      const some = await reader.readKeys({ ...request, maxBytes: 350_000 });
      expect([3, 4]).toContain(some.rows.length);
      expect(some.absent).toEqual([]);
      const answered = new Set(some.rows.map(([id]) => id));
      expect(some.unanswered).toEqual(keys.filter(([id]) => !answered.has(id)));
      const rest = await reader.readKeys({ ...request, keys: some.unanswered, maxBytes: 10 * MEBIBYTE });
      expect(rest).toMatchObject({ absent: [rowOfKey(layout, [1000])], unanswered: [] });
      expect(some.rows.length + rest.rows.length).toBe(keys.length - 1);
      expect(proxy.receivedBytes.toClient).toBeLessThan(UNDER_WAY_BYTES);
    });

    test('gives a row that is wider than a packet of the protocol alone, and refuses one that no sink could take', async () => {
      const { reader, layout } = await openReader('wide', { maxRowBytes: 20 * MEBIBYTE });
      const request = { layout, after: null, limit: 3, dispatchedSet: '', signal };
      const none = await reader.readChunk({ ...request, maxBytes: MEBIBYTE });
      // the rows themselves are more than the message of a failure can hold
      expect({ ...none, rows: none.rows.length }).toMatchObject({ rows: 0, lastKey: null, complete: false });
      const alone = await reader.readChunk({ ...request, limit: 1, maxBytes: reader.mostRowBytes });
      expect(alone).toMatchObject({ lastKey: [1], complete: false });
      check(alone.rows, 17 * MEBIBYTE);
      const narrow = await openReader('wide', { maxRowBytes: 16 * MEBIBYTE });
      const keys = [rowOfKey(layout, [2])];
      const reads = [
        () => narrow.reader.readChunk({ ...request, limit: 1 }),
        () => narrow.reader.readKeys({ layout, keys, dispatchedSet: '', signal }),
      ];
      for (const read of reads)
        await expect(read().then(({ rows }) => rows.length)).rejects.toMatchObject({
          code: 'DITTO_SOURCE_ROW_TOO_LARGE',
          retriable: false,
          message: expect.stringContaining(`${source.database}.wide`),
        });
    });

    test('I4: fails where another server answers what was executed when it had ended', async () => {
      const other = await TestSource.open('other', (await testStack()).url(name));
      const { user, password } = await source.createUser('REPLICATION CLIENT', 'SELECT');
      await other.run(`CREATE USER ${user} IDENTIFIED BY '${password}'`);
      const { reader, layout, proxy } = await openReader('many', { user, password });
      proxy.target = other.connection;
      const request = { layout, after: null, limit: ROWS, maxBytes: MEBIBYTE, dispatchedSet: '', signal };
      const error = await reader.readChunk(request).catch((cause: unknown) => cause);
      await other.run(`DROP USER ${user}`);
      await other.close();
      expect(error).toMatchObject({
        code: 'DITTO_SOURCE_CONNECTION_LOST',
        retriable: true,
        context: { server: expect.any(String), other: expect.stringContaining(`:${other.connection.port}/`) },
      });
    });
  });

  const NARROW = 80;
  const WIDE_ROWS = 14;
  const WIDE_BYTES = 15 * MEBIBYTE;
  /** One row as it comes from the network, as a packet, and as a value; each for the read and for the log; and garbage. */
  const MOST_GROWTH_BYTES = 200 * MEBIBYTE;

  test('rows of 1 KB that an UPDATE makes wide in the middle of their copy', async () => {
    await source.run('CREATE TABLE grows (id INT PRIMARY KEY, v LONGTEXT)');
    await fill('grows', 2 * NARROW, 1024);
    const range = `id > ${NARROW} AND id <= ${NARROW + WIDE_ROWS}`;
    const statement = `UPDATE grows SET v = REPEAT(CHAR(65 + id % 26), ${WIDE_BYTES}) WHERE ${range}`;
    const script = join(import.meta.dirname, 'copy-process.ts');
    const from = await source.executedSet();
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '--conditions=source',
        '--disable-warning=ExperimentalWarning',
        script,
        server.url,
        source.database,
        'grows',
        from,
        statement,
      ],
      // as services are run: glibc keeps what is freed otherwise
      { env: { ...process.env, ...allocatorSettings, NODE_OPTIONS: '' } },
    );
    const { digests, beforeBytes, peakBytes } = JSON.parse(stdout) as {
      readonly digests: Readonly<Record<string, string>>;
      readonly beforeBytes: number;
      readonly peakBytes: number;
    };
    const expected = Array.from({ length: 2 * NARROW }, (_, index) => {
      const id = index + 1;
      const isWide = id > NARROW && id <= NARROW + WIDE_ROWS;
      const value = isWide ? Buffer.alloc(WIDE_BYTES, 65 + (id % 26)) : Buffer.alloc(1024, 97 + (id % 26));
      return [String(id), createHash('sha1').update(value).digest('hex')];
    });
    expect(digests).toEqual(Object.fromEntries(expected));
    expect(peakBytes - beforeBytes).toBeLessThan(MOST_GROWTH_BYTES);
  });
});
