import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MySqlChangeSource, MySqlEndpoint, MySqlRowReader, toSourceError } from '#mysql';
import { type DittoError, silentLogger } from '#kernel';
import { GtidSet } from '#change-events';
import { type SourceItem } from '#replication';
import { OwnServer } from '#testing';
import { DumpConnection } from '../src/binlog/dump-connection.ts';
import { makeReplicaIdentity } from '../src/binlog/replica-identity.ts';
import { column, position, type ReadItem, TestSource } from './test-source.ts';

let server: OwnServer;
let source: TestSource;

beforeAll(async () => {
  server = await OwnServer.start('mariadb');
  source = await TestSource.open('stream', server.url);
}, 300_000);
afterAll(async () => {
  await source.close();
  await server.end();
});

function kinds(items: readonly ReadItem[]): string[] {
  return items.map((item) => {
    if (item.type === 'rows') return `${item.op} ${item.layout.table} #${item.firstRowIndex}`;
    return item.type === 'statement' ? item.sql.replace(/\s+/g, ' ').slice(0, 30) : item.type;
  });
}

function gtids(items: readonly ReadItem[]): string[] {
  return items.flatMap((item) => (item.type === 'begin' ? [item.transaction.gtid ?? ''] : []));
}

async function failure(work: Promise<unknown>): Promise<DittoError> {
  return work.then(
    () => {
      throw new Error('nothing failed');
    },
    (error: unknown) => error as DittoError,
  );
}

/** Statements in a transaction or a session of their own, which ends whatever they do. */
async function inSession(...statements: readonly string[]): Promise<void> {
  const other = await TestSource.open('session', server.url);
  try {
    await other.run(`USE ${source.database}`, ...statements);
  } finally {
    await other.close();
  }
}

describe('transactions', () => {
  test('rows in log order, with GTID, place and commit time', async () => {
    await source.run('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))');
    const from = await source.executedSet();
    await source.run(
      "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
      'START TRANSACTION',
      "UPDATE t SET v = 'c' WHERE id = 1",
      'SAVEPOINT s',
      'DELETE FROM t WHERE id = 2',
      'ROLLBACK TO s',
      "INSERT INTO t VALUES (3, 'd')",
      'COMMIT',
    );
    const until = GtidSet.parse(await source.executedSet());
    const items = await source.readItems(from);
    expect(kinds(items)).toEqual(['begin', 'create t #0', 'end', 'begin', 'update t #0', 'create t #1', 'end']);
    const begins = items.flatMap((item) => (item.type === 'begin' ? [item.transaction] : []));
    const [first, second] = begins;
    if (first === undefined || second === undefined) throw new Error('no transactions');
    expect(
      GtidSet.parse(from)
        .union(GtidSet.parse(second.gtid ?? ''))
        .equals(until),
    ).toBe(true);
    expect(first).toMatchObject({ serverId: 4, preparedGtid: null });
    expect(first.gtid).toMatch(/^0-4-\d+$/);
    expect(first.serverUuid).toMatch(/^mariadb-4-.+/);
    expect(first.file).toMatch(/^binlog\.\d{6}$/);
    expect(second.offset).toBeGreaterThan(first.offset);
    expect(Math.abs(first.commitMicros / 1000 - Date.now())).toBeLessThan(60_000);
    const ends = items.flatMap((item) => (item.type === 'end' ? [item.endOffset] : []));
    expect(ends[0]).toBe(second.offset);
    const update = items.find((item) => item.type === 'rows' && item.op === 'update');
    if (update?.type !== 'rows') throw new Error('no update');
    expect([update.before, update.after]).toEqual([[[1, 'a']], [[1, 'c']]]);
  });

  test('I1: continuing after any transaction gives exactly what follows, in several domains', async () => {
    await source.run('CREATE TABLE d (id INT PRIMARY KEY)');
    const from = await source.executedSet();
    for (let i = 0; i < 6; i++)
      await source.run(`SET SESSION gtid_domain_id = ${i % 3}`, `INSERT INTO d VALUES (${i})`, 'FLUSH BINARY LOGS');
    await source.run('SET SESSION gtid_domain_id = 0');
    const all = gtids(await source.readItems(from));
    expect(all).toHaveLength(6);
    expect(new Set(all.map((gtid) => gtid.split('-')[0]))).toEqual(new Set(['0', '1', '2']));
    let known = GtidSet.parse(from);
    for (const [i, gtid] of all.entries()) {
      known = known.union(GtidSet.parse(gtid));
      expect(gtids(await source.readItems(known.toString()))).toEqual(all.slice(i + 1));
    }
  });

  test('a statement is a transaction; CREATE … SELECT is one with its rows', async () => {
    const from = await source.executedSet();
    await source.run(
      'CREATE TABLE s (id INT PRIMARY KEY)',
      'CREATE TABLE c (PRIMARY KEY (id)) SELECT 7 AS id',
      'TRUNCATE TABLE s',
      'DROP TABLE s',
    );
    expect(kinds(await source.readItems(from))).toEqual([
      ...['begin', 'CREATE TABLE s (id INT PRIMARY', 'end'],
      ...['begin', 'CREATE TABLE `c` ( `id` int(1)', 'create c #0', 'end'],
      ...['begin', 'TRUNCATE TABLE s', 'end'],
      ...['begin', expect.stringMatching(/^DROP TABLE `?s/), 'end'],
    ]);
  });

  test('compressed events are as plain ones, in either version of rows', async () => {
    await source.run('CREATE TABLE z (id INT PRIMARY KEY, v LONGTEXT)', 'SET GLOBAL log_bin_compress = 1');
    const from = await source.executedSet();
    await source.run(
      "INSERT INTO z VALUES (1, REPEAT('x', 1000)), (2, REPEAT('é', 70000))",
      "UPDATE z SET v = CONCAT(v, 'y')",
      'DELETE FROM z',
      `ALTER TABLE z COMMENT '${'long '.repeat(100)}'`,
      'SET GLOBAL log_bin_compress = 0',
    );
    const items = await source.readItems(from);
    expect(kinds(items).at(-2)).toBe("ALTER TABLE z COMMENT 'long lo");
    const valuesOf = (op: string, image: 'before' | 'after'): unknown[] =>
      items.flatMap((item) => (item.type === 'rows' && item.op === op ? (item[image] ?? []) : []));
    const rows = [
      [1, 'x'.repeat(1000)],
      [2, 'é'.repeat(70000)],
    ];
    const longer = rows.map(([id, v]) => [id, `${v}y`]);
    expect(valuesOf('create', 'after')).toEqual(rows);
    expect([valuesOf('update', 'before'), valuesOf('update', 'after')]).toEqual([rows, longer]);
    expect(valuesOf('delete', 'before')).toEqual(longer);
  });

  test('XA: rows come with the commit, under its coordinates; rolled back ones never', async () => {
    const other = await source.connect();
    const xa = async (...statements: readonly string[]): Promise<void> => {
      for (const statement of statements) await other.query(statement);
    };
    const from = await source.executedSet();
    await xa("XA START 'one'", "INSERT INTO t VALUES (200, 'x')", "XA END 'one'", "XA COMMIT 'one' ONE PHASE");
    await xa("XA START 'two'", "INSERT INTO t VALUES (201, 'x')", "XA END 'two'", "XA PREPARE 'two'");
    await source.run("INSERT INTO t VALUES (202, 'between')", 'SET GLOBAL log_bin_compress = 1');
    await xa("XA COMMIT 'two'");
    await xa(
      "XA START 'no'",
      `INSERT INTO t VALUES (203, 'x'), (204, REPEAT('y', 20))`,
      "XA END 'no'",
      "XA PREPARE 'no'",
    );
    await xa("XA ROLLBACK 'no'");
    await xa("XA START 'big'", `INSERT INTO z VALUES (205, REPEAT('z', 2000))`, "XA END 'big'", "XA PREPARE 'big'");
    await xa("XA COMMIT 'big'");
    await source.run('SET GLOBAL log_bin_compress = 0');
    await other.end();
    const items = await source.readItems(from);
    const rows = items.flatMap((item) => (item.type === 'rows' ? (item.after ?? []).map(([id]) => id) : []));
    expect(rows).toEqual([200, 202, 201, 205]);
    const begins = items.flatMap((item) => (item.type === 'begin' ? [item.transaction] : []));
    expect(begins.filter(({ preparedGtid }) => preparedGtid !== null)).toHaveLength(3);
    const sequences = begins.map(({ gtid }) => Number(gtid?.split('-')[2]));
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
  });

  test('with and without checksums', async () => {
    for (const checksum of ['NONE', 'CRC32']) {
      await source.run(`SET GLOBAL binlog_checksum = ${checksum}`);
      const from = await source.executedSet();
      await source.run("INSERT INTO t VALUES (100, 'x')", 'DELETE FROM t WHERE id = 100');
      expect(kinds(await source.readItems(from))).toEqual([
        ...['begin', 'create t #0', 'end'],
        ...['begin', 'delete t #0', 'end'],
      ]);
    }
  });

  test('the key is the same for the log and the catalogue, with and without a primary key', async () => {
    const from = await source.executedSet();
    const keys = [
      'PRIMARY KEY (b, a)',
      'UNIQUE u (a)',
      'UNIQUE n (c), UNIQUE z (b), UNIQUE y (a)',
      'UNIQUE p (d(2)), UNIQUE w (b, a)',
      'UNIQUE n (c)',
      'KEY (a)',
    ];
    for (const [i, key] of keys.entries())
      await source.run(
        `CREATE TABLE key${i} (a INT NOT NULL, b INT NOT NULL, c INT, d VARCHAR(9) NOT NULL, ${key})`,
        `INSERT INTO key${i} VALUES (1, 2, 3, 'x')`,
      );
    const streamed = (await source.readRows(from)).map(({ layout }) => layout.fingerprint);
    const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
    const listed = await reader.listTables(new AbortController().signal, await source.executedSet());
    reader.close();
    expect(listed.filter(({ table }) => table.startsWith('key')).map(({ fingerprint }) => fingerprint)).toEqual(
      streamed,
    );
    expect(streamed).toHaveLength(keys.length);
  });

  test.each([
    [
      'each with its own',
      'a TEXT CHARACTER SET latin1, g POINT, b TEXT CHARACTER SET utf8mb4, c TEXT CHARACTER SET latin2',
    ],
    [
      'most with one',
      'a TEXT CHARACTER SET utf8mb4, b TEXT CHARACTER SET utf8mb4, g POINT, h GEOMETRY, c TEXT CHARACTER SET latin2, d TEXT CHARACTER SET utf8mb4',
    ],
  ])('texts beside geometries keep their character sets: %s', async (_, columns) => {
    await source.run(`CREATE OR REPLACE TABLE mixed (id INT PRIMARY KEY, ${columns})`);
    const from = await source.executedSet();
    await source.run("INSERT INTO mixed (id, a, b, c, g) VALUES (1, 'é', 'ł', 'ł', POINT(1, 2))");
    const [streamed] = await source.readRows(from);
    const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
    const listed = await reader.listTables(new AbortController().signal, await source.executedSet());
    reader.close();
    expect(listed.find(({ table }) => table === 'mixed')?.fingerprint).toBe(streamed?.layout.fingerprint);
    const names = streamed?.layout.columns.map(({ name }) => name) ?? [];
    expect(['a', 'b', 'c'].map((name) => streamed?.after?.[0]?.[names.indexOf(name)])).toEqual(['é', 'ł', 'ł']);
  });

  test('a sequence is no table', async () => {
    const from = await source.executedSet();
    await source.run('CREATE SEQUENCE sq', 'SELECT NEXTVAL(sq)', 'SELECT NEXTVAL(sq)', 'DROP SEQUENCE sq');
    expect((await source.readItems(from)).filter((item) => item.type === 'rows')).toEqual([]);
  });

  test('rows of tables that are not included are counted, whatever their types', async () => {
    await source.run(
      `CREATE TABLE odd (id INT PRIMARY KEY, u UUID, i INET6, c VARCHAR(100) COMPRESSED, b BLOB COMPRESSED,
                         g GEOMETRY, t TIMESTAMP(3) NULL)`,
      'CREATE TABLE plain (id INT PRIMARY KEY)',
    );
    const from = await source.executedSet();
    await source.run(
      'START TRANSACTION',
      "INSERT INTO odd VALUES (1, UUID(), '::1', REPEAT('a', 90), REPEAT('b', 999), POINT(1, 2), NOW()), (2, UUID(), '1::', '', '', NULL, NULL)",
      'INSERT INTO plain VALUES (1)',
      'COMMIT',
    );
    const seen: SourceItem[] = [];
    const stream = source.source().stream({
      from: position(from),
      includes: (database, table) => database === source.database && table === 'plain',
      signal: new AbortController().signal,
    });
    for await (const { items } of stream) {
      seen.push(...items);
      if (items.some(({ type }) => type === 'end')) break;
    }
    expect(seen.find(({ type }) => type === 'rows')).toMatchObject({ op: 'create', firstRowIndex: 2 });
  });
});

describe('stops', () => {
  /** What the stream says of a log with these statements. */
  async function stopOf(...statements: readonly string[]): Promise<DittoError> {
    const from = await source.executedSet();
    await inSession(...statements);
    return failure(source.readItems(from));
  }

  test.each([
    [
      'statement format',
      'DITTO_SOURCE_STATEMENT_EVENT',
      ["SET SESSION binlog_format = 'STATEMENT'", "UPDATE t SET v = 'statement'"],
    ],
    [
      'minimal images',
      'DITTO_SOURCE_ROW_IMAGE',
      ["SET SESSION binlog_row_image = 'MINIMAL'", "UPDATE t SET v = 'minimal'"],
    ],
    [
      'compressed columns',
      'DITTO_SOURCE_COLUMN_UNSUPPORTED',
      [
        'CREATE TABLE cc (id INT PRIMARY KEY, v VARCHAR(10) COMPRESSED)',
        "INSERT INTO cc VALUES (1, 'x')",
        'DROP TABLE cc',
      ],
    ],
  ])('%s: %s', async (_name, code, statements) => {
    const error = await stopOf(...statements);
    expect(error).toMatchObject({ code, retriable: false });
    expect(error.remedy).not.toContain('SET PERSIST');
  });

  test('XA: what was prepared before the start of the stream, with others after it', async () => {
    const other = await source.connect();
    const xid = `'${source.database}old'`;
    for (const statement of [
      `XA START ${xid}`,
      "INSERT INTO t VALUES (300, 'x')",
      `XA END ${xid}`,
      `XA PREPARE ${xid}`,
    ])
      await other.query(statement);
    await source.run("INSERT INTO t VALUES (301, 'behind')");
    const from = await source.executedSet();
    await other.query(`XA COMMIT ${xid}`);
    await other.end();
    expect(await failure(source.readItems(from))).toMatchObject({ code: 'DITTO_SOURCE_XA_UNKNOWN', retriable: false });
  });

  test('minimal metadata', async () => {
    await source.run('CREATE TABLE mm (id INT PRIMARY KEY)', "SET GLOBAL binlog_row_metadata = 'MINIMAL'");
    const error = await stopOf('INSERT INTO mm VALUES (1)');
    await source.run("SET GLOBAL binlog_row_metadata = 'FULL'");
    expect(error.code).toBe('DITTO_SOURCE_METADATA_MINIMAL');
  });

  test('without strict order of GTIDs nothing is read, but by file and offset', async () => {
    const inspection = await new MySqlEndpoint(source.connection).inspect(new AbortController().signal);
    const from = { gtidSet: null, ...(await source.logEnd()), serverUuid: inspection.serverUuid };
    await source.run('CREATE TABLE placed (id INT PRIMARY KEY)', 'INSERT INTO placed VALUES (1)', 'FLUSH BINARY LOGS');
    await source.run('INSERT INTO placed VALUES (2)', 'SET GLOBAL gtid_strict_mode = 0');
    try {
      expect((await failure(source.readItems(await source.executedSet()))).code).toBe('DITTO_SOURCE_GTID_MODE');
      const items = await source.readItems(from);
      const created = kinds(items).map((kind) => kind.slice(0, 20));
      expect(created).toEqual([
        ...['begin', 'CREATE TABLE placed ', 'end'],
        ...['begin', 'create placed #0', 'end', 'begin', 'create placed #0', 'end'],
      ]);
      expect(gtids(items).every((gtid) => /^0-\d+-\d+$/.test(gtid))).toBe(true);
      const end = items[5];
      if (end?.type !== 'end') throw new Error('no end');
      expect(await source.readItems({ ...from, file: end.file, offset: end.endOffset })).toEqual(items.slice(6));
      expect(await failure(source.readItems({ ...from, offset: from.offset + 7 }))).toMatchObject({
        code: 'DITTO_SOURCE_PLACE_INVALID',
      });
      expect(await failure(source.readItems({ ...from, serverUuid: 'mariadb-1-x' }))).toMatchObject({
        code: 'DITTO_SOURCE_OTHER_SERVER',
      });
    } finally {
      await source.run('SET GLOBAL gtid_strict_mode = 1');
    }
  });

  test('a set of MySQL', async () => {
    expect(await failure(source.readItems('3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5'))).toMatchObject({
      code: 'DITTO_POSITION_GTID_MIXED',
    });
  });

  test.each(['0-4-9999999', '9-4-1', '0-5-1'])('I7: %s was never executed', async (gtid) => {
    expect(await failure(source.readItems(gtid))).toMatchObject({
      code: 'DITTO_SOURCE_GTIDS_MISSING',
      context: { missing: gtid },
    });
  });

  test('a second reader with one server id ends the first', async () => {
    const make = (): MySqlChangeSource =>
      new MySqlChangeSource({ connection: source.connection, logger: silentLogger, replicaId: 4711 });
    const from = position(await source.executedSet());
    const read = async (reader: MySqlChangeSource, signal: AbortSignal): Promise<void> => {
      for await (const batch of reader.stream({ from, includes: source.includes, signal }))
        expect(batch.bytes).toBeGreaterThan(0);
    };
    const done = new AbortController();
    const first = failure(read(make(), done.signal));
    await waitForDump();
    const second = read(make(), done.signal);
    const error = await first;
    done.abort();
    await second;
    expect(error.code).toBe('DITTO_SOURCE_REPLICA_ID_TAKEN');
  });

  test('purged transactions', async () => {
    const from = await source.executedSet();
    await source.run("INSERT INTO t VALUES (400, 'x')", 'FLUSH BINARY LOGS');
    const last = await source.value('SHOW MASTER STATUS');
    // a dump that ended keeps its file until the server notices
    while ((await source.value('SHOW BINARY LOGS')) !== last) await source.run(`PURGE BINARY LOGS TO '${last}'`);
    const executed = GtidSet.parse(await source.executedSet());
    const error = await failure(source.readItems(from));
    expect(error).toMatchObject({ code: 'DITTO_SOURCE_PURGED', retriable: false });
    expect(error.context['missing']).toBe(executed.subtract(GtidSet.parse(from)).toString());
    expect(await source.readItems(await source.executedSet())).toEqual([]);
  });
});

async function waitForDump(): Promise<void> {
  for (;;) {
    const found = await source.value(
      `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'`,
    );
    if (Number(found) > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('what the server itself says to a dump', () => {
  /** The error of a dump that starts where it can't. */
  async function refusal(mariaDbGtids: string): Promise<DittoError> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const dump = new DumpConnection({
      connection: source.connection,
      start: { mariaDbGtids },
      replica: makeReplicaIdentity(undefined),
      heartbeatMs: 1000,
      listener: { onStart: () => undefined, onEvent: () => undefined, onError: resolve },
    });
    dump.start();
    const error = toSourceError(await promise, 'reading') as DittoError;
    dump.stop();
    return error;
  }

  test.each([
    ['a GTID that it never had', '0-4-9999999', 'DITTO_SOURCE_GTIDS_MISSING'],
    ['a GTID of another server', '0-77-3', 'DITTO_SOURCE_GTIDS_MISSING'],
    ['a GTID whose successors are purged', '0-4-1', 'DITTO_SOURCE_PURGED'],
    ['the beginning, which is purged', '', 'DITTO_SOURCE_PURGED'],
  ])('%s', async (_name, gtids, code) => {
    const error = await refusal(gtids);
    expect(error).toMatchObject({ code, retriable: false });
  });
});

describe('connection', () => {
  test('an idle stream lives by heartbeats', async () => {
    const quiet = new MySqlChangeSource({
      connection: source.connection,
      logger: silentLogger,
      heartbeatMs: 200,
      silenceMs: 500,
    });
    const from = await source.executedSet();
    const stream = quiet.stream({
      from: position(from),
      includes: source.includes,
      signal: new AbortController().signal,
    });
    const next = stream[Symbol.asyncIterator]().next();
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await source.run("INSERT INTO t VALUES (500, 'x')");
    expect((await next).done).toBe(false);
    await stream.return();
  });

  test('I1: a killed server ends the stream with a retriable error; continuing loses and repeats nothing', async () => {
    await source.run('CREATE TABLE k (id INT PRIMARY KEY)');
    const from = await source.executedSet();
    await source.run('INSERT INTO k VALUES (1)');
    const ids: unknown[] = [];
    let known = GtidSet.parse(from);
    const read = async (position_: string, until: number): Promise<void> => {
      const stream = source.source().stream({
        from: position(position_),
        includes: source.includes,
        signal: new AbortController().signal,
      });
      for await (const { items } of stream)
        for (const item of items) {
          if (item.type === 'begin') known = known.union(GtidSet.parse(item.transaction.gtid ?? ''));
          if (item.type !== 'rows') continue;
          ids.push(
            ...Array.from({ length: item.after?.count ?? 0 }, (_, i) =>
              column(item.layout, item.after?.row(i) ?? [], 'id'),
            ),
          );
          if (ids.length === until) {
            if (until === 1) await server.stack.kill('mariadb');
            else return;
          }
        }
    };
    const error = await failure(read(from, 1));
    expect(error).toMatchObject({ code: 'DITTO_SOURCE_CONNECTION_LOST', retriable: true });
    await server.stack.start('mariadb');
    source = await TestSource.reopen(source);
    await source.run('INSERT INTO k VALUES (2)');
    await read(known.toString(), 2);
    expect(ids).toEqual([1, 2]);
  });
});
