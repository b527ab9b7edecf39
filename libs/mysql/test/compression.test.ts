import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type SourceBatch } from '#replication';
import { position, TestSource, type ReadItem } from './test-source.ts';

let source: TestSource;
let from: string;

beforeAll(async () => {
  source = await TestSource.open('compression');
  await source.run(
    'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000), n BIGINT)',
    'CREATE TABLE big (id INT PRIMARY KEY, v LONGTEXT)',
    'SET SESSION cte_max_recursion_depth = 10000000',
  );
  await source.tagTransactions();
});
afterAll(async () => {
  await source.close();
});
beforeEach(async () => {
  await source.run('TRUNCATE TABLE t', 'TRUNCATE TABLE big', 'SET SESSION binlog_transaction_compression = ON');
  from = await source.executedSet();
});

/** Without what differs from one run of the same statements to the next. */
function comparable(items: readonly ReadItem[]): unknown[] {
  return items.map((item) => {
    if (item.type === 'rows') return { ...item, layout: item.layout.fingerprint };
    return item.type === 'statement' ? { sql: item.sql } : { type: item.type };
  });
}

function numbers(count: number, columns: string): string {
  return `SELECT * FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
    SELECT ${columns} FROM n) AS numbers`;
}

test.each<[string, string[]]>([
  ['one row', ["INSERT INTO t VALUES (1, REPEAT('x', 500), 7)"]],
  [
    'several statements and a savepoint',
    [
      'BEGIN',
      "INSERT INTO t VALUES (1, REPEAT('x', 500), 7), (2, 'ü', NULL)",
      'SAVEPOINT s',
      "UPDATE t SET v = CONCAT(v, 'y')",
      'RELEASE SAVEPOINT s',
      'DELETE FROM t WHERE id = 1',
      'COMMIT',
    ],
  ],
  ['many rows', [`INSERT INTO t ${numbers(6_000, "i, REPEAT('x', i % 100), i * i")}`]],
  [
    'rows that are larger than a piece',
    ["INSERT INTO big VALUES (1, REPEAT('abc', 1000000)), (2, ''), (3, REPEAT('x', 400000))"],
  ],
])('a compressed transaction of %s is what it is uncompressed', async (_name, statements) => {
  const logEnd = await source.logEnd();
  await source.run(...statements);
  const payloads = (await source.eventTypes(logEnd)).filter((type) => type === 'Transaction_payload');
  expect(payloads.length).toBeGreaterThan(0);
  const compressed = await source.readItems(from);

  await source.run('SET SESSION binlog_transaction_compression = OFF', 'DELETE FROM t', 'DELETE FROM big');
  from = await source.executedSet();
  await source.run(...statements);
  expect(comparable(compressed)).toEqual(comparable(await source.readItems(from)));
});

test('transactions are placed where their events are, and end where the payload ends', async () => {
  const logEnd = await source.logEnd();
  for (let i = 0; i < 3; i++) await source.run(`INSERT INTO t VALUES (${i}, REPEAT('x', 500), 7)`);
  await source.run(
    `INSERT INTO t ${numbers(5_000, "i + 10, REPEAT('x', 100), i AS n")}`,
    "INSERT INTO t VALUES (9, '', 0)",
  );
  const items = await source.readItems(from);
  const begins = items.flatMap((item) => (item.type === 'begin' ? [item.transaction.offset] : []));
  const ends = items.flatMap((item) => (item.type === 'end' ? [item.endOffset] : []));
  expect(begins).toHaveLength(5);
  // each ends where the next transaction of the log begins, whosever that is
  const places = (await source.events(logEnd)).filter(({ type }) => /^Gtid/i.test(type)).map(({ offset }) => offset);
  expect(places).toEqual(expect.arrayContaining(begins));
  expect(ends).toEqual(begins.map((begin) => places[places.indexOf(begin) + 1]));
});

test('a compressed transaction of rows that are not included is empty', async () => {
  await source.run(`INSERT INTO t ${numbers(5_000, "i, 'x', i AS n")}`, "INSERT INTO big VALUES (1, 'x')");
  const includes = (database: string, table: string): boolean => database === source.database && table === 'big';
  const items = await source.readItems(from, source.source(), includes);
  expect(items.map(({ type }) => type)).toEqual(['begin', 'end', 'begin', 'rows', 'end']);
});

describe('I9: memory', () => {
  const ROWS = 300_000;
  let collectGarbage: () => void;

  beforeAll(() => {
    setFlagsFromString('--expose-gc');
    collectGarbage = runInNewContext('gc') as () => void;
  });

  function usedBytes(): number {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  }

  function countRows({ items }: SourceBatch): number {
    return items.reduce((count, item) => count + (item.type === 'rows' ? (item.after?.count ?? 0) : 0), 0);
  }

  test('a compressed transaction streams, however large it is and however slow its reader', async () => {
    await source.run(`INSERT INTO t ${numbers(ROWS, "i, REPEAT('x', 300), i AS n")}`);
    const { signal } = new AbortController();
    const before = usedBytes();
    let received = 0;
    let largest = -Infinity;
    let batches = 0;
    for await (const batch of source.source().stream({ from: position(from), includes: source.includes, signal })) {
      received += countRows(batch);
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (++batches % 20 === 0) largest = Math.max(largest, usedBytes() - before);
      if (received >= ROWS) break;
    }
    expect(received).toBe(ROWS);
    expect(largest).toBeLessThan(64 * 1024 * 1024);
  }, 60_000);

  test('a reader that goes away in the middle leaves nothing behind', async () => {
    await source.run(`INSERT INTO t ${numbers(40_000, "i, REPEAT('x', 300), i AS n")}`);
    for (const way of ['return', 'abort']) {
      const abort = new AbortController();
      const stream = source.source().stream({ from: position(from), includes: source.includes, signal: abort.signal });
      let received = 0;
      for await (const batch of stream) {
        received += countRows(batch);
        if (received === 0) continue;
        if (way === 'return') break;
        abort.abort();
      }
      expect(received).toBeGreaterThan(0);
      expect(received).toBeLessThan(40_000);
    }
  }, 30_000);
});
