import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from '@jest/globals';
import { type Connection } from 'mysql2/promise';
import { MIRROR_DAMAGES } from '../saboteur/mirror-saboteur.ts';
import { TOPIC_DAMAGES } from '../saboteur/topic-saboteur.ts';
import { Random } from '../types/random.ts';
import { createReadings, fillReadings, READINGS, ReadingsWriter } from './readings-workload.ts';
import { Sabotage } from './sabotage.ts';
import { type Run, Verifying, within } from './verifying.ts';
import { createTables, fill, workloadTables, Writer } from './workload.ts';
import { type ServiceInstance, World } from './world.ts';

const isLong = process.env['DITTO_TEST_LONG'] === '1';
const DAMAGES = isLong ? 10_000 : 1_000;
const COMPARISONS = isLong ? 5_000_000 : 300_000;
/** Two lines for each; half as many readings. */
const ORDERS = isLong ? 40_000 : 6_000;
const TABLES = [...workloadTables, READINGS];
/** Documents, or keys of a topic, that are damaged one after the other. */
const BATCH = isLong ? 200 : 30;
const STEP_WITHIN_MS = 120_000;
const RUN_WITHIN_MS = isLong ? 1_800_000 : 300_000;
const SINKS = ['kafka', 'mongo'] as const;

let world: World;
let sabotage: Sabotage | undefined;
/** How often a sink was frozen. */
let pausing: Promise<number> | undefined;
const stopped = new AbortController();

afterEach(async () => {
  stopped.abort();
  // it releases what it has frozen
  await pausing?.catch(() => undefined);
  await sabotage?.close();
  await world.close();
}, 60_000);

/** Freezes one sink after the other, and releases it, until stopped. */
async function pauseSinks(random: Random): Promise<number> {
  let pauses = 0;
  while (!stopped.signal.aborted) {
    await sleep(random.between(1_000, 5_000));
    const sink = random.pick(SINKS);
    // now and then so long that connections are given up
    const pauseMs = pauses % 8 === 4 ? 6_500 : random.between(100, 1_000);
    const stack = world.stackOf(sink);
    await stack.freeze(sink);
    try {
      await sleep(pauseMs);
    } finally {
      await stack.thaw(sink);
    }
    pauses++;
  }
  return pauses;
}

async function damageAll(sabotage: Sabotage, random: Random): Promise<void> {
  const { ledger } = sabotage;
  for (let step = 0; !stopped.signal.aborted; step++) {
    // more are needed when many were overwritten
    if (ledger.counting >= DAMAGES) {
      await sleep(200);
      continue;
    }
    const table = random.pick(TABLES);
    const work: Promise<unknown> =
      step % 5 === 4
        ? sabotage.restoreOlder(BATCH)
        : step % 2 === 0
          ? sabotage.damageMirror(table, BATCH)
          : sabotage.damageTopic(table, BATCH);
    await within(STEP_WITHIN_MS, `step ${step} of the damages, with ${ledger.size} done`, work);
  }
}

async function verifyOnce(verifying: Verifying): Promise<Run> {
  return verifying.waitForEnd(await verifying.begin(), RUN_WITHIN_MS);
}

async function connectToDatabase(): Promise<Connection> {
  const connection = await world.connect();
  await connection.query(`USE ${world.database}`);
  return connection;
}

/** Half of the rows are copied, and written all the time later; half come by the log. Of some both sinks have an older state as well. */
async function prepare(sabotage: Sabotage): Promise<ServiceInstance> {
  const mysql = await connectToDatabase();
  await createTables(world, mysql);
  await createReadings(mysql);
  await fill(mysql, ORDERS / 2);
  await fillReadings(mysql, 1, ORDERS / 4);
  await world.start('dcs');
  const dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  await fill(mysql, ORDERS / 2, 1 + ORDERS / 2);
  await fillReadings(mysql, 1 + ORDERS / 4, ORDERS / 4);
  await world.waitUntilCaughtUp(dss);
  for (const table of TABLES) await sabotage.remember(table, DAMAGES);
  await mysql.query(`
    UPDATE orders SET customer = customer + 1 WHERE id % 5 = 0;
    UPDATE order_lines SET quantity = quantity + 1 WHERE order_id % 5 = 1;
    UPDATE readings SET amount = amount + 1 WHERE amount % 5 < 1`);
  await world.waitUntilCaughtUp(dss);
  return dss;
}

it(
  `I4, I8, I10: ${DAMAGES} damages of every kind in both sinks are found and repaired, while rows are written and sinks freeze, without a false alarm`,
  async () => {
    const seed = Number(process.env['DITTO_TEST_SEED'] ?? randomInt(1e9));
    process.stderr.write(`saboteur: seed ${seed}\n`);
    const random = new Random(seed);
    world = await World.create({
      tables: TABLES,
      ownServers: ['kafka', 'mongo'],
      source: { pace: { rowsPerSecond: 0 }, repair: { perHour: 1_000_000, breakerPerHour: 1_000_000 } },
      configuration: { verification: { chunkRows: 2_000 }, dws: { repairIntervalMs: 500 } },
    });
    sabotage = new Sabotage(world, random);
    await sabotage.open();
    const { ledger } = sabotage;
    const dss = await prepare(sabotage);
    const dws = await world.start('dws');
    const verifying = new Verifying(world, () => dws);
    let comparisons = 0;

    const writer = new Writer(await connectToDatabase(), { keys: ORDERS / 2, pauseMs: 20 });
    const readings = new ReadingsWriter(await connectToDatabase(), { rows: ORDERS / 4, pauseMs: 30 });
    const pauses = (pausing = pauseSinks(new Random(seed + 1)));
    const damaging = damageAll(sabotage, random);
    const failing = new Promise<never>((_, reject) => {
      for (const work of [pauses, damaging]) work.catch(reject);
    });
    failing.catch(() => undefined); // reported by the race
    const alarms: unknown[] = [];
    // what is damaged during a run is due in the next one
    for (let known = -1; ledger.size > known || ledger.counting < DAMAGES || comparisons < COMPARISONS;) {
      known = ledger.size;
      const number = sabotage.nextRun++;
      const run = await Promise.race([verifyOnce(verifying), failing]);
      expect(run).toMatchObject({ state: 'done', notJudged: 0 });
      comparisons += run.rows;
      alarms.push(...ledger.note(await verifying.listMismatches()));
      expect({ seed, alarms }).toEqual({ seed, alarms: [] });
      ledger.endRun(number, run.endedAtMs ?? Infinity);
    }
    stopped.abort();
    await damaging;
    const paused = await pauses;
    const mismatches = await verifying.waitForRepairs(RUN_WITHIN_MS);
    await writer.stop();
    await readings.stop();
    await world.waitUntilCaughtUp(dss);
    const last = await verifyOnce(verifying);
    expect(last).toMatchObject({ state: 'done', mismatches: 0, unsettled: 0, notJudged: 0 });

    const { found, overwritten, missed } = ledger.close(await sabotage.readHistories(TABLES));
    const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);
    process.stderr.write(
      `saboteur: ${JSON.stringify({ seed, comparisons, runs: sabotage.nextRun, paused, damages: ledger.size, found: sum(found), overwritten: sum(overwritten), byKind: found })}\n`,
    );
    const left = ledger.note(await verifying.listMismatches());
    const notRepaired = mismatches.filter(({ state }) => state !== 'repaired' && state !== 'gone');
    expect({ seed, missed, left, notRepaired }).toEqual({ seed, missed: [], left: [], notRepaired: [] });
    const kinds = [
      ...[...MIRROR_DAMAGES, 'older document'].map((kind) => `mongo ${kind}`),
      ...TOPIC_DAMAGES.map((kind) => `kafka ${kind}`),
    ];
    expect(Object.keys(found).sort()).toEqual(kinds.sort());
    expect([sum(found) >= DAMAGES, comparisons >= COMPARISONS, paused > 3]).toEqual([true, true, true]);
    const { tables, samples } = await world.compare();
    // what is out of order are the forged messages themselves: they stay until the topic is compacted
    expect(samples.filter((text) => !text.endsWith(': out of order'))).toEqual([]);
    for (const { mongo, kafka } of tables)
      for (const sink of [mongo, kafka]) expect(sink).toMatchObject({ missing: 0, extra: 0, different: 0 });
  },
  isLong ? 7_200_000 : 900_000,
);
