import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type KeyOverrides, MySqlRowReader } from '#mysql';
import { TestSource } from './test-source.ts';

let source: TestSource;
beforeAll(async () => {
  source = await TestSource.open('keys');
});
afterAll(async () => {
  await source.close();
});

const NOT_NULL = 'a INT NOT NULL, b INT NOT NULL, c INT, s VARCHAR(20) NOT NULL';

/** MySQL itself uses a unique key of NOT NULL columns as the primary key where there is none, also in its log. */
const CASES: readonly (readonly [definition: string, key: readonly string[]])[] = [
  [`${NOT_NULL}, PRIMARY KEY (b), UNIQUE KEY (a)`, ['b']],
  [`${NOT_NULL}, UNIQUE KEY (a)`, ['a']],
  [`${NOT_NULL}, UNIQUE KEY (b, a)`, ['b', 'a']],
  [`${NOT_NULL}, UNIQUE KEY z (b), UNIQUE KEY y (a)`, ['b']],
  [`${NOT_NULL}, UNIQUE KEY n (c), UNIQUE KEY y (a)`, ['a']],
  [`${NOT_NULL}, UNIQUE KEY p (s(5)), UNIQUE KEY y (a)`, ['a']],
  [`${NOT_NULL}, UNIQUE KEY p (s(5), a)`, []],
  [`${NOT_NULL}, UNIQUE KEY n (a, c)`, []],
  [`${NOT_NULL}, UNIQUE KEY f ((a + 1))`, []],
  [`${NOT_NULL}, KEY (a)`, []],
  [`${NOT_NULL}, PRIMARY KEY (s(5))`, ['s']],
];

async function keyOf(definition: string, configured: readonly string[] | null): Promise<readonly string[]> {
  await source.run('DROP TABLE IF EXISTS t');
  const from = await source.executedSet();
  await source.run(`CREATE TABLE t (${definition})`, "INSERT INTO t VALUES (1, 2, 3, 'text')");
  const keys: KeyOverrides = configured === null ? {} : { [`${source.database}.t`]: configured };
  const [streamed] = (await source.readItems(from, source.source(keys))).filter((item) => item.type === 'rows');
  const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes, keys });
  try {
    const layouts = await reader.listTables(new AbortController().signal);
    const layout = layouts.find(({ table }) => table === 't');
    expect(layout?.fingerprint).toBe(streamed?.layout.fingerprint);
    return layout?.key.map((index) => layout.columns[index]?.name ?? '') ?? [];
  } finally {
    reader.close();
  }
}

test.each(CASES)('the log and the catalogue agree on the key of (%s)', async (definition, key) => {
  expect(await keyOf(definition, null)).toEqual(key);
});

test('a configured key serves instead of a unique key, by the log as by the catalogue', async () => {
  expect(await keyOf(`${NOT_NULL}, UNIQUE KEY (a), UNIQUE KEY (b)`, ['b'])).toEqual(['b']);
});
