import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Connection } from 'mysql2/promise';
import { Cluster, type ClusterServer } from './cluster.ts';
import { World, type ServiceInstance } from './world.ts';

/** A primary and a replica of its own, which answer all the while. */
let world: World;
let cluster: Cluster;
let dss: ServiceInstance;
let mysql: Connection;
let nextId = 1;

const [A, B] = ['mysql-primary', 'mysql-replica'] as const;

beforeAll(async () => {
  world = await World.create({ tables: ['notes'], ownCluster: true });
  cluster = new Cluster(world);
  await use(A);
  await mysql.query('CREATE TABLE notes (id INT PRIMARY KEY, v VARCHAR(20))');
  await insert(20);
  await cluster.waitForReplica(B);
  await world.start('dcs');
  dss = await world.start('dss', { source: { switch: { waitMs: 1000 } } });
  await world.waitUntilCaughtUp(dss);
}, 180_000);

afterAll(() => world.close());

/** Writes go to this server from now on. */
async function use(server: ClusterServer): Promise<void> {
  world.primary = server;
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
}

async function insert(rows: number): Promise<void> {
  for (let i = 0; i < rows; i++) await mysql.query('INSERT INTO notes VALUES (?, ?)', [nextId++, 'text']);
}

async function expectEqual(): Promise<void> {
  const { pipeline } = await world.waitUntilCaughtUp(dss);
  expect(pipeline?.repeatedChanges).toBe(0);
  expect((await world.compare()).samples).toEqual([]);
}

describe('a server that answers and stands still', () => {
  it('I7: a replica whose replication is stopped is left for the primary when that is ahead, and nothing is repeated', async () => {
    const answer = await fetch(`${dss.url}/sources/${world.name}/switch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ to: cluster.addressOf(B) }),
    });
    expect(answer.status).toBe(202);
    await cluster.waitUntilStreamedFrom(dss, B);
    await (await world.connect(B)).query('STOP REPLICA SQL_THREAD');
    // nothing is written: there is no reason to move
    await world.waitForStatus(dss, 'the replica to be reported', ({ waits }) =>
      waits.some(({ what }) => what.includes('does not apply what it receives')),
    );
    expect((await world.status(dss))?.server?.endpoint).toBe(cluster.addressOf(B));
    await insert(5);
    const { lastSwitch } = await cluster.waitUntilStreamedFrom(dss, A, 60_000);
    expect(lastSwitch).toMatchObject({ askedBy: null, error: null, healing: null });
    await insert(5);
    await expectEqual();
    // it stays there when the replica follows again
    await (await world.connect(B)).query('START REPLICA SQL_THREAD');
    await cluster.waitForReplica(B);
  }, 120_000);

  it('I7: a primary that was made read-only is left for the one that was promoted in its place, once that is ahead', async () => {
    await world.waitUntilCaughtUp(dss);
    await mysql.query('SET GLOBAL super_read_only = ON');
    await world.waitForStatus(dss, 'the primary to be reported', ({ waits }) =>
      waits.some(({ what }) => what.includes('accepts no writes and replicates from no server')),
    );
    await cluster.waitForReplica(B);
    await cluster.promote(B);
    await use(B);
    await insert(5);
    const { lastSwitch } = await cluster.waitUntilStreamedFrom(dss, B, 60_000);
    expect(lastSwitch).toMatchObject({ askedBy: null, error: null, healing: null });
    await expectEqual();
  }, 120_000);
});
