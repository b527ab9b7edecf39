import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { decodeSelection, type Row, type ScopeCondition, type SelectionScope, type TableLayout } from '#change-events';
import { MySqlRowReader } from '#mysql';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;
const STRANGE = 'we`ird\' "--x';
const EVIL = [
  "' OR 1=1 -- ",
  "\\' OR 1=1 -- ",
  '\\',
  "''; DROP TABLE rows; --",
  '") OR ("1"="1',
  '`',
  '\0',
  '%_',
  '🐬',
  '/*! OR 1 */',
];

let source: TestSource;
let reader: MySqlRowReader;
let asked: Connection;
let layout: TableLayout;

beforeAll(async () => {
  source = await TestSource.open('selected');
  const { host, port, user, password } = source.connection;
  asked = await createConnection({
    host,
    port,
    user,
    password,
    database: source.database,
    timezone: 'Z',
  });
  reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
  await asked.query(`CREATE TABLE \`rows\` (
    id INT PRIMARY KEY, big BIGINT UNSIGNED, amount DECIMAL(20,4), f FLOAT, d DOUBLE, name VARCHAR(60), latin
    VARCHAR(60) CHARACTER SET latin1, bin VARBINARY(60), flag BIT(1), bits BIT(12), day DATE, at TIME(2), moment DATETIME(6),
    stamp TIMESTAMP(3) NULL, size ENUM('small','it''s','large'), tags SET('a','b''c','d'), j JSON,
    \`${STRANGE.replaceAll('`', '``')}\` INT)`);
  for (const [id, text] of [...EVIL, 'plain', 'PLAIN', 'é'].entries())
    await asked.execute(
      `INSERT INTO \`rows\` VALUES (?, ?, ?, 0.1, 0.1, ?, ?, ?, 1, 5, '2026-02-03', '-12:00:00.5',
        '2026-02-03 04:05:06.000007', '2026-02-03 04:05:06.007', ELT(? % 3 + 1, 'small', 'it''s', 'large'),
        ELT(? % 3 + 1, 'a', 'a,b''c', ''), 'null', ?)`,
      [
        id,
        `1844674407370955${id + 1000}`,
        `${id}.5`,
        text,
        /[^\0-ÿ]/.test(text) ? '' : text,
        Buffer.from(text),
        id,
        id,
        id,
      ],
    );
  await asked.query('INSERT INTO `rows` (id) VALUES (100), (101)');
  layout = (await reader.readLayout({ database: source.database, table: 'rows' }, signal)) as TableLayout;
});
afterAll(async () => {
  await asked.end();
  reader.close();
  await source.close();
});

async function select(scope: SelectionScope, after: Row | null = null): Promise<unknown[]> {
  const selection = decodeSelection(layout, scope);
  const request = { layout, after, selection, limit: 1000, dispatchedSet: '', signal };
  const { rows } = await reader.readChunk(request);
  const ids = rows.map(([id]) => id);
  const all = [...Array(20).keys(), 100, 101].map((id) => [id, ...Array<null>(layout.columns.length - 1).fill(null)]);
  const absent = await reader.findAbsent({ layout, keys: all, selection, signal });
  if (after === null)
    expect(absent.map(([id]) => id)).toEqual(all.map(([id]) => id).filter((id) => !ids.includes(id as never)));
  return ids;
}

function filter(...where: ScopeCondition[]): Promise<unknown[]> {
  return select({ kind: 'filter', where });
}

/** By the server's own binding of parameters. */
async function expected(clause: string, values: readonly unknown[]): Promise<unknown[]> {
  const [rows] = await asked.execute<RowDataPacket[]>(
    `SELECT id FROM \`rows\` WHERE ${clause} ORDER BY id`,
    values as string[],
  );
  return rows.map(({ id }) => id as unknown);
}

describe('rows of a filter', () => {
  const OPS = ['=', '!=', '<', '<=', '>', '>='] as const;

  test.each([
    ['id', '3'],
    ['big', '18446744073709551004'],
    ['amount', '4.50'],
    ['d', '0.1'],
    ['name', 'plain'],
    ['latin', 'plain'],
    ['day', '2026-02-03'],
    ['day', '0000-00-00'],
    ['at', '-12:00:00.50'],
    ['moment', '2026-02-03T04:05:06.000007'],
    ['moment', '2026-02-03'],
    ['stamp', '2026-02-03T04:05:06.007Z'],
    [STRANGE, '2'],
  ])('are those of the server, whatever the operator: %s %s', async (column, value) => {
    const name = `\`${column.replaceAll('`', '``')}\``;
    const bound = column === 'stamp' || column === 'moment' ? value.replace('T', ' ').replace('Z', '') : value;
    for (const op of OPS) {
      const typed = /big|amount/.test(column) ? 'CAST(? AS DECIMAL(30,4))' : '?';
      expect([op, await filter({ column, op, value })]).toEqual([
        op,
        await expected(`${name} ${op} ${typed}`, [bound]),
      ]);
    }
  });

  test('of every text are the rows that have it, and no other', async () => {
    for (const column of ['name', 'bin'])
      for (const [id, text] of EVIL.entries()) {
        const value = column === 'bin' ? Buffer.from(text).toString('base64') : text;
        expect([text, await filter({ column, op: '=', value })]).toEqual([text, [id]]);
        expect(await filter({ column, op: 'in', value: [value, value] })).toEqual([id]);
      }
    expect(await filter({ column: 'name', op: '=', value: 'Plain' })).toEqual([10, 11]);
    // MySQL's own refusal, which no other attempt changes
    await expect(filter({ column: 'latin', op: '=', value: '🐬' })).rejects.toMatchObject({
      retriable: false,
      message: expect.stringMatching(/latin1/),
    });
    expect(await expected('1', [])).toHaveLength(15);
  });

  test('of the other kinds', async () => {
    const all = await expected('id < 100', []);
    expect(await filter({ column: 'f', op: '=', value: '0.1' })).toEqual(all);
    expect(await filter({ column: 'flag', op: '=', value: 'true' })).toEqual(all);
    expect(await filter({ column: 'bits', op: '>=', value: 'AAU=' })).toEqual(all);
    expect(await filter({ column: 'size', op: '!=', value: "it's" })).toEqual(all.filter((id) => Number(id) % 3 !== 1));
    expect(await filter({ column: 'tags', op: 'in', value: ["b'c,a", ''] })).toEqual(
      all.filter((id) => Number(id) % 3 !== 0),
    );
    expect(await filter({ column: 'j', op: 'is not null' })).toEqual(all);
    expect(await filter({ column: 'bits', op: 'is null' }, { column: 'id', op: '>', value: 100 })).toEqual([101]);
  });
});

test('a zero date is not NULL, whatever IS NULL says of a column that is NOT NULL', async () => {
  const lenient = await createConnection({ ...source.connection, database: source.database });
  await lenient.query("SET SESSION sql_mode = ''");
  await lenient.query(
    'CREATE TABLE zeros (id INT PRIMARY KEY, day DATE NOT NULL, moment DATETIME(3) NOT NULL, may DATE)',
  );
  await lenient.query("INSERT INTO zeros VALUES (1, '0000-00-00', 0, '0000-00-00'), (2, '2026-02-03', NOW(), NULL)");
  const [byServer] = await lenient.query<RowDataPacket[]>('SELECT id FROM zeros WHERE day IS NULL');
  expect(byServer).toEqual([{ id: 1 }]);
  await lenient.end();
  const zeros = (await reader.readLayout({ database: source.database, table: 'zeros' }, signal)) as TableLayout;
  const found = async (column: string, op: ScopeCondition['op']): Promise<unknown[]> => {
    const selection = decodeSelection(zeros, { kind: 'filter', where: [{ column, op }] });
    const request = { layout: zeros, after: null, selection, limit: 10, dispatchedSet: '', signal };
    return (await reader.readChunk(request)).rows.map(([id]) => id);
  };
  for (const column of ['day', 'moment']) expect([column, await found(column, 'is null')]).toEqual([column, []]);
  expect(await found('day', 'is not null')).toEqual([1, 2]);
  expect(await found('may', 'is null')).toEqual([2]);
});

test('rows of a range have both ends, and go on after a key', async () => {
  expect(await select({ kind: 'range', from: '[3]', to: '["7"]' })).toEqual([3, 4, 5, 6, 7]);
  expect(await select({ kind: 'range', from: '[3]', to: null }, [11])).toEqual([12, 100, 101]);
  expect(await select({ kind: 'range', from: null, to: '[1]' })).toEqual([0, 1]);
});
