import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MySqlRowReader } from '#mysql';
import {
  type CanonicalValue,
  type Column,
  compileJsonRowEncoder,
  type Row,
  type TableLayout,
  VALUE_TYPE,
  ValueImages,
} from '#change-events';
import { TestSource } from './test-source.ts';
import { TYPE_CASES } from './type-cases.ts';

/** MySQL's own words for a value, and the same of Ditto's canonical value. */
function oracle(column: Column): { readonly sql: string; readonly of: (value: CanonicalValue) => string } {
  const asText = (value: CanonicalValue): string => String(value);
  const hex = (value: CanonicalValue): string => (value as Buffer).toString('hex').toUpperCase();
  switch (column.kind) {
    case 'float':
      return { sql: 'CAST(CAST(v AS DOUBLE) AS JSON)', of: (value) => doubleText(Math.fround(Number(value))) };
    case 'double':
      return { sql: 'CAST(CAST(v AS DOUBLE) AS JSON)', of: (value) => doubleText(Number(value)) };
    case 'integer':
    case 'bigint':
    case 'decimal':
      return { sql: 'v + 0', of: asText };
    case 'text':
      return { sql: 'HEX(CONVERT(v USING utf8mb4))', of: (value) => hex(Buffer.from(value as string)) };
    case 'bytes':
    case 'geometry':
    case 'vector':
      return { sql: 'HEX(v)', of: hex };
    case 'bits':
      return { sql: 'CAST(v AS UNSIGNED)', of: (value) => BigInt(`0x${hex(value)}`).toString() };
    case 'boolean':
      return { sql: 'v + 0', of: (value) => (value === true ? '1' : '0') };
    case 'datetime':
      return { sql: 'CAST(v AS CHAR)', of: (value) => String(value).replace('T', ' ') };
    case 'timestamp':
      return { sql: 'CAST(v AS CHAR)', of: (value) => String(value).replace('T', ' ').replace('Z', '') };
    case 'date':
    case 'time':
    case 'enum':
    case 'set':
    case 'json':
      return { sql: 'CAST(v AS CHAR)', of: asText };
  }
}

/** Numbers as the driver may have read them: compared by value where the texts may differ. */
function sameJson(a: string, b: string): boolean {
  return JSON.stringify(sortKeys(JSON.parse(a))) === JSON.stringify(sortKeys(JSON.parse(b)));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => [key, sortKeys(member)]);
}

describe('every type: snapshot value = stream value = MySQL’s own', () => {
  let source: TestSource;
  let layouts: readonly TableLayout[];
  const streamed = new Map<string, { layout: TableLayout; rows: Row[] }>();
  let reader: MySqlRowReader;
  let executed: string;

  beforeAll(async () => {
    source = await TestSource.open('types');
    const from = await source.executedSet();
    for (const [i, { type, values }] of TYPE_CASES.entries()) {
      await source.run(`CREATE TABLE t${i} (id INT PRIMARY KEY, v ${type})`);
      const rows = [...values, 'NULL'].map((value, id) => `SELECT ${id} AS id, ${value} AS v`);
      for (const row of rows) await source.run(`INSERT INTO t${i} ${row}`);
    }
    for (const { layout, after } of await source.readRows(from)) {
      const table = streamed.get(layout.table) ?? { layout, rows: [] };
      table.rows.push(...(after ?? []));
      streamed.set(layout.table, table);
    }
    reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
    layouts = await reader.listTables(new AbortController().signal);
    executed = await source.executedSet();
  }, 60_000);

  afterAll(async () => {
    reader.close();
    await source.close();
  });

  test('of every kind of column', () => {
    const kinds = layouts.map(({ columns }) => columns[1]?.kind);
    expect(kinds).toEqual(expect.arrayContaining(Object.keys(VALUE_TYPE)));
  });

  test.each(TYPE_CASES.map(({ type, values }, i) => [type.slice(0, 60), `t${i}`, values.length] as const))(
    '%s',
    async (_type, table, valueCount) => {
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
      await expectSameJson(reader, layout, chunk.rows, executed);
      expect(stream.rows).toEqual(chunk.rows);
      expect(chunk.rows).toHaveLength(valueCount + 1);
      const value = layout.columns[1];
      if (value === undefined) throw new Error('no column');
      const { sql, of } = oracle(value);
      for (const [id, canonical] of chunk.rows) {
        const own = await source.value(`SELECT ${sql} FROM ${table} WHERE id = ${String(id)}`);
        if (own === null || canonical === null || canonical === undefined) expect(canonical).toBe(own);
        else if (value.kind === 'json') expect(sameJson(of(canonical), own)).toBe(true);
        else if (value.kind === 'float' || value.kind === 'double') expect(of(canonical)).toBe(doubleText(Number(own)));
        else expect(of(canonical)).toBe(own);
      }
    },
  );
});

/** What is written straight from the texts of a SELECT is the JSON of its values, and within its bound. */
async function expectSameJson(
  reader: MySqlRowReader,
  layout: TableLayout,
  rows: readonly Row[],
  dispatchedSet: string,
): Promise<void> {
  const { signal } = new AbortController();
  const { rows: images } = await reader.readImages({ layout, after: null, limit: 1000, dispatchedSet, signal });
  expect(images).not.toBeInstanceOf(ValueImages);
  expect(images.count).toBe(rows.length);
  for (const [index, row] of rows.entries()) {
    expect(images.row(index)).toEqual(row);
    for (const bigint of ['number', 'string'] as const) {
      const target = Buffer.alloc(images.jsonBound(index, bigint));
      const text = target.toString('utf8', 0, images.writeJson(index, target, 0, bigint));
      expect(text).toBe(compileJsonRowEncoder(layout, { bigint })(row));
    }
  }
}

/** All bits of a double. */
function doubleText(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString('hex');
}
