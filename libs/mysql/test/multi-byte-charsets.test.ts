import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MySqlRowReader } from '#mysql';
import { type Row } from '#change-events';
import { DittoError } from '#kernel';
import { TestSource, type RowsItem } from './test-source.ts';

const CHARSETS = ['big5', 'gbk', 'gb2312', 'gb18030', 'sjis', 'cp932', 'ujis', 'eucjpms', 'euckr'];

/** All numbers below `count`, as a table `n` with the column `i`. */
const numbers = (count: number): string =>
  `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})`;

/** Every code for which the server has a character, `perRow` to a row; what is well-formed the server says, not the code under test. */
function insertAll(charset: string, firstId: number, count: number, perRow: number, bytes: string): string {
  return `INSERT INTO t_${charset} ${numbers(count)}
    SELECT ${firstId} + i DIV ${perRow}, GROUP_CONCAT(c ORDER BY i SEPARATOR '')
    FROM (SELECT i, CONVERT(${bytes} USING ${charset}) AS c FROM n) AS codes
    WHERE CHAR_LENGTH(c) = 1 AND CONVERT(c USING utf8mb4) NOT IN ('', '?') GROUP BY i DIV ${perRow} HAVING COUNT(*) > 0`;
}

const ONE_BYTE = "UNHEX(LPAD(HEX(i), 2, '0'))";
const TWO_BYTES = "UNHEX(LPAD(HEX(i), 4, '0'))";
const THREE_BYTES = "UNHEX(CONCAT('8F', LPAD(HEX(i), 4, '0')))";
const fourBytes = (index: string): string =>
  `CONCAT(UNHEX(HEX(0x81 + ${index} DIV 12600)), UNHEX(HEX(0x30 + ${index} DIV 1260 % 10)), UNHEX(HEX(0x81 + ${index} DIV 10 % 126)), UNHEX(HEX(0x30 + ${index} % 10)))`;

let source: TestSource;
let reader: MySqlRowReader;
let executed: string;
const streamed = new Map<string, RowsItem[]>();
const { signal } = new AbortController();

beforeAll(async () => {
  source = await TestSource.open('asian');
  reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
  await source.run('SET SESSION cte_max_recursion_depth = 70000, group_concat_max_len = 10000000, max_error_count = 0');
  const from = await source.executedSet();
  for (const charset of CHARSETS) {
    await source.run(
      `CREATE TABLE t_${charset} (id INT PRIMARY KEY, v MEDIUMTEXT CHARACTER SET ${charset})`,
      insertAll(charset, 0, 256, 256, ONE_BYTE),
      insertAll(charset, 1000, 65_536, 256, TWO_BYTES),
      `INSERT INTO t_${charset} VALUES (5000, ''), (5001, NULL), (5002, REPEAT(_utf8mb4'a、', 20000))`,
    );
    if (charset === 'ujis' || charset === 'eucjpms')
      await source.run(insertAll(charset, 2000, 65_536, 256, THREE_BYTES));
    if (charset === 'gb18030')
      await source.run(
        insertAll(charset, 3000, 40_000, 1000, fourBytes('i')),
        // up to and beyond U+10FFFF
        insertAll(charset, 4000, 10_500, 1000, fourBytes('(189000 + i * 100)')),
        `INSERT INTO t_${charset} VALUES (5003, CONVERT(X'90308130E3329A35' USING gb18030))`,
      );
  }
  for (const item of await source.readRows(from))
    streamed.set(item.layout.table, [...(streamed.get(item.layout.table) ?? []), item]);
  executed = await source.executedSet();
}, 120_000);

afterAll(async () => {
  reader.close();
  await source.close();
});

async function readAll(table: string): Promise<readonly Row[]> {
  const layout = (await reader.listTables(signal)).find((candidate) => candidate.table === table);
  if (layout === undefined) throw new Error(`${table} is not there`);
  const chunk = await reader.readChunk({ layout, after: null, limit: 10_000, dispatchedSet: executed, signal });
  return chunk.rows;
}

async function codeOf(reading: Promise<unknown>): Promise<string> {
  return reading.then(
    () => 'no error',
    (error: unknown) => (error instanceof DittoError ? error.code : String(error)),
  );
}

describe('every character of a multi-byte character set', () => {
  test.each(CHARSETS)('%s: snapshot = stream = MySQL', async (charset) => {
    const [own] = await source.admin.query({
      sql: `SELECT id, CAST(CONVERT(v USING utf8mb4) AS BINARY) FROM t_${charset} ORDER BY id`,
      rowsAsArray: true,
    });
    const expected = (own as [number, Buffer | null][]).map(([id, text]) => [id, text?.toString('utf8') ?? null]);
    const items = streamed.get(`t_${charset}`) ?? [];
    const rows = items.flatMap(({ after }) => after ?? []);
    const snapshot = await readAll(`t_${charset}`);
    expect(rows.toSorted(([a], [b]) => Number(a) - Number(b))).toEqual(expected);
    expect(snapshot).toEqual(expected);
    const characters = expected.reduce((sum, [, text]) => sum + Array.from(String(text ?? '')).length, 0);
    expect(characters).toBeGreaterThan(47_000);
  });
});

test('a code without a character is reported, not replaced', async () => {
  for (const [charset, code] of Object.entries({ gbk: 'FEFE', sjis: '8540', gb18030: '8F308130', eucjpms: '8FA1A1' })) {
    await source.run(`CREATE TABLE none_${charset} (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET ${charset})`);
    const from = await source.executedSet();
    await source.run(`INSERT INTO none_${charset} VALUES (1, CONVERT(X'61${code}' USING ${charset}))`);
    expect(await source.value(`SELECT HEX(v) FROM none_${charset}`)).toBe(`61${code}`);
    executed = await source.executedSet();
    expect(await codeOf(source.readRows(from))).toBe('DITTO_SOURCE_TEXT_INVALID');
    expect(await codeOf(readAll(`none_${charset}`))).toBe('DITTO_SOURCE_TEXT_INVALID');
  }
});

describe('two codes of one character (cp932: 0x878A and 0xFA58)', () => {
  test('are both read where they are no key', async () => {
    await source.run('CREATE TABLE twins (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET cp932)');
    const from = await source.executedSet();
    await source.run("INSERT INTO twins VALUES (1, CONVERT(X'878A' USING cp932)), (2, CONVERT(X'FA58' USING cp932))");
    const expected = [
      [1, '㈱'],
      [2, '㈱'],
    ];
    executed = await source.executedSet();
    expect((await source.readRows(from)).flatMap(({ after }) => after)).toEqual(expected);
    expect(await readAll('twins')).toEqual(expected);
  });

  test('are refused in keys, but for the one that the server itself writes: two rows would have one key', async () => {
    await source.run('CREATE TABLE keys_of (k VARCHAR(9) CHARACTER SET cp932 COLLATE cp932_bin PRIMARY KEY)');
    let from = await source.executedSet();
    await source.run("INSERT INTO keys_of VALUES ('㈱')");
    expect((await source.readRows(from)).flatMap(({ after }) => after)).toEqual([['㈱']]);
    from = await source.executedSet();
    await source.run(
      "INSERT INTO keys_of SELECT CONVERT(UNHEX(IF(HEX(k) = '878A', 'FA58', '878A')) USING cp932) FROM keys_of",
    );
    expect(await source.value('SELECT COUNT(*) FROM keys_of')).toBe('2');
    executed = await source.executedSet();
    expect(await codeOf(source.readRows(from))).toBe('DITTO_SOURCE_TEXT_INVALID');
    expect(await codeOf(readAll('keys_of'))).toBe('DITTO_SOURCE_TEXT_INVALID');
  });
});

test('labels, some with a backslash as second byte', async () => {
  await source.run(
    "CREATE TABLE labels (id INT PRIMARY KEY, e ENUM('ソ','表''','十') CHARACTER SET sjis, s SET('許','功') CHARACTER SET big5)",
  );
  const from = await source.executedSet();
  await source.run("INSERT INTO labels VALUES (1, 'ソ', '許,功'), (2, '表''', ''), (3, '十', '功')");
  const expected = [
    [1, 'ソ', '許,功'],
    [2, "表'", ''],
    [3, '十', '功'],
  ];
  executed = await source.executedSet();
  const items = await source.readRows(from);
  expect(items.flatMap(({ after }) => after)).toEqual(expected);
  expect(await readAll('labels')).toEqual(expected);
  const layouts = await reader.listTables(signal);
  expect(layouts.map(({ fingerprint }) => fingerprint)).toContain(items[0]?.layout.fingerprint);
});
