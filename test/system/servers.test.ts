import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createTables, fill, workloadTables, Writer } from './workload.ts';
import { World, type ServiceInstance } from './world.ts';

let world: World;
let dss: ServiceInstance;
let writer: Writer;

async function connectToDatabase(): Promise<Awaited<ReturnType<World['connect']>>> {
  const connection = await world.connect();
  await connection.query(`USE ${world.database}`);
  return connection;
}

beforeEach(async () => {
  world = await World.create({ tables: workloadTables });
  const mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, 3000);
  await world.start('dcs');
  dss = await world.start('dss');
  writer = new Writer(await connectToDatabase(), { keys: 4000, pauseMs: 2 });
  await world.waitForStatus(dss, 'streaming', ({ pipeline }) => (pipeline?.transactions ?? 0) > 50);
}, 60_000);

afterEach(() => world.close());

/** The source continues without having been restarted, and the sinks have what MySQL has. */
async function expectWhole(): Promise<void> {
  await writer.stop();
  const status = await world.waitUntilCaughtUp(dss);
  expect(status.token).toBe(1);
  expect(status.sinks['mongo']?.counters['rejectedOutsideReplay']).toBe(0);
  const comparison = await world.compare();
  expect(comparison.samples).toEqual([]);
  expect(comparison.differences).toBe(0);
}

describe('during load', () => {
  it('I1, I2: Kafka is killed and comes back: the pipeline holds, then continues by itself', async () => {
    await world.stack.kill('kafka');
    await world.waitForStatus(dss, 'Kafka to be missed', ({ sinks }) => sinks['kafka']?.holdingBecause != null);
    await world.stack.start('kafka');
    await expectWhole();
  }, 120_000);

  it('I1, I3: MongoDB is killed and comes back: the pipeline holds, then continues by itself', async () => {
    await world.stack.kill('mongo');
    await world.waitForStatus(dss, 'MongoDB to be missed', ({ sinks }) => sinks['mongo']?.holdingBecause != null);
    await world.stack.start('mongo');
    await expectWhole();
  }, 120_000);

  it('I1: Redis loses everything: leases are taken again with higher tokens, checkpoints come from the state database', async () => {
    const redis = new Redis(world.stack.url('redis'));
    await redis.flushall();
    redis.disconnect();
    const status = await world.waitForStatus(
      dss,
      'the source to run again',
      ({ token, state }) => state === 'streaming' && (token ?? 0) > 1,
    );
    expect(status.token).toBe(2);
    await writer.stop();
    await world.waitUntilCaughtUp(dss);
    const comparison = await world.compare();
    expect(comparison.samples).toEqual([]);
  }, 90_000);

  it('the source server is killed and comes back: the stream continues from the last complete transaction', async () => {
    await world.stack.kill('mysql-primary');
    await writer.stop().catch(() => undefined); // its connection is gone
    await world.waitForStatus(dss, 'the break to be noticed', ({ pipeline }) => pipeline?.phase === 'reconnecting');
    await world.stack.start('mysql-primary');
    writer = new Writer(await connectToDatabase(), { keys: 4000 });
    await sleep(500);
    await expectWhole();
  }, 120_000);

  it('the state database is killed: streaming continues, and its copy of the checkpoint follows when it is back', async () => {
    const before = await world.status(dss);
    await world.stack.kill('mysql-state');
    await world.waitForStatus(
      dss,
      'more transactions',
      ({ pipeline }) => (pipeline?.transactions ?? 0) > (before?.pipeline?.transactions ?? 0) + 100,
    );
    await world.stack.start('mysql-state');
    await expectWhole();
  }, 120_000);

  it('I9: Kafka frozen under a flood: what is in flight stays within its bound, and so does memory', async () => {
    await writer.stop();
    await world.waitUntilCaughtUp(dss);
    await world.stack.freeze('kafka');
    try {
      const connection = await connectToDatabase();
      await connection.query('SET SESSION cte_max_recursion_depth = 1000000');
      await connection.query(`
        INSERT INTO orders SELECT 2000000 + n, n, 'new', n, NOW(6), REPEAT('x', 400), NULL
        FROM (WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 250000) SELECT n FROM numbers) AS numbers`);
      const status = await world.waitForStatus(
        dss,
        'the bound to be reached',
        ({ pipeline }) => (pipeline?.bytesInFlight ?? 0) > 6 * 1024 * 1024,
      );
      await sleep(3000);
      const later = await world.waitForStatus(dss, 'an answer', () => true);
      expect(status.state).toBe('streaming');
      expect(later.pipeline?.bytesInFlight).toBeLessThan(24 * 1024 * 1024);
      const metrics = await (await fetch(`${dss.url}/metrics`)).text();
      const resident = Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);
      expect(resident).toBeGreaterThan(30e6);
      expect(resident).toBeLessThan(450e6);
    } finally {
      await world.stack.thaw('kafka');
    }
    await world.waitUntilCaughtUp(dss);
    const comparison = await world.compare();
    expect(comparison.samples).toEqual([]);
    expect(comparison.tables[0]?.rows).toBeGreaterThan(250_000);
  }, 180_000);
});
