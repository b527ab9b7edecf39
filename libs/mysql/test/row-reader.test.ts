import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MySqlRowReader } from '#mysql';
import { encodeKeyValues, GtidSet, keyValues, type Row, rowOfKey, type TableLayout } from '#change-events';
import { sleep } from '#kernel';
import { type KeysRead } from '#replication';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;
let source: TestSource;
let reader: MySqlRowReader;

beforeAll(async () => {
  source = await TestSource.open('reader');
  reader = new MySqlRowReader({
    connection: source.connection,
    includes: source.includes,
    keys: { [`${source.database}.keyless`]: ['u'] },
    waitMs: 500,
  });
});
afterAll(async () => {
  reader.close();
  await source.close();
});

async function layoutOf(table: string): Promise<TableLayout> {
  const layout = (await reader.listTables(signal)).find((candidate) => candidate.table === table);
  if (layout === undefined) throw new Error(`no table ${table}`);
  return layout;
}

async function readAll(layout: TableLayout, limit: number): Promise<Row[]> {
  const rows: Row[] = [];
  let after: Row | null = null;
  for (let chunk = 0; chunk < 1000; chunk++) {
    const read = await reader.readChunk({ layout, after, limit, dispatchedSet: '', signal });
    rows.push(...read.rows);
    // bound by its last key, the chunk is the same whatever the limit
    const again = await reader.readChunk({ layout, after, upTo: read.lastKey, limit: 1000, dispatchedSet: '', signal });
    expect([again.rows, again.complete]).toEqual([read.rows, true]);
    if (read.complete) return rows;
    after = read.lastKey;
  }
  throw new Error('the chunks never end');
}

interface KeyCase {
  readonly name: string;
  readonly columns: string;
  readonly rows: readonly string[];
}

const KEY_CASES: readonly KeyCase[] = [
  {
    name: 'integer',
    columns: 'k INT PRIMARY KEY',
    rows: ['(-5)', '(-1)', '(0)', '(7)', '(8)', '(2147483647)', '(-2147483648)'],
  },
  {
    name: 'bigint unsigned to its maximum',
    columns: 'k BIGINT UNSIGNED PRIMARY KEY',
    rows: [
      '(0)',
      '(1)',
      '(9007199254740993)',
      '(9007199254740992)',
      '(9223372036854775808)',
      '(18446744073709551614)',
      '(18446744073709551615)',
    ],
  },
  {
    name: 'decimal',
    columns: 'k DECIMAL(20,6) PRIMARY KEY',
    rows: ['(-1.5)', '(-1.500001)', '(0)', '(0.000001)', '(99999999999999.999999)'],
  },
  {
    name: 'float',
    columns: 'k FLOAT PRIMARY KEY',
    rows: ['(0.1)', '(0.2)', '(0.3)', '(-0.1)', '(1e-45)', '(3e38)', '(16777217)'],
  },
  {
    name: 'double',
    columns: 'k DOUBLE PRIMARY KEY',
    rows: ['(0.1)', '(2.2250738585072014e-308)', '(-1e300)', '(1e300)', '(5e-324)'],
  },
  {
    name: 'case-insensitive text with trailing spaces and four-byte characters',
    columns: 'k VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY',
    rows: [
      "('')",
      "('a')",
      "('B')",
      "('c ')",
      "('Ç1')",
      "('😀')",
      "('z😀')",
      "('it''s')",
      "('back\\\\slash')",
      "('per%cent_')",
    ],
  },
  {
    name: 'text in the newest collation',
    columns: 'k VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY',
    rows: ["('a')", "('a ')", "('b')", "('ä1')", "('😀')", "('漢')", "('')"],
  },
  {
    name: 'text in binary order',
    columns: 'k VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY',
    rows: ["('a')", "('A')", "('ä')", "('b')", "('B')", "('😀')"],
  },
  {
    name: 'text in latin1',
    columns: 'k CHAR(10) CHARACTER SET latin1 PRIMARY KEY',
    rows: ["('é')", "('a')", "('€')", "('z')", "('Ö')"],
  },
  {
    name: 'text in utf16',
    columns: 'k VARCHAR(10) CHARACTER SET utf16 PRIMARY KEY',
    rows: ["('é')", "('a')", "('😀')", "('z')"],
  },
  {
    name: 'fixed bytes',
    columns: 'k BINARY(4) PRIMARY KEY',
    rows: ["(X'00000000')", "(X'ff')", "(X'ff00ff00')", "(X'7f')", "(X'80')"],
  },
  {
    name: 'bytes',
    columns: 'k VARBINARY(8) PRIMARY KEY',
    rows: ["('')", "(X'00')", "(X'0000')", "(X'27')", "(X'ff')", "(X'5c27')"],
  },
  {
    name: 'date',
    columns: 'k DATE PRIMARY KEY',
    rows: ["('0000-00-00')", "('2020-00-00')", "('2026-01-01')", "('9999-12-31')"],
  },
  {
    name: 'datetime with microseconds',
    columns: 'k DATETIME(6) PRIMARY KEY',
    rows: [
      "('2026-01-01 00:00:00.000001')",
      "('2026-01-01 00:00:00.000002')",
      "('0000-00-00')",
      "('2026-01-01')",
      "('9999-12-31 23:59:59.999999')",
    ],
  },
  {
    name: 'timestamp',
    columns: 'k TIMESTAMP(3) PRIMARY KEY',
    rows: ["('2026-01-01 00:00:00.001')", "('2026-01-01 00:00:00.002')", "('0000-00-00')", "('1970-01-01 00:00:01')"],
  },
  {
    name: 'time',
    columns: 'k TIME(2) PRIMARY KEY',
    rows: ["('-838:59:59')", "('-00:00:00.01')", "('0')", "('00:00:00.01')", "('838:59:59')"],
  },
  { name: 'year', columns: 'k YEAR PRIMARY KEY', rows: ['(0)', '(1901)', '(2026)', '(2155)'] },
  {
    name: 'enum in index order',
    columns: "k ENUM('z', 'a', 'm', 'it''s') PRIMARY KEY",
    rows: ["('z')", "('a')", "('m')", "('it''s')", '(0)'],
  },
  {
    name: 'set in index order',
    columns: "k SET('z', 'a', 'm') PRIMARY KEY",
    rows: ["('')", "('z')", "('a')", "('z,a')", "('m')", "('z,m')", "('a,m')"],
  },
  {
    name: 'bits',
    columns: 'k BIT(64) PRIMARY KEY',
    rows: ['(0)', '(1)', '(0x7fffffffffffffff)', '(0x8000000000000000)', '(0xffffffffffffffff)'],
  },
  { name: 'one bit', columns: 'k BIT(1) PRIMARY KEY', rows: ["(b'0')", "(b'1')"] },
  {
    name: 'three columns',
    columns: "a INT, b VARCHAR(5), c ENUM('y', 'x'), v INT, PRIMARY KEY (c, a, b)",
    rows: [1, 2, 3].flatMap((a) => ['p', 'Q', 'r'].flatMap((b) => ['x', 'y'].map((c) => `(${a}, '${b}', '${c}', 1)`))),
  },
  { name: 'descending', columns: 'k INT, PRIMARY KEY (k DESC)', rows: ['(1)', '(2)', '(3)', '(4)', '(5)'] },
  { name: 'a prefix', columns: 'k VARCHAR(20), PRIMARY KEY (k(2))', rows: ["('ab1')", "('ac2')", "('b')", "('ca')"] },
];

test('a reader that follows layouts reads the columns and the key that are asked for, whatever its own rules say', async () => {
  await source.run(
    'CREATE TABLE followed (id INT PRIMARY KEY, k INT NOT NULL UNIQUE, a INT, b INT)',
    'INSERT INTO followed VALUES (1, 9, 10, 100), (2, 8, 20, 200)',
  );
  const name = `${source.database}.followed`;
  const options = { connection: source.connection, includes: source.includes, waitMs: 500 };
  const columns = (_database: string, _table: string, column: string): boolean => column !== 'a';
  const all = new MySqlRowReader({ ...options });
  const strict = new MySqlRowReader({ ...options, columns, keys: { [name]: ['k'] } });
  const following = new MySqlRowReader({ ...options, columns, keys: { [name]: ['k'] }, followsLayout: true });
  const read = async (by: MySqlRowReader, layout: TableLayout): Promise<readonly Row[]> =>
    (await by.readChunk({ layout, after: null, limit: 10, dispatchedSet: '', signal })).rows;
  try {
    const [whole, part] = [await layoutOf('followed'), await strict.readLayout(await layoutOf('followed'), signal)];
    if (part === null) throw new Error('no layout');
    await expect(read(strict, whole)).rejects.toMatchObject({ code: 'DITTO_SOURCE_LAYOUT_CHANGED' });
    expect(await read(following, whole)).toEqual(await read(all, whole));
    expect(await read(following, part)).toEqual([
      [2, 8, 200],
      [1, 9, 100],
    ]);
    // a column more is not asked for; one that has become another is
    await source.run('ALTER TABLE followed ADD c INT');
    expect(await read(following, part)).toHaveLength(2);
    await source.run('ALTER TABLE followed MODIFY b BIGINT');
    await expect(read(following, part)).rejects.toMatchObject({ code: 'DITTO_SOURCE_LAYOUT_CHANGED' });
  } finally {
    for (const one of [all, strict, following]) one.close();
  }
});

test('the order of keys has another text after an ALTER that changes a collation only, which the layout does not show', async () => {
  await source.run(
    'CREATE TABLE ordered (a VARCHAR(10) COLLATE utf8mb4_general_ci, b INT, PRIMARY KEY (a, b))',
    `INSERT INTO ordered VALUES ('a', 1), ('B', 1), ('c', 1)`,
  );
  const layout = await layoutOf('ordered');
  const [order, keys] = [await reader.readKeyOrder(layout, signal), await readAll(layout, 1)];
  await source.run('ALTER TABLE ordered MODIFY a VARCHAR(10) COLLATE utf8mb4_bin NOT NULL');
  expect((await layoutOf('ordered')).fingerprint).toBe(layout.fingerprint);
  expect(await readAll(layout, 1)).not.toEqual(keys);
  expect(await reader.readKeyOrder(layout, signal)).not.toBe(order);
  await source.run('CREATE TABLE ordered_numbers (a INT PRIMARY KEY)');
  expect(await reader.readKeyOrder(await layoutOf('ordered_numbers'), signal)).toBe('');
});

describe('chunks', () => {
  test.each(KEY_CASES.map((keyCase, i) => [keyCase.name, keyCase, i] as const))(
    'see each row exactly once by a key of %s',
    async (_name, { columns, rows }, i) => {
      await source.run(`CREATE TABLE k${i} (${columns})`);
      for (const row of rows) await source.run(`INSERT INTO k${i} VALUES ${row}`);
      const layout = await layoutOf(`k${i}`);
      const whole = await readAll(layout, 1000);
      expect(whole).toHaveLength(rows.length);
      for (const limit of [1, 2, 3, rows.length]) expect(await readAll(layout, limit)).toEqual(whole);
    },
  );

  test.each(KEY_CASES.map((keyCase, i) => [keyCase.name, i] as const))(
    'find each row again by a key of %s, and say which are not there',
    async (_name, i) => {
      const layout = await layoutOf(`k${i}`);
      const rows = await readAll(layout, 1000);
      const keys = rows.map((row) => rowOfKey(layout, keyValues(layout, row)));
      const read = (): Promise<KeysRead> => reader.readKeys({ layout, keys, dispatchedSet: '', signal });
      const findAbsent = (): Promise<readonly Row[]> => reader.findAbsent({ layout, keys, signal });
      const { rows: found, absent } = await read();
      expect(absent).toEqual([]);
      expect(await findAbsent()).toEqual([]);
      expect(found.map((row) => encodeKeyValues(layout, row)).sort()).toEqual(
        rows.map((row) => encodeKeyValues(layout, row)).sort(),
      );
      await source.run(`DELETE FROM k${i} LIMIT 1`);
      const { absent: gone } = await read();
      expect(gone).toHaveLength(1);
      expect(await findAbsent()).toEqual(gone);
      await source.run(`DELETE FROM k${i}`);
      expect(await read()).toMatchObject({ rows: [], absent: keys });
      expect(await findAbsent()).toEqual(keys);
    },
  );

  test('take a row for the asked one only when its key is the same byte for byte', async () => {
    await source.run(
      'CREATE TABLE folded (k VARCHAR(10) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)',
      "INSERT INTO folded VALUES ('A', 1), ('b', 2)",
    );
    const layout = await layoutOf('folded');
    const keys = ['a', 'b'].map((key) => rowOfKey(layout, [key]));
    const before = GtidSet.parse(await source.executedSet());
    const { rows, absent, high } = await reader.readKeys({ layout, keys, dispatchedSet: '', signal });
    expect(rows).toEqual([['b', 2]]);
    expect(absent).toEqual([['a', null]]);
    expect(await reader.findAbsent({ layout, keys, signal })).toEqual([['a', null]]);
    expect(await reader.findAbsent({ layout, keys: [], signal })).toEqual([]);
    // others write to the same server during that
    expect(GtidSet.parse(high).contains(before)).toBe(true);
    expect(GtidSet.parse(await source.executedSet()).contains(GtidSet.parse(high))).toBe(true);
    expect((await reader.readKeys({ layout, keys: [], dispatchedSet: '', signal })).rows).toEqual([]);
  });

  test('read a table without a primary key by its configured columns', async () => {
    await source.run(
      'CREATE TABLE keyless (v INT, u INT NOT NULL UNIQUE)',
      'INSERT INTO keyless VALUES (1, 3), (1, 2), (1, 1), (1, 5)',
    );
    expect(await readAll(await layoutOf('keyless'), 3)).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
      [1, 5],
    ]);
  });

  test('of an empty table are complete and have no last key', async () => {
    await source.run('CREATE TABLE empty_table (id INT PRIMARY KEY)');
    const chunk = await reader.readChunk({
      layout: await layoutOf('empty_table'),
      after: null,
      limit: 5,
      dispatchedSet: '',
      signal,
    });
    expect(chunk).toMatchObject({ rows: [], lastKey: null, complete: true });
  });

  test('count what is kept of their values beside the bytes that came', async () => {
    await source.run(
      'CREATE TABLE kept (id INT PRIMARY KEY, j JSON, t TEXT CHARACTER SET cp1251, v TEXT CHARACTER SET utf8mb4)',
      `INSERT INTO kept VALUES (1, '{"a": [1, 2, 3]}', 'abc', 'def'), (2, NULL, NULL, NULL)`,
    );
    const request = { layout: await layoutOf('kept'), after: null, limit: 5, dispatchedSet: '', signal };
    const chunk = await reader.readChunk(request);
    const [row = []] = chunk.rows;
    const { bytes, rows } = await reader.readImages(request);
    expect([rows.row(0), rows.row(1)]).toEqual(chunk.rows);
    expect(bytes).toBe(chunk.bytes + 2 * `${String(row[1])}${String(row[2])}`.length);
  });

  test('say how long the SELECT took, without what it waited for before', async () => {
    await source.run('CREATE TABLE timed (id INT PRIMARY KEY)', 'INSERT INTO timed VALUES (1)');
    const layout = await layoutOf('timed');
    const other = await source.connect();
    await other.query('LOCK TABLES timed WRITE');
    const startedAt = performance.now();
    const reading = reader.readChunk({ layout, after: null, limit: 5, dispatchedSet: '', signal });
    await sleep(500);
    await other.query('UNLOCK TABLES');
    await other.end();
    const { selectMs } = await reading;
    expect(selectMs).toBeGreaterThan(0);
    expect(selectMs).toBeLessThan(performance.now() - startedAt - 450);
    expect((await reader.readKeys({ layout, keys: [[1]], dispatchedSet: '', signal })).selectMs).toBeGreaterThan(0);
  });

  test('name the executed set as of after the rows', async () => {
    await source.run('CREATE TABLE high (id INT PRIMARY KEY)', 'INSERT INTO high VALUES (1)');
    const dispatchedSet = await source.executedSet();
    const chunk = await reader.readChunk({
      layout: await layoutOf('high'),
      after: null,
      limit: 5,
      dispatchedSet,
      signal,
    });
    expect(await source.value('SELECT GTID_SUBSET(?, ?)', [dispatchedSet, chunk.high])).toBe('1');
    expect(chunk.high).not.toMatch(/\s/);
  });

  test('wait for the dispatched set, and report it when it does not come', async () => {
    await source.run('CREATE TABLE waiting (id INT PRIMARY KEY)');
    const dispatchedSet = `${(await source.value('SELECT @@server_uuid')) ?? ''}:1-99999999`;
    const read = reader.readChunk({ layout: await layoutOf('waiting'), after: null, limit: 5, dispatchedSet, signal });
    await expect(read).rejects.toMatchObject({ code: 'DITTO_SOURCE_BEHIND', retriable: true });
  });

  test.each([
    ['a column is added', 'ALTER TABLE changing0 ADD COLUMN b INT', 0],
    ['a column changes its type', 'ALTER TABLE changing1 MODIFY v VARCHAR(30)', 1],
    ['a column is renamed', 'ALTER TABLE changing2 RENAME COLUMN v TO w', 2],
    ['the table is dropped', 'DROP TABLE changing3', 3],
  ])('are refused with another layout: %s', async (_name, statement, i) => {
    await source.run(
      `CREATE TABLE changing${i} (id INT PRIMARY KEY, v VARCHAR(20))`,
      `INSERT INTO changing${i} VALUES (1, 'a')`,
    );
    const layout = await layoutOf(`changing${i}`);
    await reader.readChunk({ layout, after: null, limit: 5, dispatchedSet: '', signal });
    await source.run(statement);
    const read = reader.readChunk({ layout, after: null, limit: 5, dispatchedSet: '', signal });
    await expect(read).rejects.toMatchObject({ code: 'DITTO_SOURCE_LAYOUT_CHANGED', retriable: true });
  });

  test.each([
    ['whose key column was renamed', 'ALTER TABLE gone0 RENAME COLUMN id TO other', 0],
    ['that was dropped', 'DROP TABLE gone1', 1],
  ])('say of no key that its row is there in a table %s', async (_name, statement, i) => {
    await source.run(`CREATE TABLE gone${i} (id INT PRIMARY KEY)`, `INSERT INTO gone${i} VALUES (1), (2)`);
    const layout = await layoutOf(`gone${i}`);
    const find = (): Promise<readonly Row[]> => reader.findAbsent({ layout, keys: [[1], [3]], signal });
    expect(await find()).toEqual([[3]]);
    await source.run(statement);
    expect(await find()).toEqual([[1], [3]]);
  });

  test('take labels as the log has them, which the catalogue has not', async () => {
    await source.run(
      "CREATE TABLE faces (id INT PRIMARY KEY, one ENUM('😀', 'é'), other SET('a', '😀😁') CHARACTER SET utf8mb4)",
      "INSERT INTO faces VALUES (1, '😀', 'a,😀😁')",
    );
    const layout = await layoutOf('faces');
    const withLabels = (one: string, other: string) => ({
      ...layout,
      fingerprint: layout.fingerprint.replace('"?"', `"${one}"`).replace('"??"', `"${other}"`),
    });
    expect(withLabels('x', 'y').fingerprint).toMatch(/"x".*"y"/);
    const read = (given: TableLayout) =>
      reader.readChunk({ layout: given, after: null, limit: 5, dispatchedSet: '', signal });
    expect(await read(withLabels('😀', '😀😁'))).toMatchObject({ rows: [[1, '😀', 'a,😀😁']] });
    expect(await read(layout)).toMatchObject({ rows: [[1, '😀', 'a,😀😁']] });
    await expect(read(withLabels('x', '😀😁'))).rejects.toMatchObject({ code: 'DITTO_SOURCE_LAYOUT_CHANGED' });
  });

  test('end with the reason when aborted', async () => {
    const abort = new AbortController();
    const dispatchedSet = `${(await source.value('SELECT @@server_uuid')) ?? ''}:1-99999999`;
    const patient = new MySqlRowReader({ connection: source.connection, includes: source.includes });
    await source.run('CREATE TABLE IF NOT EXISTS waiting (id INT PRIMARY KEY)');
    const layout = await layoutOf('waiting');
    const read = patient.readChunk({ layout, after: null, limit: 5, dispatchedSet, signal: abort.signal });
    const outcome = expect(read).rejects.toThrow('enough');
    setTimeout(() => {
      abort.abort(new Error('enough'));
    }, 100);
    await outcome;
    patient.close();
  });

  test('estimates come from the catalogue', async () => {
    await source.run(
      'CREATE TABLE estimated (id INT PRIMARY KEY)',
      'INSERT INTO estimated VALUES (1), (2), (3)',
      'ANALYZE TABLE estimated',
    );
    const tables = [await layoutOf('estimated'), { database: source.database, table: 'missing' }];
    expect(await reader.estimateRows(tables, signal)).toEqual([expect.any(Number), 0]);
  });
});
