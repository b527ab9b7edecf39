import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Connection } from 'mysql2/promise';
import { type Comparison } from '../oracle/compare-all.ts';
import { topicOf } from '../oracle/topic-messages.ts';
import { TABLES } from '../types/matrix.ts';
import { CHARACTER_SETS } from '../types/texts.ts';
import { compareCopies, type CopyReport } from '../types/topic-copies.ts';
import { TypedTables } from '../types/typed-tables.ts';
import { World } from './world.ts';

const isLong = process.env['DITTO_TEST_LONG'] === '1';
/** Of each copy of each table: 32,000 rows in all, or a million. */
const ROWS = isLong ? 32_000 : 1_000;
const SEED = Number(process.env['DITTO_TEST_SEED'] ?? 1);

const names = TABLES.map(({ name }) => name);
let world: World;
let mysql: Connection;
let comparison: Comparison;
let copies: CopyReport[];

/** Existing rows, the same values again while the log is followed, then every kind of change. */
async function run(): Promise<void> {
  const tables = new TypedTables({ connection: mysql, tables: TABLES, rows: ROWS, seed: SEED });
  await tables.create();
  await tables.insertFirstCopy();
  await world.start('dcs');
  const dss = await world.start('dss');
  const withinMs = isLong ? 1_800_000 : 120_000;
  await world.waitUntilCaughtUp(dss, withinMs);
  await tables.insertSecondCopy();
  await mysql.query('SET SESSION binlog_transaction_compression = ON');
  await tables.shiftValues();
  await mysql.query("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'");
  await tables.changeDocuments();
  await tables.deleteSome();
  await world.waitUntilCaughtUp(dss, withinMs);
  comparison = await world.compare();
  const topics = names.map((name) => topicOf(world.name, world.database, name));
  copies = await compareCopies(world.stack.url('kafka').split(','), topics);
}

beforeAll(
  async () => {
    world = await World.create({
      tables: names,
      source: { snapshot: { chunkRows: isLong ? 2000 : 600 } },
      // a lease that a busy machine loses would end in repeats, which are no matter here
      configuration: { dss: { lease: { ttlMs: 30_000, renewMs: 2000 } } },
    });
    mysql = await world.connect();
    await mysql.query(`USE ${world.database}`);
    await run();
  },
  isLong ? 3_600_000 : 180_000,
);
afterAll(() => world.close());

describe(`every type, seed ${SEED}`, () => {
  it.each(names.map((name, index) => [name, index] as const))(
    'I4: %s are in Kafka and in MongoDB what MySQL says',
    (name, index) => {
      const table = comparison.tables[index];
      expect(comparison.samples.filter((sample) => sample.includes(`.${name} `))).toEqual([]);
      expect(table).toMatchObject({ table: name, mongo: { missing: 0, extra: 0, different: 0 } });
      expect(table).toMatchObject({ kafka: { missing: 0, extra: 0, different: 0, outOfOrder: 0 } });
      expect(table?.rows).toBeGreaterThan(ROWS * 1.8);
    },
  );

  it.each(names.map((name, index) => [name, index] as const))(
    '%s: what the snapshot read and what the log says are the same bytes',
    (_, index) => {
      const report = copies[index];
      expect(report).toMatchObject({ pairs: ROWS, differing: [], wrongBefore: [] });
      expect(Object.keys(report?.operations ?? {}).sort()).toEqual(['c', 'd', 'r', 'u']);
    },
  );

  it('leaves out no character set and no type of the server', async () => {
    const [sets] = await mysql.query('SELECT CHARACTER_SET_NAME AS name FROM information_schema.CHARACTER_SETS');
    const existing = (sets as { name: string }[]).map(({ name }) => name).filter((name) => name !== 'binary');
    expect(existing.filter((name) => !CHARACTER_SETS.includes(name))).toEqual([]);
    const [types] = await mysql.query(
      'SELECT DISTINCT DATA_TYPE AS name FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?',
      [world.database],
    );
    expect((types as { name: string }[]).map(({ name }) => name).sort()).toEqual(
      [
        ['bigint', 'binary', 'bit', 'blob', 'char', 'date', 'datetime', 'decimal', 'double', 'enum', 'float'],
        ['geomcollection', 'geometry', 'int', 'json', 'linestring', 'longblob', 'longtext', 'mediumblob', 'mediumint'],
        ['mediumtext', 'multilinestring', 'multipoint', 'multipolygon', 'point', 'polygon', 'set', 'smallint', 'text'],
        ['time', 'timestamp', 'tinyblob', 'tinyint', 'tinytext', 'varbinary', 'varchar', 'vector', 'year'],
      ].flat(),
    );
  });
});
