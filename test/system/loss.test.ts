import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Connection, type RowDataPacket } from 'mysql2/promise';
import { Cluster, type ClusterServer } from './cluster.ts';
import { World, type ServiceInstance } from './world.ts';

/** A primary and a replica of its own. */
let world: World;
let cluster: Cluster;
let dss: ServiceInstance;
let mysql: Connection;

const [A, B] = ['mysql-primary', 'mysql-replica'] as const;
const TABLES = ['notes', 'quiet', 'altered'];

beforeAll(async () => {
  world = await World.create({ tables: TABLES, ownCluster: true });
  cluster = new Cluster(world);
  await use(A);
  for (const table of TABLES)
    await mysql.query(
      `CREATE TABLE ${table} (id INT PRIMARY KEY, v VARCHAR(20));
       INSERT INTO ${table} VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')`,
    );
  await cluster.waitForReplica(B);
  await world.start('dcs');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
}, 180_000);

afterAll(() => world.close());

/** Writes go to this server from now on. */
async function use(server: ClusterServer): Promise<void> {
  world.primary = server;
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
}

/** Changes that the sinks get, and the replica does not; the primary dies, and the cluster goes on without them. */
async function lose(from: ClusterServer, to: ClusterServer, statements: readonly string[]): Promise<string> {
  await cluster.waitForReplica(to);
  await world.waitUntilCaughtUp(dss);
  await (await world.connect(to)).query('STOP REPLICA IO_THREAD');
  for (const statement of statements) await mysql.query(statement);
  await world.waitUntilCaughtUp(dss);
  const [rows] = await mysql.query<(RowDataPacket & { lost: string })[]>('SELECT GTID_SUBTRACT(?, ?) AS lost', [
    await cluster.executed(from),
    await cluster.executed(to),
  ]);
  await world.cluster.kill(from);
  await cluster.promote(to);
  await use(to);
  return rows[0]?.lost.replaceAll(/\s/g, '') ?? '';
}

async function acceptLoss(gtids: string, server: string): Promise<{ status: number; code?: string }> {
  const answer = await fetch(`${dss.url}/sources/${world.name}/accept-loss`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ server, gtids }),
  });
  const { code } = (await answer.json()) as { code?: string };
  return { status: answer.status, ...(code !== undefined && { code }) };
}

/** Both sinks have what the server that goes on has. */
async function expectEqual(): Promise<void> {
  await world.waitUntilCaughtUp(dss);
  expect((await world.compare()).samples).toEqual([]);
}

/** Has a server that went its own way begin again as a replica, with the rows of the other. */
async function rebuild(server: ClusterServer, from: ClusterServer): Promise<void> {
  await world.cluster.start(server);
  const connection = await world.connect(server);
  await connection.query(`SET PERSIST super_read_only = OFF; SET PERSIST read_only = OFF; SET sql_log_bin = 0`);
  for (const table of TABLES) {
    const [rows] = await mysql.query<(RowDataPacket & { id: number; v: string })[]>(`SELECT * FROM ${table}`);
    await connection.query(`DELETE FROM ${world.database}.${table}; INSERT INTO ${world.database}.${table} VALUES ?`, [
      rows.map(({ id, v }) => [id, v]),
    ]);
  }
  await connection.query('SET sql_log_bin = 1; RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = ?', [
    await cluster.executed(from),
  ]);
  await cluster.replicate(server, from);
}

it('the status of a source that has read all shows no purge to come, and what its server keeps', async () => {
  const { logPurge } = await world.waitForStatus(
    dss,
    'the forecast of a source that has read all',
    (status) => status.logPurge?.behindBytes === 0,
  );
  expect(logPurge).toMatchObject({ leftMs: null, keptForMs: 2_592_000_000, keptBytes: null });
  expect(await (await fetch(`${dss.url}/metrics`)).text()).not.toMatch(/^ditto_dss_log_purge_seconds{/m);
}, 60_000);

describe('transactions that only a dead primary had, and that the sinks have', () => {
  it('I7: are given up by an operator, who names them and the server; what they changed is read again, also when the process is killed', async () => {
    const lost = await lose(A, B, [
      "INSERT INTO notes VALUES (6, 'lost'), (7, 'lost')",
      "UPDATE notes SET v = 'lost' WHERE id IN (1, 2)",
      'DELETE FROM notes WHERE id = 3',
    ]);
    await mysql.query("INSERT INTO notes VALUES (7, 'kept'), (8, 'kept')");
    expect(await cluster.waitForRefusal(dss, B, 'DITTO_SOURCE_GTIDS_MISSING')).toContain(lost);
    const before = await world.status(dss);
    const other = '11111111-1111-1111-1111-111111111111:1';
    expect(await acceptLoss(other, cluster.addressOf(B))).toEqual({ status: 409, code: 'DITTO_SOURCE_LOSS_DIFFERS' });
    expect(await acceptLoss(`${lost},${other}`, cluster.addressOf(B))).toMatchObject({ status: 409 });
    expect(await acceptLoss(lost, 'nowhere:1')).toEqual({ status: 409, code: 'DITTO_SOURCE_ENDPOINT_UNKNOWN' });
    expect(await acceptLoss('all', cluster.addressOf(B))).toMatchObject({ status: 400 });
    expect(await acceptLoss(lost, cluster.addressOf(B))).toEqual({ status: 202 });
    await world.signal(dss, 'SIGKILL');
    dss = await world.start('dss');
    const { lineage } = await cluster.waitUntilStreamedFrom(dss, B);
    expect(lineage).toBeGreaterThan(before?.lineage ?? Infinity);
    await mysql.query("UPDATE notes SET v = 'later' WHERE id = 2");
    await expectEqual();
    expect(await acceptLoss(lost, cluster.addressOf(B))).toEqual({ status: 409, code: 'DITTO_SOURCE_NOTHING_LOST' });
  }, 120_000);

  it('I7: are not given up by itself where the server that has them is back before that is done', async () => {
    await rebuild(A, B);
    await cluster.waitForReplica(A);
    await cluster.promote(A);
    await mysql.query("INSERT INTO notes VALUES (20, 'found')");
    await world.waitUntilCaughtUp(dss);
    await world.signal(dss, 'SIGTERM');
    await dss.exited;
    const [lost] = await mysql.query<(RowDataPacket & { gtids: string })[]>('SELECT GTID_SUBTRACT(?, ?) AS gtids', [
      await cluster.executed(B),
      await cluster.executed(A),
    ]);
    const state = await world.connect('mysql-state');
    const sources = `${world.database}_state.sources`;
    await state.query(
      `UPDATE ${sources} SET switch_to = ?, switch_asked_by = NULL, switch_gives_up = ? WHERE name = ?`,
      [cluster.addressOf(A), lost[0]?.gtids, world.name],
    );
    dss = await world.start('dss');
    const { lastSwitch } = await cluster.waitUntilStreamedFrom(dss, B);
    expect(lastSwitch).toBeNull();
    const [rows] = await state.query<RowDataPacket[]>(`SELECT switch_to FROM ${sources} WHERE name = ?`, [world.name]);
    expect(rows).toEqual([{ switch_to: null }]);
    await expectEqual();
    await cluster.replicate(A, B);
  }, 120_000);

  it('I7: are given up by itself where the configuration says so; a table whose definition is lost is read as a whole', async () => {
    // its log proves what is in it only
    await mysql.query("INSERT INTO quiet VALUES (6, 'f')");
    await world.waitUntilCaughtUp(dss);
    await world.signal(dss, 'SIGTERM');
    await dss.exited;
    dss = await world.start('dss', { source: { switch: { onLoss: 'heal', waitMs: 1000 } } });
    await expectEqual();
    const lost = await lose(B, A, [
      "UPDATE notes SET v = 'lost'",
      "INSERT INTO notes VALUES (9, 'lost')",
      'DELETE FROM notes WHERE id < 3',
      'ALTER TABLE altered ADD COLUMN more INT NOT NULL DEFAULT 7, DROP COLUMN v',
    ]);
    const { lastSwitch } = await cluster.waitUntilStreamedFrom(dss, A, 60_000);
    expect(lastSwitch).toMatchObject({ askedBy: null, error: null });
    expect(lastSwitch?.healing).toEqual({
      gtids: lost,
      rowsOf: [`${world.database}.notes`],
      whole: [`${world.database}.altered`],
      isResync: false,
    });
    await mysql.query("UPDATE altered SET v = 'later' WHERE id = 2");
    await expectEqual();
  }, 120_000);
});
