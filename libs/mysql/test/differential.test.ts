import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type CanonicalValue, type Column, type Row } from '#change-events';
import { isSameValue } from './differential/agreement.ts';
import { type Difference, DIFFERENCES } from './differential/differences.ts';
import { createStatement, RANDOM_TABLES, RandomNumbers, upsertStatement } from './differential/random-rows.ts';
import { readWithZongji, type ZongjiChange, type ZongjiRow } from './differential/zongji-reading.ts';
import { type RowsItem, TestSource } from './test-source.ts';

const isLong = process.env['DITTO_TEST_LONG'] === '1';
const rowsPerTable = isLong ? 10_000 : 500;
const seed = Number(process.env['DITTO_TEST_SEED'] ?? (isLong ? Math.floor(Math.random() * 2 ** 32) : 1));

let source: TestSource;
beforeAll(async () => {
  source = await TestSource.open('differential');
  // zongji warns of character sets that it has no decoder for
  jest.spyOn(console, 'warn').mockReturnValue();
});
afterAll(async () => {
  jest.restoreAllMocks();
  await source.close();
});

interface DittoChange {
  readonly op: string;
  readonly item: RowsItem;
  readonly before: Row | null;
  readonly after: Row | null;
}

function changesOf(items: readonly RowsItem[]): DittoChange[] {
  return items.flatMap((item) =>
    (item.after ?? item.before ?? []).map((_, i) => ({
      op: item.op,
      item,
      before: item.before?.[i] ?? null,
      after: item.after?.[i] ?? null,
    })),
  );
}

describe('the same log, read by zongji and by Ditto', () => {
  test(
    `random rows of all types are the same values, but for the known differences (seed ${seed})`,
    async () => {
      const from = await source.executedSet();
      await writeRandomRows(new RandomNumbers(seed));
      const zongji = await readWithZongji(source, from);
      const ditto = changesOf(await source.readRows(from));
      expect(zongji.errors).toEqual([]);
      expect(ditto.length).toBeGreaterThan(rowsPerTable * 5);
      expect(zongji.changes.map(({ op, table }) => `${op} ${table}`)).toEqual(
        ditto.map(({ op, item }) => `${op} ${item.layout.table}`),
      );
      const met = new Set<string>();
      zongji.changes.forEach((change, i) => {
        compareChange(change, ditto[i] as DittoChange, met);
      });
      // a difference that random values can meet and never do would prove nothing
      expect([...met].sort()).toEqual(
        DIFFERENCES.flatMap(({ what, concerns }) => (concerns === undefined ? [] : [what])).sort(),
      );
    },
    isLong ? 600_000 : 60_000,
  );
});

async function writeRandomRows(random: RandomNumbers): Promise<void> {
  const batch = 100;
  for (const [table, columns] of Object.entries(RANDOM_TABLES)) {
    await source.run(createStatement(table, columns));
    for (let first = 0; first < rowsPerTable; first += batch) {
      const ids = Array.from({ length: batch }, (_, i) => first + i);
      await source.run(upsertStatement(table, columns, ids, random));
    }
    for (let done = 0; done < rowsPerTable / 4; done += batch / 4) {
      const ids = new Set(Array.from({ length: batch / 4 }, () => random.below(rowsPerTable)));
      await source.run(
        upsertStatement(table, columns, [...ids], random),
        `DELETE FROM ${table} WHERE id BETWEEN ${done} AND ${done + 9}`,
      );
    }
  }
}

/** Every value is either the same, or concerned by a difference that then does show. */
function compareChange(zongji: ZongjiChange, ditto: DittoChange, met: Set<string>): void {
  const { columns, table } = ditto.item.layout;
  const compare = (name: string, row: Row | null, other: ZongjiRow | null): void => {
    expect(other === null).toBe(row === null);
    columns.forEach((column, i) => {
      const value = row?.[i];
      if (value === undefined) return;
      const said = other?.[column.name];
      const difference = knownDifference(column, value);
      if (difference !== null) met.add(difference.what);
      if (isSameValue(column, value, said) === (difference === null)) return;
      throw new Error(
        `${table}.${column.name} (${column.type}) ${name}: Ditto ${show(value)}, zongji ${show(said)}` +
          (difference === null ? '' : `, which should differ: ${difference.what}`),
      );
    });
  };
  compare('before', ditto.before, zongji.before);
  compare('after', ditto.after, zongji.after);
}

function knownDifference(column: Column, value: CanonicalValue): Difference | null {
  return value === null ? null : (DIFFERENCES.find(({ concerns }) => concerns?.(column, value) === true) ?? null);
}

function show(value: unknown): string {
  if (Buffer.isBuffer(value)) return `0x${value.toString('hex')}`;
  return typeof value === 'bigint' || value === undefined ? String(value) : JSON.stringify(value);
}

describe('where zongji differs, Ditto is what MySQL says', () => {
  let from: string;
  beforeAll(async () => {
    from = await source.executedSet();
    await source.run('CREATE TABLE sources (b BIT(3), l LONGBLOB)', "INSERT INTO sources VALUES (5, X'00ff')");
    for (const [i, { type, value }] of DIFFERENCES.entries())
      await source.run(`CREATE TABLE d${i} (v ${type})`, `INSERT INTO d${i} SELECT ${value}`);
  }, 30_000);

  test.each(DIFFERENCES.map((difference, i) => [difference.what, `d${i}`, difference] as const))(
    '%s',
    async (_what, table, difference) => {
      const { changes, errors } = await readWithZongji(source, from, [table]);
      if (difference.zongjiError === undefined) {
        expect(errors).toEqual([]);
        expect(changes.map(({ after }) => after?.['v'])).toEqual([difference.zongji]);
      } else expect(errors.join('\n')).toMatch(difference.zongjiError);

      const [item] = (await source.readRows(from)).filter(({ layout }) => layout.table === table);
      const value = item?.after?.[0]?.[0];
      const column = item?.layout.columns[0];
      if (value === undefined || column === undefined) throw new Error('Ditto read no row');
      expect(await source.value(`SELECT ${difference.select} FROM ${table}`)).toBe(difference.mysql);
      expect(difference.inWords(value)).toBe(difference.mysql);
      expect(difference.concerns?.(column, value) ?? true).toBe(true);
    },
  );
});

describe('where zongji loses more than a value', () => {
  test('a column that is absent from a minimal row image is null to zongji; Ditto stops', async () => {
    await source.run('CREATE TABLE minimal (id INT PRIMARY KEY, v INT, w INT)', 'INSERT INTO minimal VALUES (1, 2, 3)');
    const from = await source.executedSet();
    try {
      await source.run('SET SESSION binlog_row_image = MINIMAL', 'UPDATE minimal SET v = 4');
    } finally {
      await source.run('SET SESSION binlog_row_image = FULL');
    }
    const { changes, errors } = await readWithZongji(source, from, ['minimal']);
    expect(errors).toEqual([]);
    expect(changes.map(({ after }) => after)).toEqual([{ id: null, v: 4, w: null }]);
    expect(await source.value('SELECT w FROM minimal')).toBe('3');
    await expect(source.readRows(from)).rejects.toMatchObject({ code: 'DITTO_SOURCE_ROW_IMAGE' });
  });

  test('a column named __proto__ is not there to zongji', async () => {
    const from = await source.executedSet();
    await source.run('CREATE TABLE named (id INT PRIMARY KEY, `__proto__` INT)', 'INSERT INTO named VALUES (1, 5)');
    const { changes } = await readWithZongji(source, from, ['named']);
    expect(changes.map(({ after }) => Object.entries(after ?? {}))).toEqual([[['id', 1]]]);
    const [item] = (await source.readRows(from)).filter(({ layout }) => layout.table === 'named');
    expect(item?.layout.columns.map(({ name }) => name)).toEqual(['id', '__proto__']);
    expect(item?.after).toEqual([[1, 5]]);
  });

  test('what DDL put into a new JSON column is NULL to zongji, the JSON null to MySQL', async () => {
    const from = await source.executedSet();
    await source.run(
      'CREATE TABLE filled (id INT PRIMARY KEY)',
      'INSERT INTO filled VALUES (1)',
      'ALTER TABLE filled ADD COLUMN j JSON NOT NULL',
      'DELETE FROM filled WHERE j IS NOT NULL',
    );
    const { changes } = await readWithZongji(source, from, ['filled']);
    expect(changes.at(-1)?.before).toEqual({ id: 1, j: null });
    const rows = (await source.readRows(from)).filter(({ layout }) => layout.table === 'filled');
    expect(rows.at(-1)?.before).toEqual([[1, 'null']]);
  });
});
