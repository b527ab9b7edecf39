import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection } from 'mysql2/promise';
import { cascadeTables, CascadeWorkload } from './cascade-workload.ts';
import { type ServiceInstance, World } from './world.ts';

const ADD_KEY = 'ADD CONSTRAINT late FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE';

let world: World;
let mariaDb: Connection;
let dss: ServiceInstance;

beforeAll(async () => {
  const source = { cascades: 'reread', exclude: ['*.outside'], snapshot: { chunkRows: 100, cascadePauseMs: 200 } };
  // short: every kill of DSS waits for the lease of the dead process to end
  const configuration = { dss: { lease: { ttlMs: 1500, renewMs: 300 } } };
  world = await World.create({ tables: [...cascadeTables, 'addresses'], mariaDb: true, source, configuration });
  mariaDb = await world.connect();
  await run(`USE ${world.database}`, 'CREATE TABLE outside (id INT PRIMARY KEY)');
  await CascadeWorkload.createTables(mariaDb);
  await run('CREATE TABLE addresses (id INT PRIMARY KEY, customer INT NOT NULL)');
  await world.start('dcs');
  dss = await world.start('dss');
}, 300_000);

afterAll(() => world.close());

async function run(...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await mariaDb.query(statement);
}

async function expectNoDifference(): Promise<void> {
  await world.waitUntilCaughtUp(dss);
  const comparison = await world.compare();
  expect(comparison.samples).toEqual([]);
  expect(comparison.differences).toBe(0);
}

/** A cascade that is in no log, as long as nobody reads anything again. */
function addresses(from: number): string {
  return `INSERT INTO customers VALUES (${from}, 'late-${from}', 99, ${from}), (${from + 1}, 'late-${from + 1}', 99, ${from + 1});
    INSERT INTO addresses VALUES (${from}, ${from}), (${from + 1}, ${from}), (${from + 2}, ${from + 1})`;
}

describe('cascades that are in no log (MariaDB)', () => {
  it('I1, I2, I3, I4: children converge while parents and children change, and through kills of DSS', async () => {
    const stop = new AbortController();
    const workload = new CascadeWorkload(7);
    const workers: Promise<void>[] = [];
    for (let worker = 0; worker < 3; worker++) {
      const connection = await world.connect();
      await connection.query(`USE ${world.database}; SET innodb_lock_wait_timeout = 1`);
      workers.push(workload.run(connection, stop.signal));
    }
    await sleep(1500);
    await world.signal(dss, 'SIGKILL');
    dss = await world.start('dss');
    await world.waitForStatus(dss, 'the stream', ({ state }) => state === 'streaming');
    await sleep(1000);
    stop.abort();
    await Promise.all(workers);
    // nothing but unlogged changes of these from here on
    await run('DELETE FROM customers WHERE id % 2 = 0', 'DELETE FROM staff WHERE id % 3 = 0');
    await world.signal(dss, 'SIGKILL');
    dss = await world.start('dss');
    expect(workload.changes).toBeGreaterThan(200);
    await expectNoDifference();
  }, 120_000);

  it('I4: follows a foreign key that comes while it streams, and one that came and went while it did not', async () => {
    await run(`ALTER TABLE addresses ${ADD_KEY}`, addresses(10_000), 'DELETE FROM customers WHERE id = 10000');
    await expectNoDifference();
    await world.signal(dss, 'SIGKILL');
    await run('ALTER TABLE addresses DROP FOREIGN KEY late', `ALTER TABLE addresses ${ADD_KEY}`, addresses(20_000));
    await run('DELETE FROM customers WHERE id = 20000', 'ALTER TABLE addresses DROP FOREIGN KEY late');
    dss = await world.start('dss');
    await expectNoDifference();
  }, 60_000);

  it('I6: stops with a code at a foreign key to a table that is not included, and continues without it', async () => {
    const key = 'ADD CONSTRAINT abroad FOREIGN KEY (customer) REFERENCES outside (id) ON DELETE CASCADE';
    await run('INSERT INTO outside SELECT customer FROM addresses GROUP BY customer', `ALTER TABLE addresses ${key}`);
    const status = await world.waitForStatus(dss, 'the stop', ({ error }) => error !== null);
    expect(status.error).toMatchObject({
      code: 'DITTO_SOURCE_CASCADES_UNLOGGED',
      remedy: expect.stringContaining(`Include ${world.database}.outside`),
    });
    await run('DELETE FROM outside', 'ALTER TABLE addresses DROP FOREIGN KEY abroad');
    await fetch(`${dss.url}/sources/${world.name}/restart`, { method: 'POST' });
    await expectNoDifference();
  }, 60_000);
});
