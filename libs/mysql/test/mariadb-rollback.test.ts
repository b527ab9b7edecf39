import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Row } from '#change-events';
import { OwnServer } from '#testing';
import { type ReadItem, TestSource } from './test-source.ts';

/** Enough for some transactions here to wait on disk. */
const MEMORY_BYTES = 16 * 1024;

let server: OwnServer;
let source: TestSource;

beforeAll(async () => {
  server = await OwnServer.start('mariadb');
}, 300_000);
afterAll(() => server.end());
beforeEach(async () => {
  source = await TestSource.open('rollback', server.url);
  const columns = '(id INT PRIMARY KEY, v LONGTEXT)';
  await source.run(
    ...['i', 'x_i'].map((table) => `CREATE TABLE ${table} ${columns} ENGINE = InnoDB`),
    ...['m', 'x_m'].map((table) => `CREATE TABLE ${table} ${columns} ENGINE = MyISAM`),
  );
});
afterEach(() => source.close());

/** What Ditto reads of the statements, excluded tables left out. */
async function read(...statements: readonly string[]): Promise<readonly ReadItem[]> {
  const from = await source.executedSet();
  await source.run(...statements);
  const includes = (database: string, table: string): boolean =>
    source.includes(database, table) && !table.startsWith('x_');
  return source.readItems(from, source.source({}, undefined, { memoryBytes: MEMORY_BYTES }), includes);
}

/** The rows of included tables that a copy made of the items has, by table, in order of the key. */
function foldRows(items: readonly ReadItem[]): Record<string, Row[]> {
  const tables: Record<string, Map<unknown, Row>> = { i: new Map(), m: new Map() };
  for (const item of items) {
    if (item.type !== 'rows') continue;
    const rows = tables[item.layout.table];
    for (const [id] of item.before ?? []) rows?.delete(id);
    for (const row of item.after ?? []) rows?.set(row[0], row);
  }
  const sorted = Object.entries(tables).map(([table, rows]): [string, Row[]] => [
    table,
    [...rows.values()].sort(([a], [b]) => Number(a) - Number(b)),
  ]);
  return Object.fromEntries(sorted);
}

async function selectRows(): Promise<Record<string, Row[]>> {
  const rows: Record<string, Row[]> = {};
  for (const table of ['i', 'm'])
    [rows[table] = []] = await source.admin.query<never>({
      sql: `SELECT id, v FROM ${table} ORDER BY id`,
      rowsAsArray: true,
    });
  return rows;
}

function rowIndexes(items: readonly ReadItem[]): number[] {
  return items.flatMap((item) => (item.type === 'rows' ? [item.firstRowIndex] : []));
}

const WIDE = 100_000;

describe('I4: rows that were rolled back and are in the log nevertheless are never given', () => {
  test.each<[string, readonly string[]]>([
    [
      'to a savepoint after a table without transactions',
      [
        "INSERT INTO i VALUES (1, 'stays')",
        'SAVEPOINT a',
        "INSERT INTO i VALUES (2, 'rolled back')",
        "INSERT INTO m VALUES (1, 'stays')",
        'ROLLBACK TO SAVEPOINT a',
        "INSERT INTO i VALUES (3, 'stays')",
        'COMMIT',
      ],
    ],
    [
      'to nested savepoints of one name, released and set again',
      [
        "INSERT INTO i VALUES (21, 'stays')",
        'SAVEPOINT s',
        "INSERT INTO i VALUES (22, 'stays')",
        "INSERT INTO m VALUES (2, 'stays')",
        'SAVEPOINT `S`',
        "INSERT INTO i VALUES (23, 'rolled back'), (24, 'rolled back')",
        "INSERT IGNORE INTO i VALUES (21, 'ignored'), (25, 'rolled back')",
        'ROLLBACK TO s',
        "INSERT INTO i VALUES (26, 'stays')",
        'RELEASE SAVEPOINT s',
        'COMMIT',
      ],
    ],
    [
      'twice to the same savepoint, and to one before it',
      [
        "INSERT INTO i VALUES (1, 'stays')",
        "INSERT INTO m VALUES (1, 'stays')",
        'SAVEPOINT a',
        "INSERT INTO i VALUES (2, 'rolled back')",
        'SAVEPOINT b',
        "INSERT INTO i VALUES (3, 'rolled back')",
        'ROLLBACK TO b',
        "UPDATE i SET v = 'rolled back'",
        'ROLLBACK TO b',
        "INSERT INTO i VALUES (4, 'rolled back')",
        'ROLLBACK TO a',
        "INSERT INTO i VALUES (5, 'stays')",
        'COMMIT',
      ],
    ],
    [
      'more than memory holds',
      [
        "INSERT INTO i VALUES (1, 'stays')",
        "INSERT INTO m VALUES (1, 'stays')",
        'SAVEPOINT a',
        `INSERT INTO i SELECT seq, REPEAT('s', ${WIDE}) FROM seq_10_to_12`,
        'SAVEPOINT b',
        `INSERT INTO i SELECT seq, REPEAT('r', ${WIDE}) FROM seq_20_to_24`,
        'ROLLBACK TO b',
        `INSERT INTO i SELECT seq, REPEAT('t', ${WIDE}) FROM seq_22_to_23`,
        'COMMIT',
      ],
    ],
    [
      'whole, after a table without transactions',
      ["INSERT INTO i VALUES (1, 'rolled back')", "INSERT INTO m VALUES (1, 'stays')", 'ROLLBACK'],
    ],
    [
      'whole, with a temporary table made in the transaction',
      [
        "INSERT INTO i VALUES (1, 'rolled back')",
        'CREATE TEMPORARY TABLE made (id INT)',
        "INSERT INTO i VALUES (2, 'rolled back')",
        'ROLLBACK',
      ],
    ],
    [
      'to a savepoint, with a temporary table made in the transaction',
      [
        "INSERT INTO i VALUES (1, 'stays')",
        'SAVEPOINT a',
        "INSERT INTO i VALUES (2, 'rolled back')",
        'CREATE TEMPORARY TABLE again (id INT) ENGINE = MyISAM',
        'ROLLBACK TO a',
        'COMMIT',
      ],
    ],
    [
      'to a savepoint that was set before any row',
      [
        'SAVEPOINT a',
        "INSERT INTO i VALUES (1, 'rolled back')",
        "INSERT INTO m VALUES (1, 'stays')",
        'ROLLBACK TO a',
        "INSERT INTO i VALUES (2, 'stays')",
        'COMMIT',
      ],
    ],
    [
      'of excluded tables only',
      [
        "INSERT INTO i VALUES (11, 'stays')",
        'SAVEPOINT a',
        "INSERT INTO x_i VALUES (1, 'rolled back')",
        "INSERT INTO x_m VALUES (1, 'stays')",
        'ROLLBACK TO SAVEPOINT a',
        "INSERT INTO i VALUES (12, 'stays')",
        'COMMIT',
      ],
    ],
    [
      'of an excluded table, the whole transaction',
      ["INSERT INTO x_i VALUES (2, 'rolled back')", "INSERT INTO m VALUES (2, 'stays')", 'ROLLBACK'],
    ],
  ])('%s', async (_what, statements) => {
    const items = await read('START TRANSACTION', ...statements);
    expect(foldRows(items)).toEqual(await selectRows());
    const given = items.flatMap((item) => (item.type === 'rows' ? (item.after ?? []) : []));
    expect(given.filter(([, v]) => v === 'rolled back' || String(v).startsWith('r'))).toEqual([]);
  });

  test('the rows of a transaction with savepoints come in order, with the indexes that they have without', async () => {
    const rows = ["(1, 'a'), (2, 'b')", "(3, 'c')", "(4, 'd'), (5, 'e')"].map(
      (values) => `INSERT INTO i VALUES ${values}`,
    );
    const [first = '', second = '', third = ''] = rows;
    const excluded = "INSERT INTO x_i VALUES (1, ''), (2, '')";
    const plain = await read('START TRANSACTION', first, excluded, second, third, 'COMMIT');
    await source.run('DELETE FROM i', 'DELETE FROM x_i');
    const nested = await read(
      'START TRANSACTION',
      first,
      'SAVEPOINT a',
      excluded,
      second,
      'SAVEPOINT b',
      third,
      'COMMIT',
    );
    expect(rowIndexes(plain)).toEqual([0, 4, 5]);
    expect(rowIndexes(nested)).toEqual([0, 4, 5]);
    expect(nested.map(({ type }) => type)).toEqual(['begin', 'rows', 'rows', 'rows', 'end']);
    expect(foldRows(nested)).toEqual(await selectRows());
  });

  test('compressed rows wait as plain ones do', async () => {
    await source.run('SET GLOBAL log_bin_compress = 1', 'SET GLOBAL log_bin_compress_min_len = 10');
    try {
      const items = await read(
        'START TRANSACTION',
        "INSERT INTO m VALUES (1, 'stays')",
        `INSERT INTO i VALUES (1, REPEAT('s', 1000))`,
        'SAVEPOINT a',
        `INSERT INTO i VALUES (2, REPEAT('r', 1000))`,
        'ROLLBACK TO a',
        `INSERT INTO i VALUES (3, REPEAT('t', 1000))`,
        'COMMIT',
      );
      expect(foldRows(items)).toEqual(await selectRows());
    } finally {
      await source.run('SET GLOBAL log_bin_compress = 0', 'SET GLOBAL log_bin_compress_min_len = DEFAULT');
    }
  });

  test('a table made from rows has them in the order of the log, without waiting for the end', async () => {
    const items = await read('CREATE TABLE made (PRIMARY KEY (seq)) SELECT seq FROM seq_1_to_3');
    expect(items.map(({ type }) => type)).toEqual(['begin', 'statement', 'rows', 'end']);
  });
});
