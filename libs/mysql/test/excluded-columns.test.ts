import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { compileColumnSelection, type Row, type TableLayout } from '#change-events';
import { silentLogger } from '#kernel';
import { checkEndpoint, MySqlChangeSource, MySqlEndpoint, MySqlRowReader } from '#mysql';
import { canonicalJsonText } from '../src/values/json-text.ts';
import { type RowsItem, TestSource } from './test-source.ts';

const signal = new AbortController().signal;
let source: TestSource;
let from: string;

beforeAll(async () => {
  source = await TestSource.open('excluded');
});
afterAll(() => source.close());
beforeEach(async () => {
  from = await source.executedSet();
});

const without = (...columns: readonly string[]): ReturnType<typeof compileColumnSelection> =>
  compileColumnSelection(columns.map((column) => `${source.database}.${column}`));

async function stream(columns: ReturnType<typeof without>, keys = {}): Promise<RowsItem[]> {
  const { connection } = source;
  const items = await source.readItems(
    from,
    new MySqlChangeSource({ connection, logger: silentLogger, columns, keys }),
  );
  return items.filter((item) => item.type === 'rows');
}

async function snapshot(
  table: string,
  columns: ReturnType<typeof without>,
  connection = source.connection,
): Promise<{ layout: TableLayout; rows: readonly Row[] }> {
  const reader = new MySqlRowReader({ connection, includes: source.includes, columns });
  try {
    const layout = (await reader.listTables(signal)).find((listed) => listed.table === table);
    if (layout === undefined) throw new Error(`no table ${table}`);
    const { rows } = await reader.readChunk({ layout, after: null, limit: 100, dispatchedSet: '', signal });
    return { layout, rows };
  } finally {
    reader.close();
  }
}

const named = ({ columns }: TableLayout): string[] => columns.map(({ name }) => name);

test('snapshot and stream give the same rows, of one layout, without what is excluded', async () => {
  await source.run(
    `CREATE TABLE wide (secret VARCHAR(300), a INT, Blobs LONGBLOB, b VARCHAR(20), day DATE, id BIGINT, price DECIMAL(12,3),
       tenant INT, kind ENUM('x', 'y'), last TEXT, PRIMARY KEY (tenant, id))`,
    `INSERT INTO wide VALUES
       (REPEAT('s', 300), 1, REPEAT('b', 100000), 'one', '2026-02-03', 7, -1.5, 3, 'y', 'l'),
       (NULL, NULL, NULL, NULL, NULL, 8, NULL, 3, NULL, NULL),
       ('s', 2, 'b', 'two', '2026-02-04', 9, 9.999, 3, 'x', NULL)`,
    "UPDATE wide SET secret = 'other', blobs = NULL WHERE id = 9",
    'DELETE FROM wide WHERE id = 8',
  );
  const columns = without('wide.secret', 'wide.blobs', 'wide.day', 'wide.last');
  const items = await stream(columns);
  const [created] = items;
  const images = (op: string, image: 'before' | 'after'): Row[] =>
    items.flatMap((item) => (item.op === op ? (item[image] ?? []) : []));
  const rows = [
    [1, 'one', 7, '-1.500', 3, 'y'],
    [null, null, 8, null, 3, null],
    [2, 'two', 9, '9.999', 3, 'x'],
  ];
  expect(images('create', 'after')).toEqual(rows);
  expect([images('update', 'before'), images('update', 'after')]).toEqual([[rows[2]], [rows[2]]]);
  expect(images('delete', 'before')).toEqual([rows[1]]);
  expect(created && named(created.layout)).toEqual(['a', 'b', 'id', 'price', 'tenant', 'kind']);
  expect(created?.layout.key).toEqual([4, 2]);
  const read = await snapshot('wide', columns);
  expect(read.rows).toEqual([rows[0], rows[2]]);
  expect(read.layout).toEqual(created?.layout);
  expect(read.layout.fingerprint).not.toMatch(/secret|blobs|day|last/i);
});

describe('an excluded column', () => {
  test('may hold what can not be decoded, be of any character set, or hold labels in it', async () => {
    await source.run(
      `CREATE TABLE broken (id INT PRIMARY KEY, bad VARCHAR(9) CHARACTER SET gbk,
         labelled ENUM('ä', 'ö') CHARACTER SET sjis COLLATE sjis_bin, note VARCHAR(9))`,
    );
    from = await source.executedSet();
    await source.run("INSERT INTO broken (id, bad, note) VALUES (1, CONVERT(X'61FEFE' USING gbk), 'kept')");
    await expect(stream(without())).rejects.toMatchObject({ code: 'DITTO_SOURCE_TEXT_INVALID' });
    await expect(snapshot('broken', without())).rejects.toMatchObject({ code: 'DITTO_SOURCE_TEXT_INVALID' });
    const columns = without('broken.bad', 'broken.labelled');
    expect((await stream(columns))[0]?.after).toEqual([[1, 'kept']]);
    expect((await snapshot('broken', columns)).rows).toEqual([[1, 'kept']]);
  });

  test('of JSON may be updated in part, before and after documents that are read', async () => {
    const document = `CAST(CONCAT('{"a": {"b": [1, 2]}, "pad": "', REPEAT('p', 400), '"}') AS JSON)`;
    await source.run(
      'CREATE TABLE documents (id INT PRIMARY KEY, x JSON, v INT, y JSON, z JSON)',
      `INSERT INTO documents VALUES (1, ${document}, 1, ${document}, ${document}), (2, ${document}, 2, ${document}, NULL)`,
      "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
    );
    from = await source.executedSet();
    const logEnd = await source.logEnd();
    await source.run(
      `UPDATE documents SET x = JSON_SET(x, '$.a.b[1]', 'secret', '$.new', 1), y = JSON_SET(y, '$.a.b[1]', 3),
         z = JSON_REMOVE(z, '$.a.b[0]'), v = v + 1`,
      "UPDATE documents SET x = JSON_SET(x, '$.a', 2)",
      'UPDATE documents SET x = NULL, v = 9',
    );
    await source.run("SET SESSION binlog_row_value_options = ''");
    expect((await source.eventTypes(logEnd)).filter((type) => type === 'Update_rows_partial').length).toBeGreaterThan(
      1,
    );
    const y = canonicalJsonText(String(await source.value('SELECT CAST(y AS CHAR) FROM documents WHERE id = 1')));
    const z = canonicalJsonText(String(await source.value('SELECT CAST(z AS CHAR) FROM documents WHERE id = 1')));
    for (const excluded of [['documents.x'], ['documents.x', 'documents.z'], ['documents.x', 'documents.y']]) {
      const values = (id: number, v: number): unknown[] => [
        id,
        v,
        ...(excluded.includes('documents.y') ? [] : [y]),
        ...(excluded.includes('documents.z') ? [] : [id === 1 ? z : null]),
      ];
      const items = await stream(without(...excluded));
      expect(items.map(({ after }) => after)).toEqual([
        [values(1, 2), values(2, 3)],
        [values(1, 2), values(2, 3)],
        [values(1, 9), values(2, 9)],
      ]);
    }
  });

  test('must be in the row images as well: what is absent is reported', async () => {
    await source.run(
      'CREATE TABLE minimal (id INT PRIMARY KEY, v INT, secret BLOB)',
      "INSERT INTO minimal VALUES (1, 1, 's')",
    );
    from = await source.executedSet();
    await source.run('SET SESSION binlog_row_image = NOBLOB', 'UPDATE minimal SET v = 2');
    await source.run('SET SESSION binlog_row_image = FULL');
    const row = stream(without('minimal.secret'));
    await expect(row).rejects.toMatchObject({ code: 'DITTO_SOURCE_ROW_IMAGE' });
  });

  test('changes neither the layout of rows nor the layout of chunks by anything that becomes of it', async () => {
    await source.run('CREATE TABLE altered (id INT PRIMARY KEY, secret INT, v INT)');
    from = await source.executedSet();
    const forms = [
      'MODIFY secret VARCHAR(300)',
      'MODIFY secret JSON',
      'CHANGE secret Secret_2 DECIMAL(30,2) AFTER v',
      'DROP COLUMN secret_2',
      'ADD COLUMN secret_3 ENUM("a") FIRST, ADD COLUMN secret_4 LONGTEXT',
    ];
    const columns = without('altered.secret*');
    const layouts = new Set<string>();
    await source.run('INSERT INTO altered (id, v) VALUES (0, 0)');
    for (const [i, form] of forms.entries()) {
      await source.run(`ALTER TABLE altered ${form}`, `INSERT INTO altered (id, v) VALUES (${i + 1}, ${i + 1})`);
      layouts.add((await snapshot('altered', columns)).layout.fingerprint);
    }
    const items = await stream(columns);
    const rows = items.flatMap(({ after }) => after ?? []);
    expect(rows).toEqual([...forms.keys(), forms.length].map((i) => [i, i]));
    // one object: nothing is prepared or compiled again for the sinks
    expect(new Set(items.map(({ layout }) => layout)).size).toBe(1);
    expect([...layouts]).toEqual([items[0]?.layout.fingerprint]);
    await source.run('ALTER TABLE altered RENAME COLUMN secret_4 TO open');
    expect(named((await snapshot('altered', columns)).layout)).toEqual(['id', 'v', 'open']);
  });
});

describe('a column of the key', () => {
  const needed = (...columns: readonly string[]): object =>
    expect.objectContaining({
      code: 'DITTO_SOURCE_COLUMN_NEEDED',
      message: expect.stringMatching(
        new RegExp(`: ${columns.map((column) => `${source.database}.${column}`).join(', ')}\\b`),
      ),
    });

  beforeAll(async () => {
    await source.run(
      'CREATE TABLE pair (a INT, v INT, b INT, PRIMARY KEY (b, a))',
      'CREATE TABLE serving (u INT NOT NULL UNIQUE, v INT)',
      'CREATE TABLE keyless (v INT, w INT)',
      'CREATE TABLE other (id INT PRIMARY KEY, u INT NOT NULL UNIQUE)',
    );
    from = await source.executedSet();
  });

  test('can not be excluded: snapshot, stream and check name all of them', async () => {
    await source.run('INSERT INTO pair VALUES (1, 1, 1)');
    const columns = without('pair.a', 'pair.b', 'serving.u', 'keyless.*', 'other.id');
    await expect(snapshot('pair', columns)).rejects.toEqual(
      needed('keyless.v', 'keyless.w', 'other.id', 'pair.b', 'pair.a', 'serving.u'),
    );
    await expect(stream(columns)).rejects.toEqual(needed('pair.b', 'pair.a'));
    const endpoint = new MySqlEndpoint(source.connection);
    const tables = await endpoint.inspectTables(source.includes, { columns }, signal);
    const problems = checkEndpoint(await endpoint.inspect(signal), tables, await endpoint.readGrants(signal));
    const [problem] = problems.filter(({ severity }) => severity === 'error');
    expect(problem).toEqual(needed('keyless.v', 'keyless.w', 'other.id', 'pair.b', 'pair.a', 'serving.u'));
    expect(problem).toMatchObject({ remedy: expect.stringContaining('excludeColumns') });
  });

  test('may be excluded where the configuration names another key', async () => {
    await source.run('INSERT INTO other VALUES (1, 10)');
    const columns = without('other.id');
    const keys = { [`${source.database}.other`]: ['u'] };
    const [item] = await stream(columns, keys);
    expect([item?.after, item?.layout.key]).toEqual([[[10]], [0]]);
  });

  test('I6: an excluded column that a statement makes part of the key stops the stream before the row', async () => {
    await source.run('CREATE TABLE rekeyed (id INT PRIMARY KEY, secret INT NOT NULL)');
    from = await source.executedSet();
    await source.run(
      'INSERT INTO rekeyed VALUES (1, 1)',
      'ALTER TABLE rekeyed DROP PRIMARY KEY, ADD PRIMARY KEY (id, secret)',
    );
    const columns = without('rekeyed.secret');
    expect((await stream(columns)).flatMap(({ after }) => after)).toEqual([[1]]);
    await source.run('INSERT INTO rekeyed VALUES (2, 2)');
    await expect(stream(columns)).rejects.toEqual(needed('rekeyed.secret'));
    await expect(snapshot('rekeyed', columns)).rejects.toEqual(needed('rekeyed.secret'));
  });
});

test('SELECT on the other columns is enough, with REFERENCES to see that there is no other', async () => {
  await source.run(
    'CREATE TABLE guarded (id INT PRIMARY KEY, secret INT, v INT)',
    'INSERT INTO guarded VALUES (1, 2, 3)',
  );
  const user = await source.createUser('REPLICATION SLAVE, REPLICATION CLIENT', '');
  const endpoint = new MySqlEndpoint(user);
  const columns = without('guarded.secret');
  const includes = (database: string, table: string): boolean =>
    source.includes(database, table) && table === 'guarded';
  const codes = async (): Promise<string[]> => {
    const tables = await endpoint.inspectTables(includes, { columns }, signal);
    return checkEndpoint(await endpoint.inspect(signal), tables, await endpoint.readGrants(signal)).map(
      ({ code }) => code,
    );
  };
  await source.run(`GRANT SELECT (id, v) ON ${source.database}.guarded TO ${user.user}`);
  expect(await codes()).toContain('DITTO_SOURCE_GRANT_MISSING');
  await source.run(`GRANT REFERENCES ON ${source.database}.guarded TO ${user.user}`);
  expect(await codes()).toEqual([]);
  expect((await snapshot('guarded', columns, user)).rows).toEqual([[1, 3]]);
  await source.run('ALTER TABLE guarded ADD COLUMN late INT');
  expect(await codes()).toContain('DITTO_SOURCE_GRANT_MISSING');
});
