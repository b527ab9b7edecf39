import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection } from 'mysql2/promise';
import { type SourceStatus } from '../../apps/dss/src/sources/source-status.ts';
import { createTables, fill, workloadTables } from './workload.ts';
import { World, type ServiceInstance } from './world.ts';

let world: World;
let mysql: Connection;
let dss: ServiceInstance;

beforeEach(async () => {
  // what a sink refuses stops the source
  const configuration = { failedEvents: { mostKeys: 0 } };
  world = await World.create({ tables: workloadTables, configuration });
  mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, 500);
  await world.start('dcs');
}, 60_000);

afterEach(() => world.close());

async function runDss(): Promise<void> {
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
}

describe('statements in the log', () => {
  it('TRUNCATE, RENAME, DROP and neutral DDL are followed; the sinks end up with what MySQL has', async () => {
    await runDss();
    await mysql.query('ALTER TABLE orders ADD INDEX by_customer (customer), ALGORITHM=INPLACE');
    await mysql.query('TRUNCATE TABLE order_lines');
    await mysql.query("INSERT INTO order_lines VALUES (1, 1, 'after', 1, 1)");
    await mysql.query('RENAME TABLE orders TO old_orders');
    await mysql.query("UPDATE old_orders SET status = 'paid' WHERE id < 100");
    await mysql.query('CREATE TABLE gone (id INT PRIMARY KEY); INSERT INTO gone VALUES (1), (2); DROP TABLE gone');
    await world.waitForStatus(dss, 'the renamed table to be copied', ({ snapshot }) =>
      snapshot.some(({ table, state }) => table === 'old_orders' && state === 'done'),
    );
    await world.waitUntilCaughtUp(dss);
    const comparison = await world.compare(['old_orders', 'order_lines']);
    expect(comparison.samples).toEqual([]);
    expect(comparison.tables.map(({ rows }) => rows)).toEqual([500, 1]);
    expect((await world.status(dss))?.pipeline?.reconnects).toBe(0);
  }, 90_000);

  it('I6: a row that is too large for a topic is named; making it smaller does not lead out, resync after it does', async () => {
    await mysql.query('CREATE TABLE notes (id INT PRIMARY KEY, body LONGTEXT)');
    await runDss();
    await mysql.query("INSERT INTO notes VALUES (1, 'small'), (2, REPEAT('x', 2000000))");
    const isTooLarge = ({ state, error }: SourceStatus): boolean =>
      state === 'failed' && error?.code === 'DITTO_KAFKA_MESSAGE_TOO_LARGE';
    const { error, token } = await world.waitForStatus(dss, 'the stop', isTooLarge);
    expect(error?.message).toContain('with key {"id":2}');
    await mysql.query("UPDATE notes SET body = 'smaller' WHERE id = 2");
    const ask = async (action: string): Promise<number> =>
      (await fetch(`${dss.url}/sources/${world.name}/${action}`, { method: 'POST' })).status;
    expect(await ask('restart')).toBe(200);
    await world.waitForStatus(
      dss,
      'the next stop',
      (status) => isTooLarge(status) && (status.token ?? 0) > (token ?? 0),
    );
    expect(await ask('resync')).toBe(202);
    await world.waitForStatus(dss, 'the resync', ({ state, lineage }) => state === 'streaming' && lineage === 2);
    await world.waitUntilCaughtUp(dss);
    const { samples, tables } = await world.compare([...workloadTables, 'notes']);
    expect([samples, tables.at(-1)?.rows]).toEqual([[], 2]);
  }, 90_000);
});

describe('resync', () => {
  const resync = () => fetch(`${dss.url}/sources/${world.name}/resync`, { method: 'POST' });
  const copied = ({ state, snapshot, lineage }: SourceStatus) =>
    state === 'streaming' &&
    (lineage ?? 0) > 1 &&
    snapshot.length > 0 &&
    snapshot.every((table) => table.state === 'done' || table.state === 'unavailable');

  it('I4: continues after a stop, and rows that vanished in between leave mirror and topics', async () => {
    await runDss();
    await mysql.query('CREATE TABLE passing (id INT PRIMARY KEY); INSERT INTO passing VALUES (1), (2)');
    await world.waitUntilCaughtUp(dss);
    await mysql.query('ALTER TABLE orders DROP PRIMARY KEY');
    await mysql.query("INSERT INTO orders (id, customer, status, placed) VALUES (9000, 1, 'new', NOW(6))");
    await world.waitForStatus(dss, 'the stop', ({ state }) => state === 'failed');
    await mysql.query('DELETE FROM orders WHERE id = 9000');
    await mysql.query('ALTER TABLE orders ADD PRIMARY KEY (id), ADD COLUMN more INT NOT NULL DEFAULT 7');
    await mysql.query('DELETE FROM orders WHERE id IN (1, 250, 500); DELETE FROM order_lines WHERE order_id < 50');
    await mysql.query("UPDATE orders SET status = 'sent', more = 8 WHERE id = 7");
    await mysql.query("INSERT INTO orders (id, customer, status, placed) VALUES (9001, 1, 'new', NOW(6))");
    await mysql.query('TRUNCATE TABLE passing');
    const answer = await resync();
    expect([answer.status, await answer.json()]).toEqual([202, { resyncing: world.name }]);
    const status = await world.waitForStatus(dss, 'every table to be copied again', copied);
    expect([status.lineage, status.error]).toEqual([2, null]);
    await mysql.query("INSERT INTO orders (id, customer, status, placed, more) VALUES (9002, 1, 'new', NOW(6), 9)");
    await world.waitUntilCaughtUp(dss);
    const comparison = await world.compare([...workloadTables, 'passing']);
    expect(comparison.samples).toEqual([]);
    expect(comparison.tables.map(({ rows }) => rows)).toEqual([499, 902, 0]);
    expect((await world.status(dss))?.sinks['mongo']?.counters['rejectedOutsideReplay']).toBe(0);
  }, 120_000);

  it('I1, I4: a process that is killed in it leaves it to the next owner', async () => {
    await runDss();
    expect((await resync()).status).toBe(202);
    await world.signal(dss, 'SIGKILL');
    await mysql.query('DELETE FROM orders WHERE id < 100');
    dss = await world.start('dss');
    await world.waitForStatus(dss, 'every table to be copied again', copied);
    await world.waitUntilCaughtUp(dss);
    const comparison = await world.compare();
    expect(comparison.samples).toEqual([]);
    expect(comparison.tables.map(({ rows }) => rows)).toEqual([401, 1000]);
  }, 120_000);

  it('is refused for a source that is not known', async () => {
    await runDss();
    const answer = await fetch(`${dss.url}/sources/unknown/resync`, { method: 'POST' });
    expect([answer.status, await answer.json()]).toMatchObject([404, { code: 'DITTO_SOURCE_UNKNOWN' }]);
  }, 90_000);
});

describe('positions', () => {
  it('I7: a server that lacks transactions that a sink holds, saved or not, is refused with their names; once it has them it continues', async () => {
    const replica = await world.connect('mysql-replica');
    await runDss();
    await world.signal(dss, 'SIGTERM');
    await dss.exited;
    await replica.query('STOP REPLICA SQL_THREAD');
    try {
      // killed before what it dispatched is saved: only the sinks know of it
      const never = 600_000;
      dss = await world.start('dss', { dss: { checkpoint: { dcsIntervalMs: never, stateIntervalMs: never } } });
      await world.waitUntilCaughtUp(dss);
      await fill(mysql, 100, 5000);
      await world.waitUntilCaughtUp(dss);
      await world.signal(dss, 'SIGKILL');
      const { host, port, user, password } = world.stack.endpoint('mysql-replica');
      dss = await world.start('dss', { source: { endpoints: [{ host, port, user, password }] } });
      const refused = await world.waitForStatus(dss, 'the refusal', ({ state }) => state === 'failed');
      expect(refused.error?.code).toBe('DITTO_SOURCE_GTIDS_MISSING');
      expect(refused.error?.message).toMatch(/[0-9a-f-]{36}:\d+/);
    } finally {
      await replica.query('START REPLICA SQL_THREAD');
    }
    await replica.query('SELECT SLEEP(0.5)');
    await world.waitFor('the replica to catch up', async () => {
      await fetch(`${dss.url}/sources/${world.name}/restart`, { method: 'POST' });
      const status = await world.status(dss);
      return status?.state === 'streaming';
    });
    const status = await world.waitUntilCaughtUp(dss);
    expect(status.lineage).toBe(2);
    const comparison = await world.compare();
    expect(comparison.samples).toEqual([]);
    expect(comparison.tables[0]?.rows).toBe(600);
  }, 120_000);
});

describe('a bad configuration', () => {
  it('ends the process with every problem and how to fix it', async () => {
    const file = join(world.folder, 'bad.yaml');
    writeFileSync(
      file,
      'sources: { shop: { endpoints: [], includes: [x] } }\nredis: { url: http://x }\ndss: { inFlightBytes: much }\n',
    );
    const instance = world.spawn('dss', file);
    expect(await instance.exited).toBe(1);
    const log = world.logTail(instance, 40);
    for (const problem of ['sources.shop.endpoints', 'includes', 'redis.url', 'state', 'dss.inFlightBytes'])
      expect(log).toContain(problem);
    expect(log).toContain('DITTO_CONFIG_INVALID');
  });

  it('I6: settings of the source that lose data are refused at start with the statement that fixes them', async () => {
    await mysql.query('SET GLOBAL binlog_row_image = MINIMAL; SET GLOBAL binlog_row_metadata = MINIMAL');
    try {
      dss = await world.start('dss');
      const refused = await world.waitForStatus(dss, 'the refusal', ({ state }) => state === 'failed');
      expect(refused.error?.remedy).toContain('SET PERSIST binlog_row_image = FULL');
      expect(refused.error?.remedy).toContain('SET PERSIST binlog_row_metadata = FULL');
      expect(refused.checkpoint).toBeNull();
    } finally {
      await mysql.query('SET GLOBAL binlog_row_image = FULL; SET GLOBAL binlog_row_metadata = FULL');
    }
    await fetch(`${dss.url}/sources/${world.name}/restart`, { method: 'POST' });
    await world.waitUntilCaughtUp(dss);
    expect((await world.compare()).samples).toEqual([]);
  }, 90_000);
});
