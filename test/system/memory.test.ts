import { afterEach, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { type Connection } from 'mysql2/promise';
import { readPeakRssBytes } from '../../bench/process-usage.ts';
import { World } from './world.ts';

/** Of the whole process, from its start on. */
const MOST_RESIDENT_BYTES = 300_000_000;
const NARROW_ROWS = 2000;
const NARROW_BYTES = 1024;
const WIDE_ROWS = 5;
/** MongoDB takes documents of 16 MiB. */
const WIDE_BYTES = 15 * 1024 * 1024;

let world: World;
let mysql: Connection;

afterEach(() => world.close());

/** One that takes the wide rows. */
async function createTopic(name: string): Promise<void> {
  const brokers = world.stack.url('kafka').split(',');
  const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  const settings = { 'max.message.bytes': String(2 * WIDE_BYTES), 'cleanup.policy': 'compact' };
  const configEntries = Object.entries(settings).map(([setting, value]) => ({ name: setting, value }));
  await admin.createTopics({ topics: [{ topic: name, numPartitions: 4, replicationFactor: 1, configEntries }] });
  await admin.disconnect();
}

/** Without a trace in the log: these rows are there before Ditto comes. */
async function fill(from: number, count: number, bytes: number): Promise<void> {
  await mysql.query(`
    SET SESSION sql_log_bin = 0, cte_max_recursion_depth = 100000;
    INSERT INTO grows WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})
      SELECT ${from} + i, REPEAT(CHAR(97 + i % 26), ${bytes}) FROM n;
    SET SESSION sql_log_bin = 1`);
}

it('I9: a copy whose rows of 1 KB turn into rows of 15 MiB takes 300 MB at most, and both sinks get all of them', async () => {
  world = await World.create({ tables: ['grows'] });
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}; CREATE TABLE grows (id INT PRIMARY KEY, v LONGTEXT)`);
  await fill(1, NARROW_ROWS, NARROW_BYTES);
  await fill(NARROW_ROWS + 1, WIDE_ROWS, WIDE_BYTES);
  await fill(NARROW_ROWS + WIDE_ROWS + 1, NARROW_ROWS, NARROW_BYTES);
  await createTopic(`${world.name}.${world.database}.grows`);
  await world.start('dcs');
  const dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  const peakBytes = readPeakRssBytes(dss.pid);
  const { samples, tables } = await world.compare();
  expect([samples, tables.map(({ rows }) => rows)]).toEqual([[], [2 * NARROW_ROWS + WIDE_ROWS]]);
  expect(peakBytes).toBeGreaterThan(100_000_000);
  expect(peakBytes).toBeLessThan(MOST_RESIDENT_BYTES);
}, 120_000);
