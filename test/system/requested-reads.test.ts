import { afterEach, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { type NewRead, type RequestedRead } from '#replication';
import { StateDatabase, StateRequestedReadStore } from '#state';
import { createTables, fill, workloadTables, Writer } from './workload.ts';
import { type ServiceInstance, World } from './world.ts';

const ORDERS = 3000;

let world: World;
let state: StateDatabase;
let reads: StateRequestedReadStore;

afterEach(async () => {
  await state.close();
  await world.close();
});

/** As an instance that does not own the source. */
async function accept(table: string, scope: NewRead['scope']): Promise<string> {
  const id = randomUUID();
  const asked = { reason: 'rows were changed past the log', actor: 'test', acceptedAtMs: Date.now() };
  await reads.accept({ id, source: world.name, database: world.database, table, scope, ...asked });
  return id;
}

/** By the door of an instance; sent twice, as a caller does who got no answer. */
async function post(dss: ServiceInstance, table: string, keys: readonly unknown[]): Promise<string> {
  const id = randomUUID();
  const body = JSON.stringify({
    id,
    table: `${world.database}.${table}`,
    keys,
    reason: 'rows were changed past the log',
  });
  for (let i = 0; i < 2; i++) {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${dss.url}/sources/${world.name}/reads`, { method: 'POST', headers, body });
    expect([answer.status, await answer.json()]).toEqual([202, expect.objectContaining({ id, keyCount: keys.length })]);
  }
  return id;
}

async function waitForRead(id: string, what: string, holds: (read: RequestedRead) => boolean): Promise<RequestedRead> {
  let read: RequestedRead | null = null;
  await world.waitFor(
    what,
    async () => {
      read = await reads.find(id);
      return read !== null && holds(read);
    },
    { withinMs: 60_000, describe: () => JSON.stringify({ ...read, scope: null }) },
  );
  return read as unknown as RequestedRead;
}

it('a read is accepted by one process, executed by the owner, and continued by the next: the sinks are right after', async () => {
  world = await World.create({ tables: workloadTables, source: { snapshot: { chunkRows: 500, pauseMs: 30 } } });
  const mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, ORDERS);
  await world.start('dcs');
  let dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  const { host, port, user, password } = world.stack.endpoint('mysql-state');
  const database = `${world.database}_state`;
  state = new StateDatabase({ host, port, user: user ?? 'root', password: password ?? '', database });
  await state.open(AbortSignal.timeout(20_000));
  reads = new StateRequestedReadStore(state);

  // what the log does not say: rows that are gone, and rows that have changed
  await mysql.query('SET SESSION sql_log_bin = 0');
  await mysql.query('DELETE FROM orders WHERE id % 10 = 0');
  await mysql.query("UPDATE orders SET customer = -1, note = 'changed' WHERE id % 10 = 1");
  await mysql.query('DELETE FROM order_lines WHERE order_id % 7 = 0');
  await mysql.query('SET SESSION sql_log_bin = 1');
  expect((await world.compare()).differences).toBeGreaterThan(0);
  const connection = await world.connect();
  await connection.query(`USE ${world.database}`);
  const writer = new Writer(connection, { keys: ORDERS, pauseMs: 2 });

  const keys = Array.from({ length: ORDERS }, (_, i) => [i % 2 === 0 ? i + 1 : String(i + 1)]);
  const byKey = await post(dss, 'orders', keys);
  await waitForRead(byKey, 'some keys', ({ confirmedKeys }) => confirmedKeys > 0);
  await world.signal(dss, 'SIGKILL');
  const { state: stateAtKill, confirmedKeys } = await waitForRead(byKey, 'the read', () => true);
  expect([stateAtKill, confirmedKeys < ORDERS]).toEqual(['running', true]);
  const whole = await accept('order_lines', { kind: 'table' });
  dss = await world.start('dss');
  await waitForRead(whole, 'the table to be asked for', ({ state: now }) => now !== 'accepted');
  await world.signal(dss, 'SIGKILL');
  dss = await world.start('dss');

  const found = await waitForRead(byKey, 'all keys', ({ state: now }) => now === 'done');
  expect(found.counts.read + (found.counts.gone ?? 0)).toBe(ORDERS);
  expect(found.counts.gone).toBeGreaterThan(0);
  expect((await waitForRead(whole, 'the table', ({ state: now }) => now === 'done')).counts.read).toBeGreaterThan(0);
  await writer.stop();
  await world.waitUntilCaughtUp(dss);
  const comparison = await world.compare();
  expect(comparison.samples).toEqual([]);
  expect(comparison.differences).toBe(0);
}, 240_000);
