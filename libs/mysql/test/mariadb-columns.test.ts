import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { checkEndpoint, MySqlEndpoint, MySqlRowReader, MySqlTableChecks, type KeyOverrides } from '#mysql';
import { DEFAULT_SQL_MODE, type Row, type TableLayout } from '#change-events';
import { silentLogger } from '#kernel';
import { type ChunkRead } from '#replication';
import { testStack } from '#testing';
import { position, type RowsItem, TestSource } from './test-source.ts';

const signal = new AbortController().signal;
let source: TestSource;

beforeAll(async () => {
  source = await TestSource.open('columns', (await testStack()).url('mariadb'));
});
afterAll(() => source.close());

interface Shown {
  readonly columns: readonly string[];
  readonly key: readonly string[];
}

function shown({ columns, key }: TableLayout): Shown {
  return { columns: columns.map(({ name }) => name), key: key.map((index) => columns[index]?.name ?? '') };
}

/** Makes the table with a row, and gives what the log has of it; fails unless the catalogue says the same. */
async function makeAndRead(definition: string, row: string, keys: KeyOverrides = {}): Promise<RowsItem> {
  await source.run('DROP TABLE IF EXISTS t');
  const from = await source.executedSet();
  await source.run(`CREATE TABLE t ${definition}`, `INSERT INTO t VALUES (${row})`);
  const [streamed] = (await source.readItems(from, source.source(keys))).filter((item) => item.type === 'rows');
  const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes, keys });
  try {
    const layout = (await reader.listTables(signal)).find(({ table }) => table === 't');
    expect(layout?.fingerprint).toBe(streamed?.layout.fingerprint);
    return streamed as RowsItem;
  } finally {
    reader.close();
  }
}

describe('the hidden hash columns of unique keys', () => {
  test.each([
    ['(id INT PRIMARY KEY, body TEXT NOT NULL, UNIQUE (body))', "1, 'a'", ['id', 'body'], ['id'], [1, 'a']],
    [
      '(id INT PRIMARY KEY, u VARCHAR(4000), v BLOB, UNIQUE (u), UNIQUE (v))',
      '1, NULL, NULL',
      ['id', 'u', 'v'],
      ['id'],
      [1, null, null],
    ],
    ['(body TEXT NOT NULL, n INT NOT NULL, UNIQUE (body))', "'a', 1", ['body', 'n'], [], ['a', 1]],
    ['(a INT NOT NULL, b INT, UNIQUE (a) USING HASH)', '1, 2', ['a', 'b'], [], [1, 2]],
    [
      '(a TEXT NOT NULL, b TEXT NOT NULL, c INT NOT NULL, UNIQUE (a), UNIQUE (b), UNIQUE z (c))',
      "'a', 'b', 3",
      ['a', 'b', 'c'],
      ['c'],
      ['a', 'b', 3],
    ],
    ['(a VARCHAR(2000) NOT NULL, b VARCHAR(2000) NOT NULL, UNIQUE (a, b))', "'a', 'b'", ['a', 'b'], [], ['a', 'b']],
    ['(DB_ROW_HASH_1 INT, a TEXT NOT NULL, UNIQUE (a))', "1, 'a'", ['DB_ROW_HASH_1', 'a'], [], [1, 'a']],
    ['(a INT NOT NULL, b INT, UNIQUE (a) USING HASH) ENGINE = MEMORY', '1, 2', ['a', 'b'], ['a'], [1, 2]],
    [
      '(id INT, s DATE, e DATE, PERIOD FOR p (s, e), UNIQUE (id, p WITHOUT OVERLAPS))',
      "1, '2026-01-01', '2026-02-01'",
      ['id', 's', 'e'],
      [],
      [1, '2026-01-01', '2026-02-01'],
    ],
    [
      '(id INT, s DATE, e DATE, PERIOD FOR p (s, e), PRIMARY KEY (id, p WITHOUT OVERLAPS))',
      "1, '2026-01-01', '2026-02-01'",
      ['id', 's', 'e'],
      ['id', 'e', 's'],
      [1, '2026-01-01', '2026-02-01'],
    ],
    [
      '(id INT PRIMARY KEY, h INT INVISIBLE DEFAULT 3, g INT AS (id + 1) VIRTUAL)',
      '1, DEFAULT',
      ['id', 'h', 'g'],
      ['id'],
      [1, 3, 2],
    ],
  ] as const)(
    'I4: never reach a row, and the log and the catalogue agree on the key: %s',
    async (definition, row, columns, key, values) => {
      const { layout, after } = await makeAndRead(definition, row);
      expect(shown(layout)).toEqual({ columns, key });
      expect(after).toEqual([values]);
    },
  );

  test('I4: a key that the configuration names serves at both places', async () => {
    const keys = { [`${source.database}.t`]: ['body'] };
    const { layout } = await makeAndRead('(body TEXT NOT NULL, n INT, UNIQUE (body))', "'a', 1", keys);
    expect(shown(layout)).toEqual({ columns: ['body', 'n'], key: ['body'] });
  });

  test('I4: rows of a key that is added while the log is read stay as they are, and updates and deletes have all their images', async () => {
    await source.run('DROP TABLE IF EXISTS t', 'CREATE TABLE t (id INT PRIMARY KEY, body TEXT NOT NULL)');
    const from = await source.executedSet();
    await source.run(
      "INSERT INTO t VALUES (1, 'a')",
      'ALTER TABLE t ADD UNIQUE (body)',
      "UPDATE t SET body = 'b'",
      'ALTER TABLE t ADD COLUMN n INT DEFAULT 7',
      'DELETE FROM t',
    );
    const rows = await source.readRows(from);
    expect(rows.map(({ before, after }) => [before, after])).toEqual([
      [null, [[1, 'a']]],
      [[[1, 'a']], [[1, 'b']]],
      [[[1, 'b', 7]], null],
    ]);
    expect(rows[0]?.layout.fingerprint).toBe(rows[1]?.layout.fingerprint);
  });
});

test('I4: a geometry may be in a primary key: rows are read in chunks by it, and found again', async () => {
  await source.run(
    'DROP TABLE IF EXISTS t',
    'CREATE TABLE t (p POINT, n INT, PRIMARY KEY (p, n))',
    ...['POINT(1 2)', 'POINT(2 1)', 'POINT(-1 5)'].map(
      (point) => `INSERT INTO t VALUES (ST_GeomFromText('${point}'), 1)`,
    ),
    "INSERT INTO t VALUES (ST_GeomFromText('POINT(2 1)'), 2)",
  );
  const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
  try {
    const layout = (await reader.listTables(signal)).find(({ table }) => table === 't');
    if (layout === undefined) throw new Error('the table was not listed');
    const read = (after: Row | null, limit: number): Promise<ChunkRead> =>
      reader.readChunk({ layout, after, limit, dispatchedSet: '', signal });
    const { rows: whole } = await read(null, 10);
    expect(whole).toHaveLength(4);
    const chunks: Row[] = [];
    for (let after: Row | null = null, complete = false; !complete;) {
      const chunk = await read(after, 1);
      chunks.push(...chunk.rows);
      ({ lastKey: after, complete } = chunk);
    }
    expect(chunks).toEqual(whole);
    const { rows: found, absent } = await reader.readKeys({ layout, keys: whole, dispatchedSet: '', signal });
    expect([found.length, absent]).toEqual([4, []]);
  } finally {
    reader.close();
  }
});

describe('what the start refuses', () => {
  const refused = expect.objectContaining({ code: 'DITTO_SOURCE_COLUMN_UNSUPPORTED', retriable: false });
  const CASES: readonly (readonly [statement: string, what: RegExp])[] = [
    ['ALTER TABLE t ADD u UUID', /`?t`?\.u \(uuid\)/],
    ['ALTER TABLE t MODIFY b UUID', /\.b \(uuid\)/],
    ['ALTER TABLE t ADD i INET4', /\.i \(inet4\)/],
    ['ALTER TABLE t ADD i INET6', /\.i \(inet6\)/],
    ['ALTER TABLE t ADD c VARCHAR(10) COMPRESSED', /COMPRESSED/],
    ['ALTER TABLE t ADD SYSTEM VERSIONING', /SYSTEM VERSIONING/],
    ['ALTER TABLE t ADD DB_ROW_HASH_1 BIGINT UNSIGNED', /DB_ROW_HASH_1/],
    ['CREATE OR REPLACE TABLE t (id INT PRIMARY KEY) WITH SYSTEM VERSIONING', /SYSTEM VERSIONING/],
    ['CREATE OR REPLACE TABLE t LIKE with_uuid', /\.u \(uuid\)/],
  ];

  /** Kept for all: it reads the server's character sets once. */
  let checks: MySqlTableChecks;
  beforeAll(async () => {
    checks = new MySqlTableChecks({ connection: source.connection, logger: silentLogger });
    await source.run('CREATE TABLE with_uuid (u UUID PRIMARY KEY)');
  });

  async function check(sql = 'a statement that says nothing of columns', table = 't'): Promise<void> {
    const tables = [{ database: source.database, table }];
    await checks.check({ tables, sql, sqlMode: DEFAULT_SQL_MODE }, signal, '');
  }

  test.each([
    ['ALTER TABLE t ADD u UUID', 'ALTER TABLE t DROP u'],
    ['ALTER TABLE t MODIFY b INET6', 'DROP TABLE t'],
    ['ALTER TABLE t ADD SYSTEM VERSIONING', 'ALTER TABLE t DROP SYSTEM VERSIONING'],
    ['CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, u UUID)', 'CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)'],
  ])(
    'I6: is refused where the statement is read, also when another has already taken it back: %s',
    async (statement, back) => {
      await source.run('CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, b BINARY(16))', statement, back);
      await expect(check(statement)).rejects.toEqual(refused);
      await check('ALTER TABLE t ADD uuid CHAR(36) DEFAULT (UUID()), ADD INDEX uuid (uuid)');
    },
  );

  test.each(CASES)('I6: is refused when a statement brings it: %s', async (statement, what) => {
    await source.run('CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, b BINARY(16))');
    await check();
    await source.run(statement);
    await expect(check()).rejects.toEqual(refused);
    await expect(check()).rejects.toThrow(what);
  });

  test('I6: is refused with the same code and words at the start, and by a read of rows', async () => {
    const messages: string[] = [];
    for (const [i, [statement]] of CASES.entries()) {
      await source.run(
        'CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, b BINARY(16))',
        statement,
        `RENAME TABLE t TO bad${i}`,
      );
      await check(undefined, `bad${i}`).catch((error: unknown) => messages.push((error as Error).message));
    }
    const isBad = (database: string, table: string): boolean => database === source.database && table.startsWith('bad');
    const endpoint = new MySqlEndpoint(source.connection);
    const [inspection, tables] = [await endpoint.inspect(signal), await endpoint.inspectTables(isBad, {}, signal)];
    const atStart = checkEndpoint(inspection, tables, { account: '', hasGlobal: () => true, canSelect: () => true });
    const errors = atStart.filter(({ severity }) => severity === 'error');
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['DITTO_SOURCE_COLUMN_UNSUPPORTED']));
    expect(errors.map(({ message }) => message)).toEqual(messages);
    const reader = new MySqlRowReader({ connection: source.connection, includes: isBad });
    await expect(reader.listTables(signal)).rejects.toEqual(refused);
    reader.close();
  });

  test('is let through where the column is excluded, the table gone, or the server only behind', async () => {
    const columns = (_database: string, _table: string, column: string): boolean => column !== 'u';
    const some = new MySqlTableChecks({ connection: source.connection, logger: silentLogger, columns, waitMs: 50 });
    const table = { database: source.database, table: 'with_uuid' };
    await source.run('CREATE OR REPLACE TABLE with_uuid (id INT PRIMARY KEY, u UUID)');
    const statement = {
      tables: [table, { ...table, table: 'gone' }],
      sql: 'CREATE OR REPLACE TABLE with_uuid (id INT PRIMARY KEY, u UUID)',
      sqlMode: DEFAULT_SQL_MODE,
    };
    await some.check(statement, signal, '');
    const ahead = position('0-4-999999999').gtidSet;
    await expect(some.check(statement, signal, ahead)).rejects.toMatchObject({
      code: 'DITTO_SOURCE_BEHIND',
      retriable: true,
    });
  });
});
