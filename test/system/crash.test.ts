import { afterEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTables, fill, workloadTables, Writer } from './workload.ts';
import { World } from './world.ts';

let world: World;

afterEach(() => world.close());

async function startWorld(orders: number): Promise<World> {
  world = await World.create({ tables: workloadTables, source: { snapshot: { chunkRows: 500 } } });
  const mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, orders);
  await world.start('dcs');
  return world;
}

async function startWriter(): Promise<Writer> {
  const connection = await world.connect();
  await connection.query(`USE ${world.database}`);
  return new Writer(connection, { keys: 12_000, pauseMs: 2 });
}

describe('DSS', () => {
  it('I1, I2, I3, I4: killed ten times during snapshot and stream, loses nothing and keeps the order', async () => {
    await startWorld(15_000);
    const writer = await startWriter();
    let dss = await world.start('dss');
    for (let kill = 0; kill < 10; kill++) {
      await world.waitForStatus(dss, 'some changes', ({ pipeline }) => (pipeline?.changes ?? 0) > 500);
      await sleep(Math.random() * 400);
      await world.signal(dss, 'SIGKILL');
      dss = await world.start('dss');
    }
    await writer.stop();
    const status = await world.waitUntilCaughtUp(dss);
    const comparison = await world.compare();
    expect(comparison.samples).toEqual([]);
    expect(comparison.differences).toBe(0);
    expect(comparison.tables.every(({ rows }) => rows > 10_000)).toBe(true);
    expect(status.sinks['mongo']?.counters['rejectedOutsideReplay']).toBe(0);
  }, 180_000);

  it('ends on SIGTERM drained and with its checkpoint written: the next start repeats nothing', async () => {
    await startWorld(2000);
    const dss = await world.start('dss');
    const writer = await startWriter();
    await world.waitForStatus(
      dss,
      'the snapshot',
      ({ snapshot }) => snapshot.length === 2 && snapshot.every(({ state }) => state === 'done'),
    );
    await world.signal(dss, 'SIGTERM');
    expect(await dss.exited).toBe(0);
    await writer.stop();
    const next = await world.start('dss');
    const status = await world.waitUntilCaughtUp(next);
    expect(status.token).toBe(2);
    expect(status.pipeline?.repeatedChanges).toBe(0);
    const comparison = await world.compare();
    expect(comparison.samples).toEqual([]);
    expect(comparison.tables.map(({ kafka }) => kafka.repeats)).toEqual([0, 0]);
  }, 90_000);

  it('I5: frozen past its lease and woken, it can move nothing: another has taken over', async () => {
    await startWorld(3000);
    const frozen = await world.start('dss');
    const writer = await startWriter();
    await world.waitForStatus(frozen, 'streaming', ({ pipeline }) => (pipeline?.transactions ?? 0) > 50);
    await world.signal(frozen, 'SIGSTOP');
    const other = await world.start('dss');
    const taken = await world.waitForStatus(
      other,
      'the lease',
      ({ state, pipeline }) => state === 'streaming' && (pipeline?.transactions ?? 0) > 50,
    );
    expect(taken.token).toBe(2);
    await world.signal(frozen, 'SIGCONT');
    await world.waitForStatus(
      frozen,
      'the former owner to give up',
      ({ state, token }) => state === 'waiting-for-lease' && token === null,
    );
    await sleep(500);
    await writer.stop();
    const status = await world.waitUntilCaughtUp(other);
    expect(status.token).toBe(2);
    const comparison = await world.compare();
    expect(comparison.samples).toEqual([]);
    expect(comparison.differences).toBe(0);
  }, 90_000);
});
