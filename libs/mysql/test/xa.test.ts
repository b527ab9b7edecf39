import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Connection } from 'mysql2/promise';
import { GtidAccumulator, GtidSet } from '#change-events';
import { TestSource, type ReadItem } from './test-source.ts';

let source: TestSource;
let second: Connection;
let from: string;

/** Of the GTIDs of this test's sessions. */
let tag: string;

beforeAll(async () => {
  source = await TestSource.open('xa');
  await source.run('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000))', 'CREATE TABLE other (id INT PRIMARY KEY)');
  second = await source.connect();
  // a prepared transaction keeps its locks: those of its rows only
  for (const connection of [source.admin, second])
    await connection.query(
      "SET SESSION transaction_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = 3, lock_wait_timeout = 3",
    );
  tag = await source.tagTransactions(second);
});
afterAll(async () => {
  await second.end();
  await source.close();
});
beforeEach(async () => {
  await source.run('TRUNCATE TABLE t', 'TRUNCATE TABLE other');
  from = await source.executedSet();
});

/** An undecided transaction holds its tables, and with them everybody who wants to drop those. */
afterEach(async () => {
  for (const xid of started) await source.run(`XA ROLLBACK ${xid}`).catch(() => undefined);
  started.clear();
});

const started = new Set<string>();

/** Different from the xids of other tests on the server. */
function fullXid(xid: string): string {
  return `'${source.database}','${xid}'`;
}

const statement = {
  prepare: (xid: string, ...changes: readonly string[]): string[] => {
    started.add(fullXid(xid));
    return [`XA START ${fullXid(xid)}`, ...changes, `XA END ${fullXid(xid)}`, `XA PREPARE ${fullXid(xid)}`];
  },
  commit: (xid: string): string => `XA COMMIT ${fullXid(xid)}`,
  rollback: (xid: string): string => `XA ROLLBACK ${fullXid(xid)}`,
};

async function runOnSecond(...statements: readonly string[]): Promise<void> {
  for (const sql of statements) await second.query(sql);
}

/** Items in short; GTIDs by their distance from the start of the test. */
function describeItems(items: readonly ReadItem[]): string[] {
  const last = Number(new RegExp(`:${tag}:(?:\\d+-)?(\\d+)`).exec(from)?.[1]);
  const distance = (gtid: string | null): string =>
    gtid === null ? '-' : String(Number(gtid.split(':').at(-1)) - last);
  return items.map((item) => {
    if (item.type === 'begin')
      return `begin ${distance(item.transaction.gtid)}/${distance(item.transaction.preparedGtid)}`;
    if (item.type === 'prepared') return `prepared ${distance(item.gtid)}`;
    if (item.type !== 'rows') return item.type;
    return `${item.op} ${(item.after ?? item.before ?? []).map((row) => String(row[0])).join(',')} #${item.firstRowIndex}`;
  });
}

const onlyT = { includes: (database: string, table: string): boolean => database === source.database && table === 't' };

describe('an XA transaction', () => {
  test('comes with its commit, at the place and time of that', async () => {
    await source.run(
      ...statement.prepare('a', "INSERT INTO t VALUES (1, 'a'), (2, 'b')", 'DELETE FROM t WHERE id = 1'),
    );
    await source.run("INSERT INTO t VALUES (9, 'between')", statement.commit('a'));
    const items = await source.readItems(from);
    expect(describeItems(items)).toEqual([
      'prepared 1',
      'begin 2/-',
      'create 9 #0',
      'end',
      'begin 3/1',
      'create 1,2 #0',
      'delete 1 #2',
      'end',
    ]);
    const begins = items.flatMap((item) => (item.type === 'begin' ? [item.transaction] : []));
    expect(begins[1]?.offset).toBeGreaterThan(begins[0]?.offset ?? Infinity);
    expect(begins[1]?.commitMicros).toBeGreaterThan(begins[0]?.commitMicros ?? Infinity);
  });

  test('never comes when it is rolled back', async () => {
    await source.run(...statement.prepare('a', "INSERT INTO t VALUES (1, 'a')"), statement.rollback('a'));
    await source.run(
      `XA START ${fullXid('b')}`,
      "INSERT INTO t VALUES (2, 'b')",
      `XA END ${fullXid('b')}`,
      `XA ROLLBACK ${fullXid('b')}`,
    );
    expect(describeItems(await source.readItems(from))).toEqual(['prepared 1', 'begin 2/1', 'end']);
  });

  test('does not mix with another that is open at the same time', async () => {
    await source.run(...statement.prepare('a', "INSERT INTO t VALUES (1, 'a')"));
    await runOnSecond(...statement.prepare('b', "INSERT INTO t VALUES (2, 'b')"));
    await source.run(statement.rollback('a'), ...statement.prepare('a', "INSERT INTO t VALUES (3, 'again')"));
    await runOnSecond(statement.commit('b'), statement.commit('a'));
    expect(describeItems(await source.readItems(from))).toEqual([
      'prepared 1',
      'prepared 2',
      'begin 3/1',
      'end',
      'prepared 4',
      'begin 5/2',
      'create 2 #0',
      'end',
      'begin 6/4',
      'create 3 #0',
      'end',
    ]);
  });

  test('of one phase is a transaction as any other', async () => {
    await source.run(
      `XA START ${fullXid('a')}`,
      "INSERT INTO t VALUES (1, 'a')",
      `XA END ${fullXid('a')}`,
      `XA COMMIT ${fullXid('a')} ONE PHASE`,
    );
    expect(describeItems(await source.readItems(from))).toEqual(['begin 1/-', 'create 1 #0', 'end']);
  });

  test.each(['OFF', 'ON'])('keeps row indexes over rows that are not included, compression %s', async (compression) => {
    await source.run(`SET SESSION binlog_transaction_compression = ${compression}`);
    try {
      await source.run(
        ...statement.prepare(
          'a',
          'INSERT INTO other VALUES (1), (2)',
          "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
          'DELETE FROM other WHERE id = 1',
          'DELETE FROM other WHERE id = 2',
          "UPDATE t SET v = 'c'",
          "INSERT INTO t VALUES (3, 'c')",
        ),
        statement.commit('a'),
      );
    } finally {
      await source.run('SET SESSION binlog_transaction_compression = OFF');
    }
    expect(describeItems(await source.readItems(from, source.source(), onlyT.includes))).toEqual([
      'prepared 1',
      'begin 2/1',
      'create 1,2 #2',
      'update 1,2 #6',
      'create 3 #8',
      'end',
    ]);
  });

  test('of other tables is empty', async () => {
    await source.run(...statement.prepare('a', 'INSERT INTO other VALUES (1)'), statement.commit('a'));
    await source.run(...statement.prepare('a', 'INSERT INTO other VALUES (2)'), statement.rollback('a'));
    const items = await source.readItems(from, source.source(), onlyT.includes);
    expect(describeItems(items)).toEqual(['prepared 1', 'begin 2/1', 'end', 'prepared 3', 'begin 4/3', 'end']);
  });

  test('is kept with its layout when the table changes before its commit', async () => {
    await source.run(
      'CREATE TABLE changing (id INT PRIMARY KEY)',
      ...statement.prepare('a', 'INSERT INTO changing VALUES (5)'),
    );
    // the prepared transaction holds its table; another of that name comes and goes under another table id
    await source.run('CREATE TABLE elsewhere (x INT, id INT PRIMARY KEY)', 'INSERT INTO elsewhere VALUES (1, 2)');
    await source.run(statement.commit('a'), 'DROP TABLE changing, elsewhere');
    const rows = (await source.readItems(from)).filter((item) => item.type === 'rows');
    expect(rows.map(({ layout, after }) => [layout.table, after])).toEqual([
      ['elsewhere', [[1, 2]]],
      ['changing', [[5]]],
    ]);
  });

  test('xids of any bytes are distinguished', async () => {
    const name = source.database;
    const xids = [`'${name}''','b',7`, `'${name}''','B',7`, `'${name}',X'00ff'`, `'${name}',X'00fe',2`];
    for (const [i, xid] of xids.entries()) {
      started.add(xid);
      await source.run(`XA START ${xid}`, `INSERT INTO t VALUES (${i}, '')`, `XA END ${xid}`, `XA PREPARE ${xid}`);
    }
    for (const [i, xid] of xids.entries()) await source.run(`XA ${i % 2 === 0 ? 'COMMIT' : 'ROLLBACK'} ${xid}`);
    const rows = (await source.readItems(from)).filter((item) => item.type === 'rows');
    expect(rows.map(({ after }) => after?.[0]?.[0])).toEqual([0, 2]);
  });
});

describe('the set to continue from', () => {
  /** What a pipeline has streamed: both GTIDs of each transaction that ended. */
  function streamedSet(items: readonly ReadItem[]): string {
    const set = new GtidAccumulator(GtidSet.parse(from));
    for (const item of items)
      if (item.type === 'begin')
        for (const gtid of [item.transaction.gtid, item.transaction.preparedGtid]) if (gtid !== null) set.add(gtid);
    return set.toString();
  }

  test('lacks an undecided transaction, so that its rows come after a restart', async () => {
    await source.run(...statement.prepare('a', "INSERT INTO t VALUES (1, 'a')"), "INSERT INTO t VALUES (2, 'b')");
    const first = await source.readItems(from);
    expect(describeItems(first)).toEqual(['prepared 1', 'begin 2/-', 'create 2 #0', 'end']);
    const streamed = streamedSet(first);
    await source.run(statement.commit('a'));
    const again = await source.readItems(streamed);
    expect(describeItems(again).filter((item) => !/^(begin|end)/.test(item))).toEqual(['prepared 1', 'create 1 #0']);
    expect(await source.readItems(streamedSet([...first, ...again]))).toEqual(
      expect.not.arrayContaining([expect.objectContaining({ type: 'rows' })]),
    );
  });

  test('a commit whose changes lie before the start is refused, a rollback is nothing', async () => {
    await source.run(...statement.prepare('a', "INSERT INTO t VALUES (1, 'a')"));
    await runOnSecond(...statement.prepare('b', "INSERT INTO t VALUES (2, 'b')"));
    from = await source.executedSet();
    await source.run(statement.rollback('a'));
    expect(describeItems(await source.readItems(from))).toEqual(['begin 1/-', 'end']);
    from = await source.executedSet();
    await source.run(statement.commit('b'));
    await expect(source.readItems(from)).rejects.toMatchObject({ code: 'DITTO_SOURCE_XA_UNKNOWN', retriable: false });
  });
});

describe('I9: memory', () => {
  test.each(['OFF', 'ON'])(
    'what is large waits on disk, compression %s',
    async (compression) => {
      const rows = 6_000;
      const insert = (start: number): string =>
        `INSERT INTO t SELECT * FROM (WITH RECURSIVE n (i) AS (SELECT ${start} UNION ALL SELECT i + 1 FROM n WHERE i < ${start + rows - 1})
         SELECT i, REPEAT(CHAR(97 + i % 26), 300) FROM n) AS numbers`;
      await source.run(
        'SET SESSION cte_max_recursion_depth = 1000000',
        `SET SESSION binlog_transaction_compression = ${compression}`,
      );
      await source.run(...statement.prepare('a', insert(0), 'DELETE FROM t WHERE id % 2 = 1'));
      await source.run(
        `XA START ${fullXid('b')}`,
        insert(rows),
        `XA END ${fullXid('b')}`,
        `XA COMMIT ${fullXid('b')} ONE PHASE`,
      );
      await source.run(statement.commit('a'), 'SET SESSION binlog_transaction_compression = OFF');
      const folder = mkdtempSync(join(tmpdir(), 'xa-'));
      const items = await source.readItems(from, source.source({}, 128 * 1024, { memoryBytes: 100_000, folder }));
      expect(readdirSync(folder)).toEqual([]);
      const found: number[] = [];
      let next = 0;
      for (const item of items) {
        if (item.type === 'begin') next = 0;
        if (item.type !== 'rows') continue;
        expect(item.firstRowIndex).toBe(next);
        const images = item.after ?? item.before ?? [];
        next += images.length;
        for (const [id, v] of images as readonly (readonly [number, string])[]) {
          if (v !== String.fromCharCode(97 + (id % 26)).repeat(300)) throw new Error(`row ${id} holds ${v}`);
          if (item.op === 'create') found.push(id);
        }
      }
      expect(next).toBe(1.5 * rows);
      expect(found).toEqual([
        ...Array.from({ length: rows }, (_, i) => rows + i),
        ...Array.from({ length: rows }, (_, i) => i),
      ]);
      expect(describeItems(items.filter((item) => item.type !== 'rows'))).toEqual([
        'prepared 1',
        'begin 2/-',
        'end',
        'begin 3/1',
        'end',
      ]);
    },
    60_000,
  );

  test('a folder that can not be written to stops the stream with a code', async () => {
    await source.run(...statement.prepare('a', "INSERT INTO t VALUES (1, REPEAT('x', 1000))"), statement.rollback('a'));
    const broken = source.source({}, undefined, { memoryBytes: 0, folder: '/missing' });
    await expect(source.readItems(from, broken)).rejects.toMatchObject({
      code: 'DITTO_SOURCE_SPILL_FAILED',
      retriable: true,
    });
  });
});
