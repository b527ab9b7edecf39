import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from '@jest/globals';
import { STATE_CHANGE_CODES, type StateChange, SteppingDownProxy, testStack, type Trouble } from '#testing';
import { Random } from '../types/random.ts';
import { Sabotage } from './sabotage.ts';
import { Verifying } from './verifying.ts';
import { createTables, fill, workloadTables, Writer } from './workload.ts';
import { type ServiceInstance, World } from './world.ts';

const ORDERS = 600;
const DAMAGES = 6;
/** So many commands are answered so, at least, before the primary is there again. */
const ANSWERS = 3;
/** So long reads are answered so, at least: a chunk that is tried again after a second meets it too. */
const READS_MS = 2_000;

let world: World;
let proxy: SteppingDownProxy;
let sabotage: Sabotage | undefined;

afterEach(async () => {
  await sabotage?.close();
  await world.close();
  proxy.close();
}, 60_000);

const NAMES = Object.keys(STATE_CHANGE_CODES) as StateChange[];
/** Writes are those of DSS most of the time, reads those of DWS. */
const TROUBLES: readonly Trouble[] = NAMES.flatMap((name) => [
  { name, way: 'refused', commands: 'writes' },
  { name, way: 'interrupted', commands: 'writes' },
  { name, way: 'unconfirmed', commands: 'writes' },
  { name, way: 'refused', commands: 'reads' },
  { name, way: 'interrupted', commands: 'reads' },
]);

/** A read of the mirror that does not depend on what a run has left to do, and when. */
async function readDocument(dws: ServiceInstance): Promise<void> {
  const query = new URLSearchParams({ source: world.name, table: `${world.database}.orders`, key: '{"id":1}' });
  const answer = await fetch(`${dws.url}/explain?${query.toString()}`);
  // what a server does not answer is a part of the answer
  expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
}

/** The primary changes: each kind of answer for a while, with rests in between. */
async function changePrimaries(random: Random, dss: ServiceInstance, dws: ServiceInstance): Promise<void> {
  for (const trouble of TROUBLES) {
    proxy.trouble(trouble);
    const began = performance.now();
    const isEnough = async (): Promise<boolean> => {
      if (trouble.commands === 'writes') return proxy.count(trouble) >= ANSWERS;
      await readDocument(dws);
      return proxy.count(trouble) >= ANSWERS && performance.now() - began >= READS_MS;
    };
    const what = `${ANSWERS} answers of ${JSON.stringify(trouble)}`;
    await world.waitFor(what, isEnough, { watch: dss, withinMs: 60_000 });
    proxy.calm();
    await sleep(random.between(100, 1_000));
  }
}

it('I1, I3, I8: what a replica set answers while its primary changes is waited out: nothing is lost, and no row is found wrong that is not', async () => {
  const seed = Number(process.env['DITTO_TEST_SEED'] ?? randomInt(1e9));
  process.stderr.write(`primaries: seed ${seed}\n`);
  const random = new Random(seed);
  const stack = await testStack();
  proxy = await SteppingDownProxy.open(stack.endpoint('mongo'));
  const url = new URL(stack.url('mongo'));
  url.port = String(proxy.port);
  world = await World.create({
    tables: workloadTables,
    source: { sinks: ['kafka', 'mongo'] },
    configuration: { mongo: { url: url.href }, dws: { repairIntervalMs: 300 } },
  });
  const mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, ORDERS);
  await world.start('dcs');
  const dss = await world.start('dss');
  const dws = await world.start('dws');
  await world.waitUntilCaughtUp(dss);
  const writing = await world.connect();
  await writing.query(`USE ${world.database}`);
  const writer = new Writer(writing, { keys: ORDERS, pauseMs: 20 });
  const verifying = new Verifying(world, () => dws);
  sabotage = new Sabotage(world, random);
  await sabotage.open();
  const { ledger } = sabotage;

  const primaries = { isChanging: true };
  const changing = changePrimaries(random, dss, dws).finally(() => (primaries.isChanging = false));
  changing.catch(() => proxy.calm()); // reported when it is waited for
  // the last run sees a primary that has come back
  for (let wasChanging = true; wasChanging;) {
    wasChanging = primaries.isChanging;
    for (const table of workloadTables) await sabotage.damageMirror(table, DAMAGES);
    const number = sabotage.nextRun++;
    const run = await verifying.waitForEnd(await verifying.begin());
    expect(run).toMatchObject({ state: 'done', notJudged: 0 });
    expect(ledger.note(await verifying.listMismatches())).toEqual([]);
    ledger.endRun(number, run.endedAtMs ?? Infinity);
  }
  await changing;
  const mismatches = await verifying.waitForRepairs(90_000);
  await writer.stop();
  const status = await world.waitUntilCaughtUp(dss);
  // it has gone on by itself
  expect(status.token).toBe(1);
  const last = await verifying.waitForEnd(await verifying.begin());
  expect(last).toMatchObject({ state: 'done', mismatches: 0, unsettled: 0, notJudged: 0 });
  expect(ledger.note(await verifying.listMismatches())).toEqual([]);
  expect(mismatches.filter(({ state }) => state !== 'repaired' && state !== 'gone')).toEqual([]);
  const { found, missed } = ledger.close(await sabotage.readHistories(workloadTables));
  process.stderr.write(`primaries: ${JSON.stringify({ seed, found, answered: Object.fromEntries(proxy.answered) })}\n`);
  expect({ seed, missed }).toEqual({ seed, missed: [] });
  expect(Object.values(found).reduce((a, b) => a + b, 0)).toBeGreaterThan(DAMAGES);
  const comparison = await world.compare();
  expect([comparison.samples, comparison.differences]).toEqual([[], 0]);
}, 900_000);
