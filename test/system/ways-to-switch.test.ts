import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FaultProxy } from '#testing';
import { type Connection } from 'mysql2/promise';
import { Cluster, type ClusterServer } from './cluster.ts';
import { World, type ServiceInstance } from './world.ts';

const [A, B] = ['mysql-primary', 'mysql-replica'] as const;

/** Each test leaves a source that streams, and a cluster of a primary and a replica. */
let world: World;
let cluster: Cluster;
let dss: ServiceInstance;
let proxy: FaultProxy;
let mysql: Connection;
let nextId = 1;

beforeAll(async () => {
  world = await World.create({ tables: ['notes'], ownCluster: true });
  cluster = new Cluster(world);
  await use(A);
  await mysql.query('CREATE TABLE notes (id INT PRIMARY KEY, v VARCHAR(20))');
  await insert(5);
  const { host, port, user, password } = world.cluster.endpoint(A);
  proxy = await FaultProxy.open({ host, port });
  await world.start('dcs');
  // both servers have the same users
  const endpoint = { host: proxy.host, port: proxy.port, user, password };
  dss = await world.start('dss', { source: { endpoints: [endpoint] } });
  await world.waitUntilCaughtUp(dss);
}, 180_000);

afterAll(async () => {
  await world.close();
  proxy.close();
});

/** Writes go to this server from now on. */
async function use(server: ClusterServer): Promise<void> {
  world.primary = server;
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
}

async function insert(rows: number): Promise<void> {
  for (let i = 0; i < rows; i++) await mysql.query("INSERT INTO notes VALUES (?, 'text')", [nextId++]);
}

/** The primary dies and the other one, which has all of it, takes its place. */
async function failOver(from: ClusterServer, to: ClusterServer): Promise<void> {
  await cluster.waitForReplica(to);
  await world.waitUntilCaughtUp(dss);
  await world.cluster.kill(from);
  await cluster.promote(to);
  await use(to);
}

async function restart(source: Readonly<Record<string, unknown>> = {}): Promise<void> {
  await world.signal(dss, 'SIGTERM');
  await dss.exited;
  dss = await world.start('dss', { source });
}

/** As a person calls it: the owner is found through DCS. */
async function ditto(...args: readonly string[]): Promise<string> {
  const [config = ''] = readdirSync(world.folder).filter((file) => /^dss-\d+\.yaml$/.test(file));
  const cli = join(import.meta.dirname, '../../dist/ditto.mjs');
  const call = [cli, ...args, '--source', world.name, '--config', join(world.folder, config)];
  return (await promisify(execFile)(process.execPath, call)).stdout;
}

async function expectEqual(): Promise<void> {
  await insert(5);
  await world.waitUntilCaughtUp(dss);
  const { samples, tables } = await world.compare();
  expect([samples, tables.map(({ rows }) => rows)]).toEqual([[], [nextId - 1]]);
}

describe('a source moves', () => {
  it('I7: with the name of its only endpoint, to the server that the name leads to then, once that is proven', async () => {
    const before = await world.status(dss);
    await failOver(A, B);
    const { host, port } = world.cluster.endpoint(B);
    proxy.target = { host, port };
    proxy.cutConnections();
    // with the first transaction that comes from there
    await insert(1);
    const moved = await world.waitForStatus(
      dss,
      'the other server to be streamed',
      ({ state, server }) =>
        state === 'streaming' && server !== null && server.serverUuid !== before?.server?.serverUuid,
    );
    expect(moved.server?.endpoint).toBe(before?.server?.endpoint);
    expect(moved.lineage).toBe((before?.lineage ?? 0) + 1);
    expect(moved.lastSwitch).toMatchObject({
      from: before?.server?.serverUuid,
      askedBy: null,
      error: null,
      healing: null,
    });
    await expectEqual();
    await world.cluster.start(A);
    await cluster.replicate(A, B);
  }, 90_000);

  it('with switch.mode manual when an operator says so, by the command, and not before', async () => {
    await restart({ switch: { mode: 'manual', afterMs: 300 } });
    await cluster.waitUntilStreamedFrom(dss, B);
    await failOver(B, A);
    await world.waitForStatus(dss, 'the stream to break', ({ pipeline }) => pipeline?.phase === 'reconnecting');
    // also a process that finds its server lost stays
    await restart({ switch: { mode: 'manual', afterMs: 300 } });
    const lost = await world.waitForStatus(dss, 'no server', ({ error }) => error?.code === 'DITTO_SOURCE_NO_SERVER');
    expect(lost.error?.message).toContain(`${cluster.addressOf(A)}: could take its place, but switch.mode is manual`);
    await expect(ditto('switch', '--to', 'nowhere:1')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('DITTO_SOURCE_ENDPOINT_UNKNOWN'),
    });
    expect(await ditto('switch', '--to', cluster.addressOf(A))).toContain(`is being moved to ${cluster.addressOf(A)}`);
    const { lastSwitch } = await cluster.waitUntilStreamedFrom(dss, A);
    expect(lastSwitch?.error).toBeNull();
    await expectEqual();
    await world.cluster.start(B);
    await cluster.replicate(B, A);
  }, 90_000);

  it('I7: to a server whose log proves nothing when an operator accepts that log, while no other can be used', async () => {
    await restart();
    await cluster.waitUntilStreamedFrom(dss, A);
    await failOver(A, B);
    await mysql.query('FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY');
    await restart();
    await cluster.waitForRefusal(dss, B, 'DITTO_SOURCE_LOG_UNPROVEN');
    expect((await world.status(dss))?.error?.code).toBe('DITTO_SOURCE_NO_SERVER');
    expect(await ditto('accept-log')).toContain('continues in the log of its server as it is');
    await cluster.waitUntilStreamedFrom(dss, B);
    await expectEqual();
  }, 90_000);
});
