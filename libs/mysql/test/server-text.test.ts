import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openRowReader } from '#mysql';
import { testStack } from '#testing';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;
const LONG = 'é'.repeat(40_000);

/** Columns with a value as SQL and the text that the server makes of it. */
const CASES: readonly (readonly [declaration: string, value: string, text: string])[] = [
  ['INT(5) ZEROFILL', '42', '00042'],
  ['BIGINT UNSIGNED', '18446744073709551615', '18446744073709551615'],
  ['YEAR', '0', '0000'],
  ['DECIMAL(40,2)', "'12345678901234567890123456789012345678.90'", '12345678901234567890123456789012345678.90'],
  ['FLOAT', '0.1', '0.10000000149011612'],
  ['DOUBLE', '1.7976931348623157e308', '1.7976931348623157e308'],
  ['BIT(1)', "b'1'", 'true'],
  ['BIT(9)', "b'100000001'", '0101'],
  ['CHAR(3) CHARACTER SET latin1', "_utf8mb4 X'c3a9'", 'C3A9'],
  ['LONGTEXT', `'${LONG}'`, `sha256:${createHash('sha256').update(LONG).digest('hex')}`],
  ['VARBINARY(4)', "X'00ff'", '00FF'],
  ["ENUM('a', 'b')", "'b'", '62'],
  ["SET('a', 'b')", "'a,b'", '612C62'],
  ['DATE', "'0000-00-00'", '0000-00-00'],
  ['TIME(2)', "'-838:59:59'", '-838:59:59.00'],
  ['DATETIME(3)', "'2026-01-02 03:04:05.007'", '2026-01-02T03:04:05.007'],
  ['TIMESTAMP(6) NULL', "'2026-01-02 03:04:05.000007'", '2026-01-02T03:04:05.000007Z'],
];
const ON_MYSQL: typeof CASES = [
  ['JSON', `'{"b": 1.50, "a": [null]}'`, '{"a": [null], "b": 1.5}'],
  ['GEOMETRY SRID 4326', "ST_GeomFromText('POINT(1 2)', 4326, 'axis-order=long-lat')", 'E6100000'],
  ['VECTOR(1)', "STRING_TO_VECTOR('[0.5]')", '0000003F'],
];

describe.each([
  ['mysql-primary', [...CASES, ...ON_MYSQL]],
  ['mariadb', CASES],
] as const)('texts that %s makes', (server, cases) => {
  let source: TestSource;
  beforeAll(async () => {
    source = await TestSource.open('texts', (await testStack()).url(server));
    const columns = cases.map(([declaration], i) => `c${i} ${declaration}`);
    await source.run(`CREATE TABLE t (k CHAR(2), j DOUBLE, ${columns.join(', ')}, PRIMARY KEY (j, k))`);
    await source.run(`INSERT INTO t VALUES ('a', 0.1, ${cases.map(([, value]) => value).join(', ')})`);
    await source.run("INSERT INTO t (k, j) VALUES ('b', 0.1)");
  });
  afterAll(async () => {
    await source.close();
  });

  test('follow the columns of a row, of which only the key has values', async () => {
    const reader = openRowReader({
      streamed: source.connection,
      replica: null,
      includes: source.includes,
      givesTexts: true,
    });
    const layout = await reader.readLayout({ database: source.database, table: 't' }, signal);
    if (layout === null) throw new Error('no table');
    const read = await reader.readChunk({ layout, after: null, limit: 10, dispatchedSet: '', signal });
    expect(read).toMatchObject({ complete: true, lastKey: [0.1, 'b'] });
    const [row = [], nulls = []] = read.rows;
    const count = layout.columns.length;
    expect(row.slice(0, count)).toEqual(['a', 0.1, ...cases.map(() => null)]);
    const texts = row.slice(count);
    expect(texts.slice(0, 2)).toEqual(['61', '0.1']);
    for (const [i, [declaration, , text]] of cases.entries()) {
      const found = String(texts[i + 2]);
      expect([declaration, found.slice(0, text.length)]).toEqual([declaration, text]);
      if (!declaration.startsWith('GEOMETRY')) expect(found.length).toBe(text.length);
    }
    expect(nulls.slice(0, 2)).toEqual(['b', 0.1]);
    expect(nulls.slice(count + 2)).toEqual(cases.map(() => null));
    const { rows } = await reader.readKeys({ layout, keys: [nulls], dispatchedSet: '', signal });
    expect(rows).toEqual([nulls]);
    reader.close();
  });
});
