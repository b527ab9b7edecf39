import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { type Connection } from 'mysql2/promise';
import { type SourceStatus } from '../../apps/dss/src/sources/source-status.ts';
import { World, type ServiceInstance } from './world.ts';

/** A source on a MySQL of its own: its log is reset and purged. */
let world: World;
let mysql: Connection;
let dcs: ServiceInstance;
let dss: ServiceInstance;

// one world for all: each test leaves a source that streams, and sinks that hold what it has
beforeAll(async () => {
  world = await World.create({ tables: ['notes'], ownServers: ['mysql-primary'] });
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
  await mysql.query('CREATE TABLE notes (id INT PRIMARY KEY, v VARCHAR(20))');
  await insert(1, 20, 'first');
  dcs = await world.start('dcs');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
}, 120_000);

afterAll(() => world.close());

/** One transaction for each row. */
async function insert(from: number, to: number, v: string): Promise<void> {
  for (let id = from; id <= to; id++) await mysql.query('INSERT INTO notes VALUES (?, ?)', [id, v]);
}

async function stop(instance: ServiceInstance): Promise<void> {
  await world.signal(instance, 'SIGTERM');
  await instance.exited;
}

async function ask(action: 'restart' | 'resync' | 'accept-log'): Promise<number> {
  return (await fetch(`${dss.url}/sources/${world.name}/${action}`, { method: 'POST' })).status;
}

function waitForStop(code: string, above = 0): Promise<SourceStatus> {
  return world.waitForStatus(
    dss,
    code,
    ({ state, error, token }) => state === 'failed' && error?.code === code && (token ?? 0) > above,
  );
}

async function expectEqual(): Promise<void> {
  const { samples, tables } = await world.compare();
  const [rows] = await mysql.query('SELECT COUNT(*) AS count FROM notes');
  expect([samples, tables.map(({ rows: count }) => count)]).toEqual([[], [(rows as { count: number }[])[0]?.count]]);
}

async function resync(lineage: number): Promise<void> {
  expect(await ask('resync')).toBe(202);
  await world.waitForStatus(
    dss,
    'the resync',
    (status) =>
      status.state === 'streaming' &&
      (status.lineage ?? 0) >= lineage &&
      status.snapshot.length > 0 &&
      status.snapshot.every(({ state }) => state === 'done'),
  );
  await world.waitUntilCaughtUp(dss);
  await expectEqual();
}

describe('a log that is another one', () => {
  it('I7: purged while DSS is stopped: it continues, with nothing lost, once an operator accepts it', async () => {
    await stop(dss);
    await mysql.query('FLUSH BINARY LOGS');
    await mysql.query('PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY');
    await insert(21, 30, 'purged');
    dss = await world.start('dss');
    const { token } = await waitForStop('DITTO_SOURCE_LOG_UNPROVEN');
    expect(await ask('restart')).toBe(200);
    await waitForStop('DITTO_SOURCE_LOG_UNPROVEN', token ?? 0);
    expect(await ask('accept-log')).toBe(202);
    await world.waitForStatus(dss, 'the stream', ({ state }) => state === 'streaming');
    const { lineage } = await world.waitUntilCaughtUp(dss);
    expect(lineage).toBe(1);
    await expectEqual();
  }, 120_000);

  it('I7: reset while DSS is stopped, with more transactions than before: a stop that no restart passes, and resync leads out', async () => {
    await insert(31, 35, 'streamed');
    await world.waitUntilCaughtUp(dss);
    await stop(dss);
    await mysql.query('RESET BINARY LOGS AND GTIDS');
    await mysql.query('DELETE FROM notes WHERE id < 10');
    await insert(100, 160, 'reset');
    dss = await world.start('dss');
    const { token } = await waitForStop('DITTO_SOURCE_LOG_REPLACED');
    expect(await ask('accept-log')).toBe(409);
    expect(await ask('restart')).toBe(200);
    await waitForStop('DITTO_SOURCE_LOG_REPLACED', token ?? 0);
    await resync(2);
  }, 120_000);

  it('I7: reset while DSS streams, so that its connection ends: never passed over', async () => {
    await mysql.query('RESET BINARY LOGS AND GTIDS');
    await insert(200, 290, 'reset again');
    const stopped = await world.waitForStatus(dss, 'the stop', ({ state }) => state === 'failed');
    expect(await ask('restart')).toBe(200);
    const again = await world.waitForStatus(
      dss,
      'the next stop',
      ({ state, token }) => state === 'failed' && (token ?? 0) > (stopped.token ?? 0),
    );
    expect(again.error?.code).toMatch(/^DITTO_SOURCE_(?:LOG_REPLACED|GTIDS_MISSING)$/);
    await resync(3);
  }, 120_000);
});

/** What is stored under the world's prefix. */
async function loseRedis(): Promise<void> {
  const redis = new Redis(world.stack.url('redis'));
  try {
    const names = await redis.keys(`${world.name}*`);
    expect(names.length).toBeGreaterThan(0);
    await redis.del(names);
  } finally {
    redis.disconnect();
  }
}

describe('checkpoints that are lost', () => {
  it('I4: state database and Redis: a stop, no first start, and resync leads out above all that the sinks hold', async () => {
    const state = await world.connect('mysql-state');
    await Promise.all([stop(dss), stop(dcs)]);
    await mysql.query('DELETE FROM notes WHERE id < 15');
    await state.query(`DROP DATABASE ${world.database}_state`);
    await loseRedis();
    await world.start('dcs');
    dss = await world.start('dss');
    await waitForStop('DITTO_SOURCE_CHECKPOINT_LOST');
    await resync(4);
  }, 120_000);
});
