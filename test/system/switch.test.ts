import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Connection } from 'mysql2/promise';
import { type SourceStatus } from '../../apps/dss/src/sources/source-status.ts';
import { World, type ServiceInstance } from './world.ts';

/** A primary and a replica of its own: they are killed and change their roles. */
let world: World;
let dss: ServiceInstance;
let mysql: Connection;
let nextId = 1;

type Server = 'mysql-primary' | 'mysql-replica';

// one world for all: each test leaves a source that streams, and a cluster with a primary and a replica
beforeAll(async () => {
  world = await World.create({ tables: ['notes'], ownCluster: true });
  await use('mysql-primary');
  await mysql.query('CREATE TABLE notes (id INT PRIMARY KEY, v VARCHAR(20))');
  await insert(20);
  await world.start('dcs');
  await world.start('dws');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
}, 180_000);

afterAll(() => world.close());

/** Writes go to this server from now on. */
async function use(server: Server): Promise<void> {
  world.primary = server;
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
}

/** One transaction for each row. */
async function insert(rows: number): Promise<void> {
  for (let i = 0; i < rows; i++) await mysql.query('INSERT INTO notes VALUES (?, ?)', [nextId++, 'text']);
}

function addressOf(server: Server): string {
  const { host, port } = world.cluster.endpoint(server);
  return `${host}:${port}`;
}

async function executed(server: Server): Promise<string> {
  const [rows] = await (await world.connect(server)).query('SELECT @@GLOBAL.gtid_executed AS executed');
  return (rows as { executed: string }[])[0]?.executed ?? '';
}

async function subtract(set: string, other: string): Promise<string> {
  const [rows] = await mysql.query('SELECT GTID_SUBTRACT(?, ?) AS difference', [set, other]);
  return (rows as { difference: string }[])[0]?.difference.replaceAll(/\s/g, '') ?? '';
}

/** The replica has executed all that the primary has. */
async function waitForReplica(replica: Server): Promise<void> {
  const connection = await world.connect(replica);
  await connection.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 30)', [await executed(world.primary)]);
}

async function promote(server: Server): Promise<void> {
  const connection = await world.connect(server);
  await connection.query(
    'STOP REPLICA; RESET REPLICA ALL; SET PERSIST super_read_only = OFF; SET PERSIST read_only = OFF',
  );
}

async function replicate(server: Server, from: Server): Promise<void> {
  const { host, port, user, password } = world.cluster.endpoint(from);
  const connection = await world.connect(server);
  await connection.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,
       SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1;
     START REPLICA; SET PERSIST super_read_only = ON`,
    [host, port, user, password],
  );
}

async function askForSwitch(to: string): Promise<{ status: number; body: { code?: string; message?: string } }> {
  const answer = await fetch(`${dss.url}/sources/${world.name}/switch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ to }),
  });
  return { status: answer.status, body: (await answer.json()) as { code?: string } };
}

function waitUntilStreamedFrom(server: Server, withinMs = 30_000): Promise<SourceStatus> {
  return world.waitForStatus(
    dss,
    `the source to be streamed from ${server}`,
    ({ state, server: streamed, pipeline }) =>
      state === 'streaming' && streamed?.endpoint === addressOf(server) && pipeline?.phase === 'streaming',
    withinMs,
  );
}

/** Both sinks have what the primary has, and were given no row twice. */
async function expectWhole(repeats = 0): Promise<void> {
  const status = await world.waitUntilCaughtUp(dss);
  expect(status.pipeline?.repeatedChanges).toBe(repeats);
  const { samples, tables } = await world.compare();
  expect([samples, tables.map(({ rows }) => rows)]).toEqual([[], [nextId - 1]]);
}

describe('a source with two servers', () => {
  it('I7: moves to the promoted replica within five seconds after the primary was killed, and repeats nothing', async () => {
    await insert(10);
    await waitForReplica('mysql-replica');
    await world.waitUntilCaughtUp(dss);
    const before = await world.status(dss);
    const killedAt = performance.now();
    await world.cluster.kill('mysql-primary');
    await promote('mysql-replica');
    await use('mysql-replica');
    await insert(1);
    const { checkpoint } = await waitUntilStreamedFrom('mysql-replica');
    await world.waitUntilCaughtUp(dss);
    expect(performance.now() - killedAt).toBeLessThan(5000);
    await insert(10);
    await expectWhole();
    const after = await world.status(dss);
    expect(checkpoint?.lineage).toBe((before?.lineage ?? 0) + 1);
    expect([after?.switches, after?.lastSwitch?.askedBy, after?.lastSwitch?.error]).toEqual([1, null, null]);
    expect(after?.lastSwitch?.tookMs).toBeLessThan(5000);
  }, 90_000);

  it('the old primary comes back as a replica, and an operator moves the source there while rows are written', async () => {
    await world.cluster.start('mysql-primary');
    await replicate('mysql-primary', 'mysql-replica');
    await insert(10);
    expect((await askForSwitch('nowhere:1')).body.code).toBe('DITTO_SOURCE_ENDPOINT_UNKNOWN');
    expect((await askForSwitch(addressOf('mysql-replica'))).body.code).toBe('DITTO_SOURCE_SWITCH_IDLE');
    const asked = await askForSwitch(addressOf('mysql-primary'));
    expect([asked.status, asked.body]).toEqual([202, { switching: world.name, to: addressOf('mysql-primary') }]);
    await insert(50);
    const { lastSwitch } = await waitUntilStreamedFrom('mysql-primary');
    expect([lastSwitch?.to, lastSwitch?.error]).toEqual([addressOf('mysql-primary'), null]);
    await insert(10);
    await expectWhole();
  }, 90_000);

  it('I7: does not move to a server that lacks what was read, names it, and goes on where it was', async () => {
    expect((await askForSwitch(addressOf('mysql-replica'))).status).toBe(202);
    await waitUntilStreamedFrom('mysql-replica');
    const replica = await world.connect('mysql-primary');
    await replica.query('STOP REPLICA IO_THREAD');
    await insert(5);
    await world.waitUntilCaughtUp(dss);
    const missing = await subtract(await executed('mysql-replica'), await executed('mysql-primary'));
    await world.cluster.kill('mysql-replica');
    await promote('mysql-primary');
    const { refusedServers, lineage } = await world.waitForStatus(
      dss,
      'the other server to be refused',
      ({ refusedServers: refused }) => refused.some(({ endpoint }) => endpoint === addressOf('mysql-primary')),
    );
    const refusal = refusedServers.find(({ endpoint }) => endpoint === addressOf('mysql-primary'));
    expect(refusal?.code).toBe('DITTO_SOURCE_GTIDS_MISSING');
    expect(missing).toMatch(/:\d+-\d+$/);
    expect(refusal?.message).toContain(missing);
    // also when the process ends meanwhile
    await world.signal(dss, 'SIGKILL');
    dss = await world.start('dss');
    const { error } = await world.waitForStatus(dss, 'the error', (status) => status.error !== null);
    expect(error?.code).toBe('DITTO_SOURCE_NO_SERVER');
    expect(error?.message).toContain('DITTO_SOURCE_GTIDS_MISSING');
    await world.cluster.start('mysql-replica');
    const after = await waitUntilStreamedFrom('mysql-replica', 60_000);
    expect(after.lineage).toBe(lineage);
    // the other one was written to meanwhile: two primaries
    expect((await askForSwitch(addressOf('mysql-primary'))).body.code).toBe('DITTO_SOURCE_GTIDS_MISSING');
    await use('mysql-replica');
    await insert(5);
    const { pipeline } = await world.waitUntilCaughtUp(dss);
    await expectWhole(pipeline?.repeatedChanges);
  }, 120_000);
});
