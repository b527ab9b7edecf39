import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { type Connection } from 'mysql2/promise';
import { type Stack, startStack } from '#stack';
import { readPeakRssBytes } from '../../bench/process-usage.ts';
import { type ServiceInstance, World } from './world.ts';

const MEBIBYTE = 1024 * 1024;
/** Of the whole process, from its start on. */
const MOST_RESIDENT_BYTES = 300_000_000;
const IN_FLIGHT_BYTES = 8 * MEBIBYTE;
/** What one batch of the log may bring when there was still room. */
const SLACK_BYTES = 4 * MEBIBYTE;
/** The last piece of memory that was asked for may not have fitted any more. */
const BLOCK_BYTES = 64 * 1024;
/** So much more than what is counted may be resident: garbage, and memory that is not given back. */
const NOISE_BYTES = 40_000_000;
const PARTITIONS = 12;
const isLong = process.env['DITTO_TEST_LONG'] === '1';
const TABLES = isLong ? 1_000 : 20;
/** So many that few partitions have none. */
const COPIED_ROWS = 30;
/** More than may be in flight: each open batch holds 7 KiB, and few partitions get no row. */
const ROWS_OF_TABLE = isLong ? 24 : 600;
/** A broker makes many at once in the time that one takes; what it may do for one request is bounded. */
const TOPICS_AT_ONCE = 50;

let stack: Stack;
let world: World;
let mysql: Connection;
let dss: ServiceInstance;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ditto-stuck-'));
  stack = await startStack({ folder, servers: ['kafka'], manyPartitions: isLong });
  const brokers = stack.url('kafka').split(',');
  world = await World.create({ tables: [], source: { sinks: ['kafka'] }, configuration: { kafka: { brokers } } });
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
  for (let table = 0; table < TABLES; table++)
    await mysql.query(`CREATE TABLE t${table} (id INT PRIMARY KEY, v VARCHAR(200))`);
  await createTopics(brokers);
}, 600_000);

afterAll(async () => {
  await world.close();
  await stack.down();
  await rm(stack.folder, { recursive: true, force: true });
}, 120_000);

async function createTopics(brokers: string[]): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers, requestTimeout: 120_000, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
  const topics = Array.from({ length: TABLES }, (_, table) => ({
    topic: `${world.name}.${world.database}.t${table}`,
    numPartitions: PARTITIONS,
    replicationFactor: 1,
    configEntries,
  }));
  while (topics.length > 0)
    await admin.createTopics({ topics: topics.splice(0, TOPICS_AT_ONCE), waitForLeaders: false, timeout: 60_000 });
  await admin.disconnect();
}

/** Rows with these ids in each table, one transaction for all tables. */
async function write(from: number, count: number): Promise<void> {
  const ids = Array.from({ length: count }, (_, index) => from + index);
  await mysql.query('BEGIN');
  for (let table = 0; table < TABLES; table++)
    await mysql.query(`INSERT INTO t${table} VALUES ${ids.map((id) => `(${id}, REPEAT('v', 200))`).join(',')}`);
  await mysql.query('COMMIT');
}

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${dss.pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** What is counted once it has been the same for a while. */
async function settledCount(): Promise<number> {
  let [counted, since] = [-1, 0];
  await world.waitFor(
    'what is held to stay the same',
    async () => {
      const now = (await world.status(dss))?.pipeline?.bytesInFlight ?? -1;
      if (now !== counted) [counted, since] = [now, performance.now()];
      return now > 0 && performance.now() - since > 2_000;
    },
    { watch: dss, withinMs: 120_000 },
  );
  return counted;
}

/** Attempts fail one after the other during that. */
async function restartKafka(before: number, counted: number): Promise<void> {
  await stack.kill('kafka');
  await sleep(20_000);
  expect(await settledCount()).toBe(counted);
  expect((await residentBytes()) - before).toBeLessThan(counted + NOISE_BYTES);
  await stack.start('kafka');
}

async function waitUntilConfirmed(changes: number): Promise<void> {
  const areAll = ({ sinks }: { sinks: Readonly<Record<string, { confirmedChanges: number } | undefined>> }): boolean =>
    sinks['kafka']?.confirmedChanges === changes;
  await world.waitForStatus(dss, `${changes} changes`, areAll, 300_000);
}

it(`I9: ${TABLES} tables with ${PARTITIONS} partitions hold what is counted, and 300 MB at most, while Kafka is stopped`, async () => {
  await write(1, COPIED_ROWS);
  await world.start('dcs');
  dss = await world.start('dss');
  await waitUntilConfirmed(TABLES * COPIED_ROWS);
  const before = await residentBytes();

  await stack.freeze('kafka');
  await write(1 + COPIED_ROWS, ROWS_OF_TABLE);
  const counted = await settledCount();
  const grown = (await residentBytes()) - before;
  expect(counted).toBeGreaterThan(IN_FLIGHT_BYTES - BLOCK_BYTES);
  expect(counted).toBeLessThan(IN_FLIGHT_BYTES + SLACK_BYTES);
  expect(grown).toBeLessThan(counted + NOISE_BYTES);

  if (isLong) await restartKafka(before, counted);
  else await stack.thaw('kafka');
  await waitUntilConfirmed(TABLES * (COPIED_ROWS + ROWS_OF_TABLE));
  expect(readPeakRssBytes(dss.pid)).toBeLessThan(MOST_RESIDENT_BYTES);
}, 1_200_000);
