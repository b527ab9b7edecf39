import { afterEach, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RowDataPacket } from 'mysql2/promise';
import { countDifferences } from '../oracle/compare-all.ts';
import { DdlWorkload, SeededRandom } from './ddl-workload.ts';
import { World, type ServiceInstance } from './world.ts';

const isLong = process.env['DITTO_TEST_LONG'] === '1';
const writeMs = isLong ? 300_000 : 4_000;
const catchUpMs = isLong ? 300_000 : 60_000;
const tables = Array.from({ length: 10 }, (_, index) => `t${index}`);

let world: World;
let dss: ServiceInstance;

afterEach(() => world.close());

/** Stops the reader in one way or another, and lets the log grow without it now and then. */
async function restart(random: SeededRandom): Promise<void> {
  await world.signal(dss, random.pick(['SIGKILL', 'SIGTERM']));
  await dss.exited;
  await sleep(random.below(3) === 0 ? 1500 : 0);
  dss = await world.start('dss');
}

it(
  'I4: after random DDL between changes of rows, with a reader that is stopped, started and behind, mirror = source',
  async () => {
    const seed = Number(process.env['DITTO_TEST_SEED'] ?? randomInt(1e9));
    const random = new SeededRandom(seed);
    world = await World.create({ tables });
    const [ddl, rows] = [await world.connect(), await world.connect()];
    for (const connection of [ddl, rows]) await connection.query(`USE ${world.database}`);
    const workload = new DdlWorkload(tables, seed);
    await workload.createTables(ddl);
    await world.start('dcs');
    dss = await world.start('dss');
    // what is copied only after the storm shows nothing
    await world.waitUntilCaughtUp(dss);
    const stop = new AbortController();
    const work = [workload.runDdl(ddl, stop.signal, isLong ? 150 : 60), workload.runChanges(rows, stop.signal)];
    for (const part of work) part.catch(() => undefined); // reported when it is waited for
    const deadline = performance.now() + writeMs;
    let restarts = 0;
    while (performance.now() < deadline || restarts < 2) {
      await sleep(1000 + random.below(isLong ? 20_000 : 2000));
      await restart(random);
      restarts++;
    }
    stop.abort();
    await Promise.all(work);
    await world.waitUntilCaughtUp(dss, catchUpMs);
    await workload.alterAll(ddl);
    const status = await world.waitUntilCaughtUp(dss, catchUpMs);
    const [left] = await ddl.query<RowDataPacket[]>(
      'SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?',
      [world.database],
    );
    const comparison = await world.compare(left.map(({ name }) => name as string));
    const done = { seed, restarts, statements: workload.statements, changes: workload.changes };
    const wrong = comparison.tables.filter((table) => countDifferences(table) > 0).map(({ table }) => table);
    const history = workload.history.filter((statement) => wrong.some((table) => statement.includes(` ${table} `)));
    expect({ ...done, samples: comparison.samples, history }).toEqual({ ...done, samples: [], history: [] });
    expect([comparison.differences, status.error]).toEqual([0, null]);
    expect(comparison.tables.length).toBeGreaterThan(5);
    expect(workload.statements).toBeGreaterThan(isLong ? 300 : 20);
  },
  writeMs + 420_000,
);
