import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MySqlRowReader } from '#mysql';
import { type Row, type TableLayout } from '#change-events';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;
let source: TestSource;
let reader: MySqlRowReader;

beforeAll(async () => {
  source = await TestSource.open('ddl');
  // just the grants that Ditto needs
  const connection = await source.createUser('REPLICATION SLAVE, REPLICATION CLIENT', 'SELECT');
  reader = new MySqlRowReader({ connection, includes: source.includes });
});
afterAll(async () => {
  reader.close();
  await source.close();
});

interface Seen {
  readonly layout: TableLayout;
  readonly rows: readonly Row[];
}

async function readTable(table: string): Promise<Seen> {
  const layout = (await reader.listTables(signal)).find((candidate) => candidate.table === table);
  if (layout === undefined) throw new Error(`no table ${table}`);
  const read = await reader.readChunk({ layout, after: null, limit: 100, dispatchedSet: '', signal });
  return { layout, rows: read.rows };
}

/** What the statements write, as the log says it. */
async function streamOf(...statements: readonly string[]): Promise<Seen> {
  const from = await source.executedSet();
  await source.run(...statements);
  const items = await source.readRows(from);
  const last = items.at(-1);
  if (last === undefined) throw new Error('no rows');
  return { layout: last.layout, rows: items.flatMap(({ before, after }) => after ?? before ?? []) };
}

interface TableCase {
  readonly name: string;
  readonly before?: readonly string[];
  readonly definition: string;
  readonly insert: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
  /** Each is followed by an insert, and must be seen alike by both. */
  readonly alters: readonly (readonly [specification: string, insert: string])[];
}

const CASES: readonly TableCase[] = [
  {
    name: 'virtual and stored generated columns',
    definition: '(id INT PRIMARY KEY, v INT, g INT AS (v * 2) VIRTUAL, s VARCHAR(9) AS (CONCAT(v, "x")) STORED)',
    insert: '(id, v) VALUES (1, 5), (2, NULL)',
    columns: ['id', 'v', 'g', 's'],
    key: ['id'],
    alters: [
      ['ADD COLUMN h BIGINT AS (v + g) VIRTUAL AFTER g', '(id, v) VALUES (3, 1)'],
      ['MODIFY s VARCHAR(9) AS (CONCAT(v, "y")) STORED', '(id, v) VALUES (4, 1)'],
      ['DROP COLUMN h, DROP COLUMN g', '(id, v) VALUES (5, 1)'],
    ],
  },
  {
    name: 'a generated column in the key',
    definition: '(v INT, k VARCHAR(20) AS (CONCAT("k", v)) STORED PRIMARY KEY)',
    insert: '(v) VALUES (1), (2)',
    columns: ['v', 'k'],
    key: ['k'],
    alters: [],
  },
  {
    name: 'invisible columns',
    definition: '(id INT PRIMARY KEY, i INT INVISIBLE DEFAULT 5, v INT)',
    insert: '(id, v) VALUES (1, 1)',
    columns: ['id', 'i', 'v'],
    key: ['id'],
    alters: [
      ['ALTER COLUMN v SET INVISIBLE, ALTER COLUMN i SET VISIBLE', '(id, v) VALUES (2, 2)'],
      ['ADD COLUMN j INT DEFAULT 7 INVISIBLE FIRST', '(id) VALUES (3)'],
    ],
  },
  {
    name: 'a generated invisible primary key',
    before: ['SET SESSION sql_generate_invisible_primary_key = ON'],
    definition: '(x INT)',
    insert: 'VALUES (7), (8)',
    columns: ['my_row_id', 'x'],
    key: ['my_row_id'],
    alters: [
      ['ADD COLUMN y INT DEFAULT 3', '(x) VALUES (9)'],
      ['ALTER COLUMN my_row_id SET VISIBLE', '(x) VALUES (10)'],
    ],
  },
  {
    name: 'functional, multi-valued, fulltext and descending indexes',
    definition:
      '(id INT PRIMARY KEY, t VARCHAR(20), j JSON, INDEX ((LOWER(t))), INDEX ((CAST(j->"$.a" AS UNSIGNED ARRAY))), FULLTEXT (t), INDEX (id DESC))',
    insert: `VALUES (1, 'A', '{"a": [1, 2]}')`,
    columns: ['id', 't', 'j'],
    key: ['id'],
    alters: [['ADD INDEX ((UPPER(t))), ADD COLUMN n INT', `VALUES (2, 'B', '{}', 4)`]],
  },
  {
    name: 'partitions',
    definition: '(id INT, d DATE, PRIMARY KEY (id, d)) PARTITION BY HASH (id) PARTITIONS 3',
    insert: `VALUES (1, '2020-01-01'), (2, '2021-01-01')`,
    columns: ['id', 'd'],
    key: ['id', 'd'],
    alters: [
      ['ADD COLUMN e ENUM("a","b") DEFAULT "b"', `(id, d) VALUES (3, '2020-01-01')`],
      ['COALESCE PARTITION 1', `(id, d) VALUES (4, '2020-01-01')`],
      ['REMOVE PARTITIONING', `(id, d) VALUES (5, '2020-01-01')`],
    ],
  },
  {
    name: 'columns added, dropped and moved instantly',
    definition: '(id INT PRIMARY KEY, a INT, b VARCHAR(10) CHARACTER SET latin1)',
    insert: `VALUES (1, 1, 'ä')`,
    columns: ['id', 'a', 'b'],
    key: ['id'],
    alters: [
      ['ADD COLUMN c DATETIME(3) DEFAULT "2020-01-02 03:04:05.678" FIRST, ALGORITHM=INSTANT', `(id) VALUES (2)`],
      ['DROP COLUMN a, ALGORITHM=INSTANT', `(id) VALUES (3)`],
      ['RENAME COLUMN b TO bb, ALGORITHM=INSTANT', `(id, bb) VALUES (4, 'ß')`],
      ['CONVERT TO CHARACTER SET utf8mb4', `(id, bb) VALUES (5, '🐬')`],
      ['MODIFY id BIGINT UNSIGNED', `(id) VALUES (18446744073709551615)`],
      ['DROP PRIMARY KEY, ADD COLUMN k2 INT DEFAULT 1, ADD PRIMARY KEY (k2, id)', `(id) VALUES (7)`],
    ],
  },
];

describe('the log and the catalogue agree on layout and values', () => {
  test.each(CASES.map((of) => [of.name, of] as const))('%s', async (_, of) => {
    const table = `t${CASES.indexOf(of)}`;
    await source.run(...(of.before ?? []), `CREATE TABLE ${table} ${of.definition}`);
    await source.run('SET SESSION sql_generate_invisible_primary_key = DEFAULT');
    const first = await streamOf(`INSERT INTO ${table} ${of.insert}`);
    const read = await readTable(table);
    expect(read.layout.fingerprint).toBe(first.layout.fingerprint);
    expect(read.layout.columns.map(({ name }) => name)).toEqual(of.columns);
    expect(read.layout.key.map((index) => of.columns[index])).toEqual(of.key);
    expect(read.rows).toEqual(first.rows);
    for (const [specification, insert] of of.alters) {
      await source.run(`ALTER TABLE ${table} ${specification}`);
      const next = await streamOf(`INSERT INTO ${table} ${insert}`);
      const again = await readTable(table);
      expect([specification, again.layout.fingerprint]).toEqual([specification, next.layout.fingerprint]);
      for (const row of next.rows) expect(again.rows).toContainEqual(row);
    }
    // the images of rows from before the statements have the layout as it is now
    const last = await readTable(table);
    const deleted = await streamOf(`DELETE FROM ${table}`);
    expect(deleted.layout.fingerprint).toBe(last.layout.fingerprint);
    expect(sorted(deleted.rows)).toEqual(sorted(last.rows));
  });
});

function sorted(rows: readonly Row[]): string[] {
  return rows
    .map((row) => JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)))
    .sort();
}
