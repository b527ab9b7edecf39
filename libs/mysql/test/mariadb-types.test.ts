import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MySqlRowReader } from '#mysql';
import { type CanonicalValue, type Column, type Row, type TableLayout } from '#change-events';
import { OwnServer } from '#testing';
import { TestSource } from './test-source.ts';
import { TYPE_CASES, type TypeCase } from './type-cases.ts';

/** MariaDB has no JSON of its own, no SRID in a column's type, and no VECTOR before 11.7. */
const COMMON_CASES = TYPE_CASES.filter(({ type }) => !/^(?:JSON|VECTOR)|SRID/.test(type));

const CASES: readonly TypeCase[] = [
  ...COMMON_CASES,
  { type: 'JSON', values: ['\'{"b": 1.50,\\n "a": [1, null]}\'', '\'"é"\'', "'null'"] },
  { type: 'VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci', values: ["'a'", "'é😀'"] },
  { type: 'CHAR(10) CHARACTER SET ucs2 COLLATE ucs2_uca1400_nopad_as_cs', values: ["'a'", "'é€'"] },
  { type: 'INT AS (id * 2) VIRTUAL', values: ['DEFAULT', 'DEFAULT'] },
  { type: 'VARCHAR(20) AS (CONCAT(id, 2)) STORED', values: ['DEFAULT'] },
  { type: 'INT INVISIBLE', values: ['5'] },
  {
    type: 'DECIMAL(65,38)',
    values: [
      "'123456789012345678901234567.12345678901234567890123456789012345678'",
      "'-0.00000000000000000000000000000000000001'",
    ],
  },
  ...['gbk', 'sjis', 'euckr', 'ujis', 'big5'].map((charset) => ({
    type: `VARCHAR(20) CHARACTER SET ${charset}`,
    values: ["'plain'", "'日本'"],
  })),
];

/** MariaDB's own words for a value, and the same of Ditto's canonical value. */
function oracle(column: Column): { readonly sql: string; readonly of: (value: CanonicalValue) => string } {
  const asText = (value: CanonicalValue): string => String(value);
  const hex = (value: CanonicalValue): string => (value as Buffer).toString('hex').toUpperCase();
  switch (column.kind) {
    case 'float':
      return { sql: 'CONCAT(CAST(v AS DOUBLE))', of: (value) => doubleBits(Math.fround(Number(value))) };
    case 'double':
      return { sql: 'CONCAT(v * 1e0)', of: (value) => doubleBits(Number(value)) };
    case 'integer':
    case 'bigint':
    case 'decimal':
      return { sql: 'CAST(v + 0 AS CHAR)', of: asText };
    case 'text':
      return { sql: 'HEX(CONVERT(v USING utf8mb4))', of: (value) => hex(Buffer.from(value as string)) };
    case 'bytes':
    case 'geometry':
      return { sql: 'HEX(v)', of: hex };
    case 'bits':
      return { sql: 'CAST(CAST(v AS UNSIGNED) AS CHAR)', of: (value) => BigInt(`0x${hex(value)}`).toString() };
    case 'boolean':
      return { sql: 'v + 0', of: (value) => (value === true ? '1' : '0') };
    case 'datetime':
    case 'timestamp':
      return { sql: 'CAST(v AS CHAR)', of: (value) => String(value).replace('T', ' ').replace('Z', '') };
    case 'date':
    case 'time':
    case 'enum':
    case 'set':
      return { sql: 'CAST(v AS CHAR)', of: asText };
    case 'json':
    case 'vector':
      throw new Error(`MariaDB has no columns of the kind ${column.kind}`);
  }
}

function doubleBits(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString('hex');
}

describe('every type on MariaDB: snapshot value = stream value = MariaDB’s own', () => {
  let server: OwnServer;
  let source: TestSource;
  let layouts: readonly TableLayout[];
  const streamed = new Map<string, { layout: TableLayout; rows: Row[] }>();
  let reader: MySqlRowReader;
  let executed: string;

  beforeAll(async () => {
    server = await OwnServer.start('mariadb');
    source = await TestSource.open('types', server.url);
    await source.run('SET GLOBAL log_bin_compress_min_len = 10');
    const from = await source.executedSet();
    for (const [i, { type, values }] of CASES.entries()) {
      await source.run(`CREATE TABLE t${i} (id INT PRIMARY KEY, v ${type})`);
      const isGenerated = values.includes('DEFAULT');
      const rows = isGenerated ? values : [...values, 'NULL'];
      for (const [id, value] of rows.entries())
        await source.run(
          `SET GLOBAL log_bin_compress = ${id % 2}`,
          `INSERT INTO t${i} (id, v) ${isGenerated ? `VALUES (${id}, ${value})` : `SELECT ${id}, ${value}`}`,
        );
    }
    for (const { layout, after } of await source.readRows(from)) {
      const table = streamed.get(layout.table) ?? { layout, rows: [] };
      table.rows.push(...(after ?? []));
      streamed.set(layout.table, table);
    }
    reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
    layouts = await reader.listTables(new AbortController().signal);
    executed = await source.executedSet();
  }, 300_000);

  afterAll(async () => {
    reader.close();
    await source.close();
    await server.end();
  });

  test.each(CASES.map(({ type, values }, i) => [type.slice(0, 60), `t${i}`, values] as const))(
    '%s',
    async (_type, table, values) => {
      const layout = layouts.find((candidate) => candidate.table === table);
      const stream = streamed.get(table);
      if (layout === undefined || stream === undefined) throw new Error(`${table} was not read`);
      const chunk = await reader.readChunk({
        layout,
        after: null,
        limit: 1000,
        dispatchedSet: executed,
        signal: new AbortController().signal,
      });
      expect(stream.layout.fingerprint).toBe(layout.fingerprint);
      expect(stream.rows).toEqual(chunk.rows);
      expect(chunk.rows).toHaveLength(values.includes('DEFAULT') ? values.length : values.length + 1);
      const column = layout.columns[1];
      if (column === undefined) throw new Error('no column');
      const { sql, of } = oracle(column);
      for (const [id, canonical] of chunk.rows) {
        const own = await source.value(`SELECT ${sql} FROM ${table} WHERE id = ${String(id)}`);
        if (own === null || canonical === null || canonical === undefined) expect(canonical).toBe(own);
        else if (column.kind === 'float' || column.kind === 'double')
          expect(of(canonical)).toBe(doubleBits(Number(own)));
        else expect(of(canonical)).toBe(own);
      }
    },
  );
});
