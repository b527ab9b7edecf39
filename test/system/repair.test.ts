import { afterEach, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { type Connection } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTables, fill, workloadTables, Writer } from './workload.ts';
import { type ServiceInstance, World } from './world.ts';

const { Long } = mongo;
const ORDERS = 1500;
const OF_EACH = 6;
const FORGED = 'f'.repeat(44);
/** A row that changes all the time; the writer does not know it. */
const HOT = 500_000;

interface RepairView {
  readonly key: string;
  readonly state: string;
  readonly kind: string;
  readonly reason: string | null;
  readonly attempts: number;
}

interface RunView {
  readonly id: string;
  readonly state: string;
}

let world: World;
let client: mongo.MongoClient | undefined;
let hot: HotRow | undefined;

afterEach(async () => {
  await hot?.stop().catch(() => undefined);
  await client?.close();
  await world.close();
});

interface OrderDocument extends mongo.Document {
  readonly _id: unknown;
  readonly row: Record<string, unknown>;
  readonly v: string;
}

type Damage = (orders: mongo.Collection<OrderDocument>, id: number) => Promise<unknown>;

const byId = (id: number): mongo.Filter<OrderDocument> => ({ _id: Long.fromNumber(id) });

async function read(orders: mongo.Collection<OrderDocument>, id: number): Promise<OrderDocument> {
  const found = await orders.findOne(byId(id), { promoteLongs: false, promoteValues: false });
  if (found === null) throw new Error(`no document ${id}`);
  return found;
}

/** A version of before: the one of the document, with a lower offset. */
function olderThan(version: string): string {
  return `${version.slice(0, 16)}${'4'.padStart(12, '0')}${version.slice(28)}`;
}

/** Everything that can be done to a document; the first of each pair is how it is called then. */
const DAMAGES: Readonly<Record<string, readonly [string, Damage]>> = {
  'missing row': ['missing', (orders, id) => orders.deleteOne(byId(id))],
  'extra row': [
    'extra',
    async (orders, id) => {
      const { _id, ...like } = await read(orders, id);
      await orders.insertOne({ ...like, _id: Long.fromNumber(id + 1_000_000) });
      return _id;
    },
  ],
  'changed value': ['different', (orders, id) => orders.updateOne(byId(id), { $set: { 'row.note': 'changed' } })],
  'one bit': [
    'different',
    async (orders, id) => {
      const customer = Number((await read(orders, id)).row['customer']);
      await orders.updateOne(byId(id), { $set: { 'row.customer': customer ^ 1 } });
    },
  ],
  'a microsecond': [
    'different',
    async (orders, id) => {
      const placed = String((await read(orders, id)).row['placed']);
      const other = placed.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10));
      await orders.updateOne(byId(id), { $set: { 'row.placed': other } });
    },
  ],
  'old version': [
    'different',
    async (orders, id) => {
      const { v } = await read(orders, id);
      await orders.updateOne(byId(id), { $set: { v: olderThan(v), 'row.note': 'what it was' } });
    },
  ],
  'forged version': [
    'damaged',
    (orders, id) => orders.updateOne(byId(id), { $set: { v: FORGED, 'row.note': 'from the future' } }),
  ],
  'missing version': ['damaged', (orders, id) => orders.updateOne(byId(id), { $unset: { v: '' } })],
  'unknown field': ['damaged', (orders, id) => orders.updateOne(byId(id), { $set: { edited: true } })],
  'foreign _id': [
    'damaged',
    async (orders, id) => {
      const { _id, ...like } = await read(orders, id);
      await orders.insertOne({ ...like, _id: `no key ${id}` });
      return _id;
    },
  ],
};

async function ask<Answer>(dws: ServiceInstance, path: string, body?: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const sent = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
  let answer = await fetch(dws.url + path, sent);
  // a worker that has just come up
  for (let i = 0; answer.status === 503 && i < 100; i++) {
    await sleep(100);
    answer = await fetch(dws.url + path, sent);
  }
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text) as Answer;
}

/** Verifies everything once; what it finds is repaired by itself. */
async function verify(dws: ServiceInstance): Promise<RunView> {
  let run = await ask<RunView>(dws, '/verifications', { source: world.name });
  const { id } = run;
  await world.waitFor(
    'the run',
    async () => ['done', 'failed', 'cancelled'].includes((run = await ask<RunView>(dws, `/verifications/${id}`)).state),
    { watch: dws, withinMs: 120_000, describe: () => JSON.stringify(run) },
  );
  return run;
}

async function listRepairs(dws: ServiceInstance): Promise<readonly RepairView[]> {
  return (await ask<{ repairs: RepairView[] }>(dws, `/repairs?source=${world.name}&limit=1000`)).repairs;
}

async function waitForRepairs(
  dws: ServiceInstance,
  what: string,
  holds: (repairs: readonly RepairView[]) => boolean,
): Promise<readonly RepairView[]> {
  let repairs: readonly RepairView[] = [];
  await world.waitFor(what, async () => holds((repairs = await listRepairs(dws))), {
    watch: dws,
    withinMs: 120_000,
    describe: () => JSON.stringify(repairs.filter(({ state }) => state !== 'repaired').slice(0, 5)),
  });
  return repairs;
}

/**
 * Changes one row as fast as it can, has it read again all the time, and looks at its document: the counter must never
 * fall.
 */
class HotRow {
  readonly #connection: Connection;
  readonly #orders: mongo.Collection<OrderDocument>;
  readonly #dssUrl: () => string;
  readonly #work: Promise<unknown>;
  #isStopped = false;
  seen = 0;
  /** How often it was asked for. */
  reads = 0;
  /** Counters that were lower than one before. */
  readonly setBack: string[] = [];

  constructor(connection: Connection, orders: mongo.Collection<OrderDocument>, dssUrl: () => string) {
    this.#connection = connection;
    this.#orders = orders;
    this.#dssUrl = dssUrl;
    this.#work = Promise.all([this.#write(), this.#watch(), this.#reread()]);
    this.#work.catch(() => undefined); // reported by stop()
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#work;
  }

  async #write(): Promise<void> {
    while (!this.#isStopped) {
      await this.#connection.query('UPDATE orders SET customer = customer + 1 WHERE id = ?', [HOT]);
      await sleep(2);
    }
  }

  async #reread(): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ table: `${world.database}.orders`, keys: [[HOT]], reason: 'a test' });
    while (!this.#isStopped) {
      // the process may be dead just now
      const answer = await fetch(`${this.#dssUrl()}/sources/${world.name}/reads`, {
        ...{ method: 'POST', headers, body },
      }).catch(() => null);
      if (answer?.ok === true) this.reads++;
      await sleep(200);
    }
  }

  async #watch(): Promise<void> {
    while (!this.#isStopped) {
      const customer = Number((await this.#orders.findOne(byId(HOT)))?.row['customer'] ?? 0);
      if (customer < this.seen) this.setBack.push(`${customer} after ${this.seen}`);
      this.seen = Math.max(this.seen, customer);
      await sleep(5);
    }
  }
}

it('I10: 60 damages of every kind are found and repaired under load, with workers and DSS killed, and no row is set back', async () => {
  world = await World.create({ tables: workloadTables, configuration: { verification: { chunkRows: 500 } } });
  const mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, ORDERS);
  await mysql.query("INSERT INTO orders VALUES (?, 0, 'new', 1, NOW(6), NULL, NULL)", [HOT]);
  // rows that only this test changes, so that each damage is there when it is looked for
  await fill(mysql, 10 * OF_EACH, HOT + 1);
  await world.start('dcs');
  let dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  client = await mongo.MongoClient.connect(world.stack.url('mongo'));
  const orders = client.db(`ditto_${world.name}`).collection<OrderDocument>(`${world.database}.orders`);
  const connections = [await world.connect(), await world.connect()];
  for (const connection of connections) await connection.query(`USE ${world.database}`);
  const [first, second] = connections;
  if (first === undefined || second === undefined) throw new Error('no connections');
  const writer = new Writer(first, { keys: ORDERS, pauseMs: 4 });
  hot = new HotRow(second, orders, () => dss.url);

  const kinds: string[] = [];
  for (const [i, [kind, damage]] of Object.values(DAMAGES).entries())
    for (let n = 0; n < OF_EACH; n++) {
      await damage(orders, HOT + 1 + OF_EACH * i + n);
      kinds.push(kind);
    }
  let dws = await world.start('dws');
  const run = await verify(dws);
  expect(run.state).toBe('done');

  await waitForRepairs(dws, 'repairs to begin', (repairs) => repairs.some(({ state }) => state !== 'planned'));
  await Promise.all([world.signal(dws, 'SIGKILL'), world.signal(dss, 'SIGKILL')]);
  dss = await world.start('dss');
  dws = await world.start('dws');
  const repairs = await waitForRepairs(
    dws,
    'all repairs to end',
    (found) => found.length >= kinds.length && found.every(({ state }) => state === 'repaired' || state === 'given up'),
  );
  expect(repairs.filter(({ state }) => state !== 'repaired')).toEqual([]);
  expect(repairs.map(({ kind }) => kind).sort()).toEqual(kinds.sort());
  const { mismatches } = await ask<{ mismatches: { state: string }[] }>(
    dws,
    `/mismatches?source=${world.name}&limit=1000`,
  );
  expect(new Set(mismatches.map(({ state }) => state))).toEqual(new Set(['repaired']));

  await hot.stop();
  await writer.stop();
  expect([hot.seen > 100, hot.reads > 10]).toEqual([true, true]);
  expect(hot.setBack).toEqual([]);
  await world.waitUntilCaughtUp(dss);
  const comparison = await world.compare();
  expect(comparison.samples).toEqual([]);
  expect(comparison.differences).toBe(0);
}, 420_000);
