import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type RowDataPacket } from 'mysql2/promise';
import { type Row } from '#change-events';
import { TestSource } from './test-source.ts';
import { canonicalJsonText } from '../src/values/json-text.ts';

const UPDATES = 1000;
const ROWS = 6;

let source: TestSource;
let from: string;

beforeAll(async () => {
  source = await TestSource.open('partial');
  await source.tagTransactions();
  await source.run(
    'CREATE TABLE t (id INT PRIMARY KEY, a JSON, v VARCHAR(50), b JSON NOT NULL, n BIGINT)',
    'CREATE TABLE other (id INT PRIMARY KEY, j JSON, k JSON, v VARCHAR(10))',
  );
});
afterAll(async () => {
  await source.close();
});
beforeEach(async () => {
  await source.run("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'", 'DELETE FROM t', 'DELETE FROM other');
  from = await source.executedSet();
});
afterEach(async () => {
  await source.run('SET SESSION binlog_transaction_compression = OFF');
});

function canonicalRow(row: RowDataPacket): Row {
  const { id, a, v, b, n } = row as unknown as { id: number; a: string | null; v: string; b: string; n: number };
  return [id, a === null ? null : canonicalJsonText(a), v, canonicalJsonText(b), n];
}

async function selectRows(): Promise<Row[]> {
  const [rows] = await source.admin.query<RowDataPacket[]>(
    'SELECT id, CAST(a AS CHAR) AS a, v, CAST(b AS CHAR) AS b, n FROM t ORDER BY id',
  );
  return rows.map(canonicalRow);
}

/** A repeatable sequence. */
function makeRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const MEMBERS = ['a', 'b', 'list', 'c d', 'é', '\\"q\\"', 'a.b[0]', '_$1', '', 'line\\nbreak', '日本'];
const VALUES = [
  '1',
  '-129',
  '70000',
  '-3000000000',
  '9007199254740993',
  '18446744073709551615',
  '1.5e0',
  '-0.0e0',
  '1e300',
  'CAST(1.50 AS DECIMAL(10,2))',
  'CAST(123456789012345678901234567890.12 AS DECIMAL(40,2))',
  "'text'",
  `'${'long '.repeat(60)}'`,
  "'ü\\\\n\\'\\\"€😀'",
  'true',
  'CAST(NULL AS JSON)',
  "CAST('null' AS JSON)",
  "CAST('[]' AS JSON)",
  "CAST('{}' AS JSON)",
  `CAST('[1, [2, {"x": [3]}], "y"]' AS JSON)`,
  `CAST('{"b": {"list": [1, 2, 3]}, "a": [0], "é": {}}' AS JSON)`,
  "CAST('2026-02-03 04:05:06.000007' AS DATETIME(6))",
  "CAST('-838:59:59' AS TIME)",
  "CAST('2026-02-03' AS DATE)",
  "CAST(X'00ff10' AS BINARY)",
];
const START = `CAST(CONCAT('{"a": {"b": [1, 2, {"c d": 3}], "é": "x"}, "b": {"list": [[1], [2], [3]], "a.b[0]": 1},
  "list": [1, "two", {"a": {"a": {"a": 1}}}, [4, 5]], "pad": "', REPEAT('p', 400), '"}') AS JSON)`;

function makeStatement(random: (below: number) => number): string {
  const pick = <T>(values: readonly T[]): T => values[random(values.length)] as T;
  const path = (): string => {
    let text = '$';
    for (let depth = 1 + random(4); depth > 0; depth--) {
      const cell = pick(['[0]', '[1]', '[2]', '[7]', '[last]', '[last-1]']);
      text += random(3) === 0 ? cell : `."${pick(random(2) === 0 ? MEMBERS.slice(0, 3) : MEMBERS)}"`;
    }
    return `'${text.replaceAll('\\', '\\\\')}'`;
  };
  const pairs = (): string => Array.from({ length: 1 + random(3) }, () => `${path()}, ${pick(VALUES)}`).join(', ');
  const change = (column: string): string => {
    switch (random(5)) {
      case 0:
        return `${column} = JSON_REMOVE(${column}, ${path()})`;
      case 1:
        return `${column} = JSON_REPLACE(${column}, ${pairs()})`;
      case 2:
        return `${column} = JSON_SET(JSON_REMOVE(${column}, ${path()}), ${pairs()})`;
      default:
        return `${column} = JSON_SET(${column}, ${pairs()})`;
    }
  };
  const where = random(4) === 0 ? '' : ` WHERE id = ${1 + random(ROWS)}`;
  // from time to time something that leaves no diff
  const a = random(40) === 0 ? pick(['a = NULL', `a = ${START}`, "a = JSON_ARRAY(1, 'x')"]) : change('a');
  const b = random(30) === 0 ? `b = ${START}` : change('b');
  const changes = [a, b, `n = n + 1, v = '${random(1000)}'`].filter(() => random(3) > 0);
  return `UPDATE t SET ${changes.length === 0 ? a : changes.join(', ')}${where}`;
}

test(`${UPDATES} random updates come with the documents that SELECT shows`, async () => {
  const random = makeRandom(20260203);
  const logEnd = await source.logEnd();
  await source.run(
    `INSERT INTO t VALUES ${Array.from({ length: ROWS }, (_, i) => `(${i + 1}, ${START}, 'v', ${START}, 0)`).join(', ')}`,
  );
  const states = [await selectRows()];
  for (let i = 0; i < UPDATES; i++) {
    if (i % 500 === 250) await source.run('SET SESSION binlog_transaction_compression = ON');
    if (i % 500 === 450) await source.run('SET SESSION binlog_transaction_compression = OFF');
    await source.run(makeStatement(random));
    states.push(await selectRows());
  }
  const events = (await source.eventTypes(logEnd)).filter((type) => type === 'Update_rows_partial');
  expect(events.length).toBeGreaterThan(UPDATES / 2);

  const rows = new Map<unknown, Row>();
  const streamed: Row[][] = [];
  for (const item of await source.readItems(from)) {
    if (item.type === 'end') streamed.push([...rows.values()].sort((x, y) => Number(x[0]) - Number(y[0])));
    if (item.type !== 'rows') continue;
    item.before?.forEach((row) => {
      expect(row).toEqual(rows.get(row[0]));
    });
    for (const row of item.after ?? []) rows.set(row[0], row);
  }
  // updates that change nothing are not in the log
  const changed = states.filter((state, i) => i === 0 || JSON.stringify(state) !== JSON.stringify(states[i - 1]));
  const changes = streamed.filter((state, i) => i === 0 || JSON.stringify(state) !== JSON.stringify(streamed[i - 1]));
  expect(changes).toHaveLength(changed.length);
  changes.forEach((state, i) => expect(state).toEqual(changed[i]));
}, 120_000);

describe('a partial update', () => {
  test('of tables that are not included counts its rows', async () => {
    const documents = Array.from({ length: 11 }, (_, i) => `(${i}, ${START}, ${i % 2 === 0 ? 'NULL' : START}, NULL)`);
    await source.run(
      `INSERT INTO other VALUES ${documents.join(', ')}`,
      `INSERT INTO t VALUES (1, ${START}, 'v', ${START}, 0)`,
    );
    from = await source.executedSet();
    await source.run(
      'BEGIN',
      "UPDATE other SET j = JSON_SET(j, '$.a.b[1]', 'changed'), k = JSON_REMOVE(k, '$.list[0]')",
      "UPDATE t SET a = JSON_SET(a, '$.new', 1)",
      "UPDATE t SET v = 'w'",
      'COMMIT',
    );
    const includes = (database: string, table: string): boolean => database === source.database && table === 't';
    const items = await source.readItems(from, source.source(), includes);
    expect(items.map((item) => (item.type === 'rows' ? item.firstRowIndex : item.type))).toEqual([
      'begin',
      11,
      12,
      'end',
    ]);
  });

  test('of a prepared transaction waits like any other', async () => {
    await source.run(`INSERT INTO t VALUES (1, ${START}, 'v', ${START}, 0)`);
    from = await source.executedSet();
    const xid = `'${source.database}'`;
    await source.run(
      `XA START ${xid}`,
      "UPDATE t SET a = JSON_SET(a, '$.new', 1)",
      `XA END ${xid}`,
      `XA PREPARE ${xid}`,
    );
    await source.run(`XA COMMIT ${xid}`);
    const [update] = await source.readRows(from);
    expect(update?.after).toEqual(await selectRows());
    expect(update?.after?.[0]?.[1]).toContain('"new": 1');
  });

  test('of a row with minimal images is refused as such', async () => {
    await source.run(`INSERT INTO t VALUES (1, ${START}, 'v', ${START}, 0)`);
    from = await source.executedSet();
    await source.run('SET SESSION binlog_row_image = MINIMAL', "UPDATE t SET a = JSON_SET(a, '$.new', 1)");
    await source.run('SET SESSION binlog_row_image = FULL');
    await expect(source.readItems(from)).rejects.toMatchObject({ code: 'DITTO_SOURCE_ROW_IMAGE' });
  });
});
