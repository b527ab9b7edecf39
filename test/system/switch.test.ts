import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Connection } from 'mysql2/promise';
import { Cluster, type ClusterServer as Server } from './cluster.ts';
import { World, type ServiceInstance } from './world.ts';

/** A primary and a replica of its own: they are killed and change their roles. */
let world: World;
let cluster: Cluster;
let dss: ServiceInstance;
let dws: ServiceInstance;
let mysql: Connection;
let nextId = 1;

interface VerificationRun {
  readonly state: string;
  readonly details: readonly { readonly equal: number; readonly mismatches: number }[];
}

// one world for all: each test leaves a source that streams, and a cluster with a primary and a replica
beforeAll(async () => {
  world = await World.create({ tables: ['notes'], ownCluster: true });
  cluster = new Cluster(world);
  await use('mysql-primary');
  await mysql.query('CREATE TABLE notes (id INT PRIMARY KEY, v VARCHAR(20))');
  await insert(20);
  await world.start('dcs');
  dws = await world.start('dws');
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

async function subtract(set: string, other: string): Promise<string> {
  const [rows] = await mysql.query('SELECT GTID_SUBTRACT(?, ?) AS difference', [set, other]);
  return (rows as { difference: string }[])[0]?.difference.replaceAll(/\s/g, '') ?? '';
}

/** Has a server that was written to alone begin again: without its rows and its log, as a replica. */
async function rebuild(server: Server, from: Server): Promise<void> {
  await world.cluster.start(server);
  const connection = await world.connect(server);
  await connection.query(
    `SET PERSIST super_read_only = OFF; SET PERSIST read_only = OFF; SET sql_log_bin = 0;
     DELETE FROM ${world.database}.notes WHERE id >= ${nextId}; SET sql_log_bin = 1;
     RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = ?`,
    [await cluster.executed(from)],
  );
  await cluster.replicate(server, from);
}

async function askForSwitch(to: string): Promise<{ status: number; body: { code?: string; message?: string } }> {
  const answer = await fetch(`${dss.url}/sources/${world.name}/switch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ to }),
  });
  return { status: answer.status, body: (await answer.json()) as { code?: string } };
}

/** What the replica has received of its source; not all of it need be applied. */
async function received(replica: Server): Promise<string> {
  const [rows] = await (await world.connect(replica)).query('SHOW REPLICA STATUS');
  return (rows as { Retrieved_Gtid_Set: string }[])[0]?.Retrieved_Gtid_Set.replaceAll(/\s/g, '') ?? '';
}

async function waitUntilReceived(replica: Server, set: string): Promise<void> {
  const connection = await world.connect(replica);
  await world.waitFor('the replica to receive everything', async () => {
    const [rows] = await connection.query(
      'SELECT GTID_SUBSET(GTID_SUBTRACT(?, @@GLOBAL.gtid_executed), ?) AS all_of_it',
      [set, await received(replica)],
    );
    return (rows as { all_of_it: number }[])[0]?.all_of_it === 1;
  });
}

/** Both sinks have what the primary has, and were given no row twice. */
async function expectWhole(repeats = 0): Promise<void> {
  const status = await world.waitUntilCaughtUp(dss);
  expect(status.pipeline?.repeatedChanges).toBe(repeats);
  const { samples, tables } = await world.compare();
  expect([samples, tables.map(({ rows }) => rows)]).toEqual([[], [nextId - 1]]);
}

/** A run of verification, on the server that is streamed, finds every row equal. */
async function verify(): Promise<void> {
  const begun = await fetch(`${dws.url}/verifications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ source: world.name }),
  });
  const { id } = (await begun.json()) as { id: string };
  let run: VerificationRun | null = null;
  const read = async (): Promise<VerificationRun> =>
    (await (await fetch(`${dws.url}/verifications/${id}`)).json()) as VerificationRun;
  await world.waitFor(
    'the verification to end',
    async () => !['running', 'waiting'].includes((run = await read()).state),
    { watch: dws, withinMs: 60_000, describe: () => JSON.stringify(run) },
  );
  const { details } = await read();
  expect(details.map(({ equal, mismatches }) => [equal, mismatches])).toEqual([
    [nextId - 1, 0],
    [nextId - 1, 0],
  ]);
}

describe('a source with two servers', () => {
  const [a, b] = ['mysql-primary', 'mysql-replica'] as const;

  it('I7: moves to the promoted replica within five seconds after the primary was killed, and repeats nothing', async () => {
    await insert(10);
    await cluster.waitForReplica(b);
    await world.waitUntilCaughtUp(dss);
    const before = await world.status(dss);
    const killedAt = performance.now();
    await world.cluster.kill(a);
    await cluster.promote(b);
    await use(b);
    await insert(1);
    const { checkpoint } = await cluster.waitUntilStreamedFrom(dss, b);
    await world.waitUntilCaughtUp(dss);
    expect(performance.now() - killedAt).toBeLessThan(5000);
    await insert(10);
    await expectWhole();
    const after = await world.status(dss);
    expect(checkpoint?.lineage).toBe((before?.lineage ?? 0) + 1);
    expect([after?.switches, after?.lastSwitch?.askedBy, after?.lastSwitch?.error]).toEqual([1, null, null]);
    expect(after?.lastSwitch?.tookMs).toBeLessThan(5000);
    await verify();
  }, 90_000);

  it('the old primary comes back as a replica, and an operator moves the source there while rows are written', async () => {
    await world.cluster.start(a);
    await cluster.replicate(a, b);
    await insert(10);
    expect((await askForSwitch('nowhere:1')).body.code).toBe('DITTO_SOURCE_ENDPOINT_UNKNOWN');
    expect((await askForSwitch(cluster.addressOf(b))).body.code).toBe('DITTO_SOURCE_SWITCH_IDLE');
    const asked = await askForSwitch(cluster.addressOf(a));
    expect([asked.status, asked.body]).toEqual([202, { switching: world.name, to: cluster.addressOf(a) }]);
    await insert(50);
    const { lastSwitch } = await cluster.waitUntilStreamedFrom(dss, a);
    expect([lastSwitch?.to, lastSwitch?.error]).toEqual([cluster.addressOf(a), null]);
    await insert(10);
    await expectWhole();
  }, 90_000);

  it('a server that is frozen is left too', async () => {
    await cluster.waitForReplica(a);
    await world.waitUntilCaughtUp(dss);
    await world.cluster.freeze(a);
    try {
      await insert(5);
      await cluster.waitUntilStreamedFrom(dss, b);
      await expectWhole();
      await verify();
    } finally {
      await world.cluster.thaw(a);
    }
  }, 90_000);

  it('I7: a replica that has not applied yet what it received is waited for', async () => {
    const replica = await world.connect(a);
    await replica.query('STOP REPLICA SQL_THREAD');
    await insert(5);
    await world.waitUntilCaughtUp(dss);
    await waitUntilReceived(a, await cluster.executed(b));
    await world.cluster.kill(b);
    await cluster.waitForRefusal(dss, a, 'DITTO_SOURCE_SERVER_STALE');
    await replica.query('START REPLICA SQL_THREAD');
    await replica.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 30)', [await received(a)]);
    await cluster.promote(a);
    await cluster.waitUntilStreamedFrom(dss, a);
    await use(a);
    await insert(5);
    await expectWhole();
    await world.cluster.start(b);
    await cluster.replicate(b, a);
  }, 90_000);

  it('dispatchAfter replicated: gives nothing to a sink that the replica does not have, and moves there when the primary is lost', async () => {
    await world.signal(dss, 'SIGTERM');
    await dss.exited;
    dss = await world.start('dss', { source: { switch: { dispatchAfter: 'replicated' } } });
    await expectWhole((await world.waitUntilCaughtUp(dss)).pipeline?.repeatedChanges);
    const replica = await world.connect(b);
    await replica.query('STOP REPLICA');
    const before = await world.status(dss);
    await insert(5);
    await world.waitForStatus(dss, 'the wait for the replica', ({ waits }) =>
      waits.some(({ what }) => what.startsWith('1 other server of the cluster to have ')),
    );
    const during = await world.status(dss);
    expect(during?.checkpoint?.dispatchedSet).toBe(before?.checkpoint?.dispatchedSet);
    expect(during?.pipeline?.changes).toBe(before?.pipeline?.changes);
    // with what nobody else has the primary is lost; it was given to no sink, so another one can take its place
    await world.cluster.kill(a);
    await cluster.promote(b);
    await cluster.waitUntilStreamedFrom(dss, b);
    nextId -= 5;
    await use(b);
    // it waits for a server that has what the new primary writes: the old one, built again
    await rebuild(a, b);
    await insert(5);
    await expectWhole();
    await world.signal(dss, 'SIGTERM');
    await dss.exited;
    dss = await world.start('dss');
    await cluster.waitUntilStreamedFrom(dss, b);
    expect((await askForSwitch(cluster.addressOf(a))).status).toBe(202);
    await cluster.waitUntilStreamedFrom(dss, a);
    await expectWhole();
    await cluster.promote(a);
    await cluster.replicate(b, a);
    await use(a);
  }, 120_000);

  it('I7: does not move to a server that lacks what was read, names it, and goes on where it was', async () => {
    await cluster.waitForReplica(b);
    const replica = await world.connect(b);
    await replica.query('STOP REPLICA IO_THREAD');
    await insert(5);
    await world.waitUntilCaughtUp(dss);
    const before = await world.status(dss);
    const missing = await subtract(await cluster.executed(a), await cluster.executed(b));
    await world.cluster.kill(a);
    await cluster.promote(b);
    expect(missing).toMatch(/:\d+-\d+$/);
    expect(await cluster.waitForRefusal(dss, b, 'DITTO_SOURCE_GTIDS_MISSING')).toContain(missing);
    // also when the process ends meanwhile
    await world.signal(dss, 'SIGKILL');
    dss = await world.start('dss');
    const { error } = await world.waitForStatus(dss, 'the error', (status) => status.error !== null);
    expect(error?.code).toBe('DITTO_SOURCE_NO_SERVER');
    expect(error?.message).toContain('DITTO_SOURCE_GTIDS_MISSING');
    await world.cluster.start(a);
    const after = await cluster.waitUntilStreamedFrom(dss, a, 60_000);
    expect(after.lineage).toBe(before?.lineage);
    // the other one accepts writes as well: two primaries
    expect((await askForSwitch(cluster.addressOf(b))).body.code).toBe('DITTO_SOURCE_GTIDS_MISSING');
    await use(a);
    await insert(5);
    const { pipeline } = await world.waitUntilCaughtUp(dss);
    await expectWhole(pipeline?.repeatedChanges);
  }, 120_000);

  it('what only the lost server had is given up by a resync, which takes the other one', async () => {
    await world.cluster.kill(a);
    await world.signal(dss, 'SIGKILL');
    dss = await world.start('dss');
    await cluster.waitForRefusal(dss, b, 'DITTO_SOURCE_GTIDS_MISSING');
    // as of any server that runs for long
    await (await world.connect(b)).query('FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY');
    const { status } = await fetch(`${dss.url}/sources/${world.name}/resync`, { method: 'POST' });
    expect(status).toBe(202);
    await cluster.waitUntilStreamedFrom(dss, b);
    await use(b);
    await insert(5);
    await world.waitUntilCaughtUp(dss);
    const { samples, tables } = await world.compare();
    const [rows] = await mysql.query('SELECT COUNT(*) AS count FROM notes');
    expect([samples, tables.map((table) => table.rows)]).toEqual([[], [(rows as { count: number }[])[0]?.count]]);
  }, 120_000);
});
