import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { MySqlChangeSource, type MySqlConnectionOptions } from '#mysql';
import { GtidSet } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { type SourceBatch, type SourceItem } from '#replication';
import { column, position, TestSource, type ReadItem } from './test-source.ts';

let source: TestSource;
/** Of the GTIDs of this test's session. */
let tag: string;
/** A user with just the grants that Ditto needs. */
let reader: MySqlConnectionOptions;

beforeAll(async () => {
  source = await TestSource.open('stream');
  await source.run('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100))', 'CREATE TABLE other (id INT PRIMARY KEY)');
  tag = await source.tagTransactions();
  reader = await source.createUser('REPLICATION SLAVE, REPLICATION CLIENT', 'SELECT');
});
afterAll(async () => {
  await source.close();
});

function kinds(items: readonly (ReadItem | SourceItem)[]): string[] {
  return items.map((item) =>
    item.type === 'rows' ? `${item.op} ${item.layout.table} #${item.firstRowIndex}` : item.type,
  );
}

async function stopOf(from: string): Promise<DittoError> {
  try {
    await source.readItems(from);
  } catch (error) {
    if (error instanceof DittoError) return error;
    throw error;
  }
  throw new Error('the stream did not stop');
}

describe('transactions', () => {
  test('come as begin, rows in log order with one running index, end', async () => {
    const from = await source.executedSet();
    await source.run(
      'BEGIN',
      "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
      'SAVEPOINT s',
      "UPDATE t SET v = 'x' WHERE id < 3",
      'RELEASE SAVEPOINT s',
      'DELETE FROM t WHERE id = 3',
      'COMMIT',
    );
    const items = await source.readItems(from);
    expect(kinds(items)).toEqual(['begin', 'create t #0', 'update t #3', 'delete t #5', 'end']);
    const update = items[2];
    if (update?.type !== 'rows') throw new Error('no rows');
    expect(update.before).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    expect(update.after).toEqual([
      [1, 'x'],
      [2, 'x'],
    ]);
  });

  test('carry GTID, place in the log and commit time', async () => {
    const from = GtidSet.parse(await source.executedSet());
    const file = await source.value('SHOW BINARY LOG STATUS');
    const before = Date.now() * 1000;
    await source.run("INSERT INTO t VALUES (10, 'a')");
    const [begin, , end] = await source.readItems(from.toString());
    if (begin?.type !== 'begin' || end?.type !== 'end') throw new Error('no transaction');
    const { transaction } = begin;
    const now = GtidSet.parse(await source.executedSet());
    expect(from.containsGtid(transaction.gtid ?? '')).toBe(false);
    expect(now.containsGtid(transaction.gtid ?? '')).toBe(true);
    expect(transaction.serverUuid).toBe(await source.value('SELECT @@server_uuid'));
    expect(transaction.file).toBe(file);
    expect(transaction.offset).toBeGreaterThan(4);
    expect(end.endOffset).toBeGreaterThan(transaction.offset);
    expect(transaction.commitMicros).toBeGreaterThan(before - 2_000_000);
    expect(transaction.commitMicros).toBeLessThan(Date.now() * 1000 + 2_000_000);
    expect(transaction.commitMicros % 1000).toBeGreaterThanOrEqual(0);
  });

  test('a tagged GTID keeps its tag', async () => {
    const from = await source.executedSet();
    await source.run("INSERT INTO t VALUES (11, 'a')");
    const [begin] = await source.readItems(from);
    const gtid: unknown = expect.stringMatching(new RegExp(`:${tag}:\\d+$`));
    expect(begin).toMatchObject({ type: 'begin', transaction: { gtid } });
  });

  test('rows of tables that are not included count in the row index and are not delivered', async () => {
    const from = await source.executedSet();
    await source.run('BEGIN', 'INSERT INTO other VALUES (1), (2)', "INSERT INTO t VALUES (20, 'a')", 'COMMIT');
    const selective = { includes: (database: string, table: string) => database === source.database && table === 't' };
    const items = await readWith(from, selective.includes);
    expect(kinds(items)).toEqual(['begin', 'create t #2', 'end']);
  });

  test('a transaction without included rows begins and ends', async () => {
    const from = await source.executedSet();
    await source.run('INSERT INTO other VALUES (30)');
    expect(kinds(await readWith(from, () => false))).toEqual(['begin', 'end']);
  });

  test('DDL is a transaction of one statement', async () => {
    const from = await source.executedSet();
    await source.run('TRUNCATE TABLE other');
    expect(await source.readItems(from)).toMatchObject([
      { type: 'begin' },
      { type: 'statement', database: source.database, sql: 'TRUNCATE TABLE other' },
      { type: 'end' },
    ]);
  });

  test.each([
    ['LATIN1_SWEDISH_CI', '', 'größe'],
    // its second byte is a backslash
    ['SJIS_JAPANESE_CI', '', '表'],
    ['UTF8MB4_0900_AI_CI', 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', 'größe'],
  ])('I6: a statement is read as its session wrote it: %s %s', async (charset, sqlMode, table) => {
    await source.run(`CREATE TABLE ${table} (id INT PRIMARY KEY)`);
    const session = await mysql.createConnection({ ...source.connection, database: source.database, charset });
    try {
      await session.query(`SET SESSION sql_mode = '${sqlMode}', gtid_next = 'AUTOMATIC:${tag}'`);
      const from = await source.executedSet();
      await session.query(`TRUNCATE \`${table}\``);
      expect((await source.readItems(from)).filter((item) => item.type === 'statement')).toMatchObject([
        {
          sql: `TRUNCATE \`${table}\``,
          sqlMode: { hasAnsiQuotes: sqlMode !== '', hasEscapes: sqlMode === '' },
        },
      ]);
    } finally {
      await session.end();
      await source.run(`DROP TABLE ${table}`);
    }
  });

  test('rows keep the layout that they were written with', async () => {
    const from = await source.executedSet();
    await source.run(
      'CREATE TABLE changing (id INT PRIMARY KEY, a INT)',
      'INSERT INTO changing VALUES (1, 2)',
      'ALTER TABLE changing ADD COLUMN b VARCHAR(10) FIRST, CHANGE a c BIGINT',
      "INSERT INTO changing VALUES ('b', 2, 9007199254740993)",
      'DROP TABLE changing',
    );
    const rows = await source.readRows(from);
    expect(rows.map(({ layout, after }) => [layout.columns.map(({ name }) => name), after?.[0]])).toEqual([
      [
        ['id', 'a'],
        [1, 2],
      ],
      [
        ['b', 'id', 'c'],
        ['b', 2, 9007199254740993n],
      ],
    ]);
  });

  test('composite keys come in key order, configured keys serve tables without one', async () => {
    const from = await source.executedSet();
    await source.run(
      'CREATE TABLE composite (a INT, b VARCHAR(10), c INT, PRIMARY KEY (c, b(3)))',
      "INSERT INTO composite VALUES (1, 'b', 3)",
      'CREATE TABLE keyless (a INT NOT NULL, b INT NOT NULL)',
      'INSERT INTO keyless VALUES (1, 2)',
    );
    const items = await source.readItems(from, source.source({ [`${source.database}.keyless`]: ['b'] }));
    const keys = items.flatMap((item) => (item.type === 'rows' ? [item.layout.key] : []));
    expect(keys).toEqual([[2, 1], [1]]);
  });

  test('CREATE TABLE … SELECT is one transaction of the statement and its rows', async () => {
    const from = await source.executedSet();
    await source.run('CREATE TABLE copied (PRIMARY KEY (id)) SELECT 1 AS id');
    expect(kinds(await source.readItems(from))).toEqual(['begin', 'statement', 'create copied #0', 'end']);
  });

  test('rows deleted by a cascade are in the log of this version', async () => {
    await source.run(
      'CREATE TABLE parent (id INT PRIMARY KEY)',
      'CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)',
      'INSERT INTO parent VALUES (1)',
      'INSERT INTO child VALUES (1, 1), (2, 1)',
    );
    const from = await source.executedSet();
    await source.run('DELETE FROM parent');
    const deleted = (await source.readRows(from)).map(({ op, layout, before }) => [op, layout.table, before?.length]);
    expect(deleted).toEqual([
      ['delete', 'child', 2],
      ['delete', 'parent', 1],
    ]);
  });

  test('a row larger than one network packet is read whole', async () => {
    await source.run('CREATE TABLE large (id INT PRIMARY KEY, v LONGBLOB)');
    const from = await source.executedSet();
    // sizes around the bound of 2^24 - 1 bytes, where the protocol splits a packet
    const lengths = [2 ** 24 - 60, 2 ** 24 + 5, 2 ** 25];
    for (const [id, length] of lengths.entries()) {
      await source.run(`INSERT INTO large VALUES (${id}, REPEAT(X'ab', ${length}))`);
    }
    const values = (await source.readRows(from)).flatMap(({ after }) => (after ?? []).map((row) => row[1] as Buffer));
    expect(values.map(({ length }) => length)).toEqual(lengths);
    for (const value of values) expect(value.every((byte) => byte === 0xab)).toBe(true);
  }, 30_000);

  test('files with and without checksums are read, whatever the server writes now', async () => {
    const from = await source.executedSet();
    try {
      await source.run(
        "INSERT INTO t VALUES (40, 'a')",
        'SET GLOBAL binlog_checksum = NONE',
        "INSERT INTO t VALUES (41, 'b')",
      );
      const withNone = await source.readRows(from);
      const middle = await source.executedSet();
      await source.run("INSERT INTO t VALUES (42, 'c')");
      const [begin] = await source.readItems(middle);
      await source.run('SET GLOBAL binlog_checksum = CRC32', "INSERT INTO t VALUES (43, 'd')");
      const withCrc = await source.readRows(from);
      expect(withNone.map(({ after }) => after?.[0])).toEqual([
        [40, 'a'],
        [41, 'b'],
      ]);
      // the rotate event that names the first file has a checksum all the same
      expect(begin).toMatchObject({ transaction: { file: expect.stringMatching(/^binlog\.\d+$/) } });
      expect(withCrc.map(({ after }) => after?.[0])).toEqual([
        [40, 'a'],
        [41, 'b'],
        [42, 'c'],
        [43, 'd'],
      ]);
    } finally {
      await source.run('SET GLOBAL binlog_checksum = CRC32');
    }
  });

  test('generated, invisible and functionally indexed columns come as MySQL stores them', async () => {
    const from = await source.executedSet();
    await source.run(
      `CREATE TABLE special (id INT PRIMARY KEY, virt INT AS (id * 2) VIRTUAL, kept INT AS (id * 3) STORED,
         hidden INT INVISIBLE DEFAULT 7, j JSON, INDEX f ((id + 1)), INDEX m ((CAST(j AS UNSIGNED ARRAY))))`,
      "INSERT INTO special (id, j) VALUES (5, '[1, 2]')",
    );
    const [rows] = await source.readRows(from);
    if (rows === undefined) throw new Error('no rows');
    const row = rows.after?.[0] ?? [];
    expect(rows.layout.columns.map(({ name }) => name)).toEqual(['id', 'virt', 'kept', 'hidden', 'j']);
    expect(column(rows.layout, row, 'virt')).toBe(10);
    expect(row).toEqual([5, 10, 15, 7, '[1, 2]']);
  });
});

async function readWith(from: string, includes: (database: string, table: string) => boolean): Promise<ReadItem[]> {
  return source.readItems(from, source.source(), includes);
}

describe('I1: resuming', () => {
  test('after any transaction delivers exactly what follows it', async () => {
    const from = await source.executedSet();
    const sets: string[] = [];
    for (let id = 100; id < 106; id++) {
      await source.run(`INSERT INTO t VALUES (${id}, 'resume')`);
      sets.push(await source.executedSet());
    }
    const ids = (items: readonly ReadItem[]): unknown[] =>
      items.flatMap((item) => (item.type === 'rows' ? (item.after ?? []).map((row) => row[0]) : []));
    expect(ids(await source.readItems(from))).toEqual([100, 101, 102, 103, 104, 105]);
    expect(ids(await source.readItems(sets[2] ?? ''))).toEqual([103, 104, 105]);
    expect(ids(await source.readItems(sets[5] ?? ''))).toEqual([]);
  });

  test('places are the same after a resume in the middle of a file', async () => {
    const from = await source.executedSet();
    await source.run("INSERT INTO t VALUES (110, 'a')");
    const middle = await source.executedSet();
    await source.run("INSERT INTO t VALUES (111, 'a')");
    const all = await source.readItems(from);
    const rest = await source.readItems(middle);
    expect(rest[0]).toEqual(all[3]);
    expect(rest.at(-1)).toEqual(all.at(-1));
  });

  test('a log rotation is crossed', async () => {
    const from = await source.executedSet();
    await source.run("INSERT INTO t VALUES (120, 'a')", 'FLUSH BINARY LOGS', "INSERT INTO t VALUES (121, 'a')");
    const begins = (await source.readItems(from)).flatMap((item) => (item.type === 'begin' ? [item.transaction] : []));
    expect(begins).toHaveLength(2);
    expect(begins[0]?.file).not.toBe(begins[1]?.file);
    expect(begins[1]?.offset).toBeLessThan(100_000);
  });

  test('a position of another cluster is refused with the missing GTIDs', async () => {
    const foreign = '11111111-2222-3333-4444-555555555555:1-5';
    const error = await stopOf(foreign);
    expect(error).toMatchObject({
      code: 'DITTO_SOURCE_GTIDS_MISSING',
      retriable: false,
      context: { missing: foreign },
    });
  });
});

describe('I9: back-pressure', () => {
  test('a slow consumer holds the reader within its bound, and gets everything', async () => {
    const from = await source.executedSet();
    const rows = 40_000;
    await source.run(
      'SET SESSION cte_max_recursion_depth = 1000000',
      `INSERT INTO t SELECT * FROM (WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < ${999 + rows})
         SELECT i, REPEAT('x', 100) FROM n) AS numbers`,
    );
    const maxQueuedBytes = 512 * 1024;
    const abort = new AbortController();
    let received = 0;
    let largest = 0;
    const stream = source
      .source({}, maxQueuedBytes)
      .stream({ from: position(from), includes: source.includes, signal: abort.signal });
    for await (const batch of stream) {
      await new Promise((resolve) => setImmediate(resolve));
      largest = Math.max(largest, batch.bytes);
      received += countRows(batch);
      if (received >= rows) break;
    }
    expect(received).toBe(rows);
    expect(largest).toBeLessThan(2 * maxQueuedBytes);
  }, 30_000);
});

function countRows(batch: SourceBatch): number {
  return batch.items.reduce((count, item) => count + (item.type === 'rows' ? (item.after?.count ?? 0) : 0), 0);
}

describe('I6: the stream stops rather than lose a change', () => {
  const cases: readonly (readonly [code: string, statements: readonly string[], undo: readonly string[]])[] = [
    [
      'DITTO_SOURCE_ROW_IMAGE',
      ['SET SESSION binlog_row_image = MINIMAL', "UPDATE t SET v = 'minimal' WHERE id = 1"],
      ['SET SESSION binlog_row_image = FULL'],
    ],
    [
      'DITTO_SOURCE_STATEMENT_EVENT',
      ['SET SESSION binlog_format = STATEMENT', "UPDATE t SET v = 'statement' WHERE id = 1"],
      ['SET SESSION binlog_format = ROW'],
    ],
  ];

  test.each(cases)('%s', async (code, statements, undo) => {
    const from = await source.executedSet();
    try {
      await source.run(...statements);
    } finally {
      await source.run(...undo);
    }
    const error = await stopOf(from);
    expect(error.code).toBe(code);
    expect(error.retriable).toBe(false);
    expect(error.remedy).not.toBeNull();
    expect(error.context).toMatchObject({
      file: expect.any(String),
      offset: expect.any(Number),
      gtid: expect.any(String),
    });
  });
});

function readerSource(): MySqlChangeSource {
  // the server notices the end of a quiet reader at its next heartbeat
  return new MySqlChangeSource({ connection: reader, logger: silentLogger, heartbeatMs: 250 });
}

async function consume(stream: AsyncIterable<SourceBatch>): Promise<number> {
  let batches = 0;
  for await (const batch of stream) if (batch.items.length > 0) batches++;
  return batches;
}

describe('connection', () => {
  test('aborting ends the sequence while a server that says nothing is connected to', async () => {
    const silent = createServer();
    const connected = once(silent, 'connection');
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    try {
      const abort = new AbortController();
      const connection = { ...reader, host: '127.0.0.1', port: (silent.address() as AddressInfo).port };
      const next = new MySqlChangeSource({ connection, logger: silentLogger })
        .stream({ from: position(''), includes: source.includes, signal: abort.signal })
        .next();
      const [socket] = (await connected) as [Socket];
      const closed = once(socket.on('error', () => undefined).resume(), 'close');
      abort.abort();
      expect(await next).toMatchObject({ done: true });
      await closed;
    } finally {
      silent.close();
    }
  });

  test('aborting ends the sequence without an error and leaves no connection', async () => {
    const abort = new AbortController();
    const from = position(await source.executedSet());
    const reading = (async () => {
      const batches: SourceBatch[] = [];
      for await (const batch of readerSource().stream({ from, includes: source.includes, signal: abort.signal }))
        batches.push(batch);
      return batches;
    })();
    await waitForDumps(1);
    abort.abort();
    await reading;
    await waitForDumps(0);
  });

  test('a killed connection is a retriable error', async () => {
    const from = position(await source.executedSet());
    const abort = new AbortController();
    const reading = consume(readerSource().stream({ from, includes: source.includes, signal: abort.signal }));
    const outcome = expect(reading).rejects.toMatchObject({ code: 'DITTO_SOURCE_CONNECTION_LOST', retriable: true });
    const [dump] = await waitForDumps(1);
    await source.run(`KILL ${dump ?? 0}`);
    await outcome;
  });

  test('heartbeats keep a quiet stream alive', async () => {
    const quiet = new MySqlChangeSource({
      connection: source.connection,
      logger: silentLogger,
      heartbeatMs: 100,
      silenceMs: 400,
    });
    const from = position(await source.executedSet());
    const abort = new AbortController();
    const timer = setTimeout(() => {
      abort.abort();
    }, 1500);
    const stream = quiet.stream({ from, includes: source.includes, signal: abort.signal });
    await consume(stream);
    clearTimeout(timer);
    expect(abort.signal.aborted).toBe(true);
  });

  test('a server that says nothing is noticed', async () => {
    const silent = new MySqlChangeSource({
      connection: source.connection,
      logger: silentLogger,
      heartbeatMs: 60_000,
      silenceMs: 300,
    });
    const from = position(await source.executedSet());
    const reading = (async () => {
      const { signal } = new AbortController();
      await consume(silent.stream({ from, includes: source.includes, signal }));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'DITTO_SOURCE_SILENT', retriable: true });
  });

  test('a wrong password is not retriable, an unreachable server is', async () => {
    const read = async (connection: typeof source.connection): Promise<void> => {
      const broken = new MySqlChangeSource({ connection, logger: silentLogger });
      const { signal } = new AbortController();
      await consume(broken.stream({ from: position(''), includes: source.includes, signal }));
    };
    await expect(read({ ...source.connection, password: 'wrong' })).rejects.toMatchObject({
      code: 'DITTO_SOURCE_ACCESS_DENIED',
      retriable: false,
    });
    await expect(read({ ...source.connection, port: 1 })).rejects.toMatchObject({
      code: 'DITTO_SOURCE_UNREACHABLE',
      retriable: true,
    });
  });
});

/** Ids of the dumps that `reader` runs; others read the same server. */
async function waitForDumps(count: number): Promise<number[]> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const [rows] = await source.admin.query<RowDataPacket[]>(
      "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%' AND USER = ?",
      [reader.user],
    );
    if (rows.length === count) return rows.map((row) => Number(row['id']));
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`there were never ${count} dumps`);
}
