import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { collectionName } from '#change-events';
import { mirrorDatabase } from '#mongo';
import { type ServiceInstance, World } from './world.ts';

const { MongoClient } = mongoose.mongo;
/** A change every few milliseconds: the checkpoint never comes to cover the newest one. */
const PAUSE_MS = 10;

interface Run {
  readonly id: string;
  readonly state: string;
  readonly mismatches: number;
  readonly unsettled: number;
  readonly details: readonly { readonly sink: string; readonly rows: number; readonly equal: number }[];
}

interface MismatchView {
  readonly key: string;
  readonly sink: string;
  readonly kind: string;
  readonly details: { readonly differences: readonly { readonly column: string; readonly sink: string | null }[] };
}

let world: World;
let dws: ServiceInstance;
let mongo: mongoose.mongo.MongoClient;
let stopped: AbortController;
const loops: Promise<void>[] = [];

beforeEach(async () => {
  stopped = new AbortController();
  world = await World.create({
    tables: ['hot'],
    source: { repair: { mode: 'report' } },
    configuration: { verification: { attempts: 2, secondWayShare: 0 } },
  });
  mongo = new MongoClient(world.stack.url('mongo'));
  const mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
  await mysql.query('CREATE TABLE hot (id INT PRIMARY KEY, v INT NOT NULL, note VARCHAR(20) NOT NULL)');
  await mysql.query("INSERT INTO hot VALUES (1, 0, 'a'), (2, 0, 'b')");
  await world.start('dcs');
  const dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  dws = await world.start('dws');
  await world.waitFor('the state database', async () => (await fetch(`${dws.url}/mismatches`)).ok, { watch: dws });
  repeat(() => mysql.query('UPDATE hot SET v = v + 1'));
}, 120_000);
afterEach(async () => {
  stopped.abort();
  await Promise.all(loops.splice(0));
  await mongo.close();
  await world.close();
});

function repeat(act: () => Promise<unknown>): void {
  const loop = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await act();
      await sleep(PAUSE_MS);
    }
  };
  loops.push(loop());
}

async function ask<Answer>(path: string, body?: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const sent = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
  const answer = await fetch(dws.url + path, sent);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text) as Answer;
}

/** Verifies both rows again and again, until a run is as wanted. */
async function verifyUntil(sinks: readonly string[], holds: (run: Run) => boolean): Promise<void> {
  const order = { source: world.name, tables: [`${world.database}.hot`], keys: [[1], [2]], sinks };
  let run = await ask<Run>('/verifications', order);
  await world.waitFor(
    'a run',
    async () => {
      run = await ask<Run>(`/verifications/${run.id}`);
      if (!['done', 'failed', 'cancelled'].includes(run.state)) return false;
      if (run.state === 'done' && holds(run)) return true;
      run = await ask<Run>('/verifications', order);
      return false;
    },
    { watch: dws, withinMs: 60_000, describe: () => JSON.stringify(run) },
  );
}

async function listMismatches(): Promise<readonly MismatchView[]> {
  return (await ask<{ mismatches: MismatchView[] }>(`/mismatches?source=${world.name}`)).mismatches;
}

it('rows that are written all the time are compared with what the log says of the change that is stored', async () => {
  const sinks = ['kafka', 'mongo'];
  await verifyUntil(sinks, ({ unsettled, details }) => unsettled === 0 && details.every(({ equal }) => equal === 2));
  expect(await listMismatches()).toEqual([]);

  const documents = mongo
    .db(mirrorDatabase({ source: world.name, databasePrefix: '' }))
    .collection<{ _id: number }>(collectionName(world.database, 'hot'));
  repeat(() => documents.updateOne({ _id: 1 }, { $set: { 'row.note': 'damaged' } }));
  await verifyUntil(['mongo'], ({ mismatches }) => mismatches > 0);
  const differences = [{ column: 'note', source: 'a', sink: 'damaged' }];
  expect(await listMismatches()).toEqual([
    expect.objectContaining({
      ...{ key: '[1]', sink: 'mongo', kind: 'different' },
      details: expect.objectContaining({ way: 'first', differences }),
    }),
  ]);
  await verifyUntil(
    ['kafka'],
    ({ unsettled, details }) => unsettled === 0 && details.every(({ equal }) => equal === 2),
  );
  expect(await listMismatches()).toHaveLength(1);
}, 150_000);
