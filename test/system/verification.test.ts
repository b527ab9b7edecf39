import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type Connection } from 'mysql2/promise';
import { collectionName } from '#change-events';
import { silentLogger } from '#kernel';
import { mirrorDatabase, type MongoConnection, openMongo } from '#mongo';
import { createTables, fill, workloadTables, Writer } from './workload.ts';
import { type ServiceInstance, World } from './world.ts';

const ORDERS = 3000;
const CHUNK_ROWS = 500;

interface Run {
  readonly id: string;
  readonly state: string;
  readonly rows: number;
  readonly mismatches: number;
  readonly unsettled: number;
  readonly notJudged: number;
  readonly details: readonly {
    readonly table: string;
    readonly phase: string;
    readonly rows: number;
    readonly equal: number;
    readonly unsettled: number;
    readonly listed: number;
  }[];
}

interface MismatchView {
  readonly id: string;
  readonly table: string;
  readonly key: string;
  readonly kind: string;
  readonly state: string;
  readonly details: { readonly differences: readonly { readonly column: string }[]; readonly damage: string | null };
}

interface MirrorDocument {
  _id: number;
  row?: Record<string, unknown>;
  v?: string;
}

let world: World;
let mysql: Connection;
let dss: ServiceInstance;
let mongo: MongoConnection;

beforeEach(async () => {
  world = await World.create({
    tables: workloadTables,
    source: { sinks: ['mongo'], repair: { mode: 'report' } },
    configuration: { verification: { chunkRows: CHUNK_ROWS } },
  });
  mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, ORDERS);
  await world.start('dcs');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  mongo = await openMongo({ url: world.stack.url('mongo'), waitForServer: false, logger: silentLogger });
}, 120_000);

afterEach(async () => {
  await mongo.close();
  await world.close();
});

async function ask<Answer>(dws: ServiceInstance, path: string, body?: object, status = [200, 202]): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const sent = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
  const answer = await fetch(dws.url + path, sent);
  const text = await answer.text();
  if (!status.includes(answer.status)) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text) as Answer;
}

/** A worker that reaches the servers. */
async function startWorker(overrides: Readonly<Record<string, unknown>> = {}): Promise<ServiceInstance> {
  const dws = await world.start('dws', overrides);
  await world.waitFor('the state database', async () => (await fetch(`${dws.url}/mismatches`)).ok, { watch: dws });
  return dws;
}

function begin(dws: ServiceInstance, more: object = {}): Promise<Run> {
  return ask(dws, '/verifications', { source: world.name, ...more });
}

async function waitForRun(dws: ServiceInstance, { id }: Run, holds: (run: Run) => boolean): Promise<Run> {
  let run: Run | null = null;
  await world.waitFor('the run', async () => holds((run = await ask<Run>(dws, `/verifications/${id}`))), {
    watch: dws,
    withinMs: 150_000,
    describe: () => JSON.stringify(run),
  });
  return run as unknown as Run;
}

const hasEnded = ({ state }: Run): boolean => ['done', 'failed', 'cancelled'].includes(state);

function documents(table: string) {
  return mongo
    .db(mirrorDatabase({ source: world.name, databasePrefix: '' }))
    .collection<MirrorDocument>(collectionName(world.database, table));
}

async function listMismatches(dws: ServiceInstance, filter = ''): Promise<readonly MismatchView[]> {
  const path = `/mismatches?source=${world.name}&limit=1000${filter}`;
  return (await ask<{ mismatches: MismatchView[] }>(dws, path)).mismatches;
}

it('I8: a run under write load finds no difference; then each of 40 damages, by its kind, and none once they are gone', async () => {
  const dws = await startWorker();
  const writing = await world.connect();
  await writing.query(`USE ${world.database}`);
  const writer = new Writer(writing, { keys: ORDERS, pauseMs: 10 });
  const clean = await waitForRun(dws, await begin(dws), hasEnded);
  expect(await listMismatches(dws)).toEqual([]);
  expect(clean).toMatchObject({ state: 'done', mismatches: 0, notJudged: 0 });
  expect(clean.rows).toBeGreaterThan(2 * ORDERS);
  expect(clean.details.map(({ listed }) => listed > ORDERS / 2)).toEqual([true, true]);
  const { sources } = await ask<{ sources: unknown[] }>(dws, `/coverage?source=${world.name}`);
  const tables = clean.details.map(({ table, rows, unsettled }) => {
    const share = expect.closeTo(1 - unsettled / rows, 6);
    const shares = { hour: share, day: share, week: share };
    return { database: world.database, table, sink: 'mongo', rows, shares, oldestAgeMs: expect.any(Number) };
  });
  const byName = tables.sort((a, b) => (a.table < b.table ? -1 : 1));
  expect(sources).toEqual([{ source: world.name, tables: byName, recent: [] }]);
  const readMetrics = async (): Promise<string> => (await fetch(`${dws.url}/metrics`)).text();
  expect(await readMetrics()).toMatch(
    new RegExp(`ditto_dws_coverage_ratio\\{[^}]*source="${world.name}",sink="mongo",window="hour"[^}]*\\} `),
  );
  // the state database is swept beside that
  const swept = /ditto_dws_job_seconds_count\{[^}]*queue="history",outcome="done"/;
  await world.waitFor('a sweep of the state database', async () => swept.test(await readMetrics()), { watch: dws });
  await writer.stop();
  await world.waitUntilCaughtUp(dss);

  const orders = documents('orders');
  const rows = await orders
    .find({ row: { $exists: true } })
    .limit(40)
    .toArray();
  const expected = new Map<string, string>();
  const expectKind = (document: MirrorDocument, kind: string): void =>
    void expected.set(`[${String(document._id)}]`, kind);
  for (const [i, document] of rows.entries()) {
    const at = { _id: document._id } as never;
    switch (i % 5) {
      case 0:
        await orders.deleteOne(at);
        expectKind(document, 'missing');
        break;
      case 1:
        await orders.updateOne(at, { $set: { 'row.note': 'someone was here' } });
        expectKind(document, 'different');
        break;
      case 2:
        await orders.updateOne(at, { $set: { v: `f${String(document.v).slice(1)}` } });
        expectKind(document, 'damaged');
        break;
      case 3:
        await orders.updateOne(at, { $unset: { v: '' } });
        expectKind(document, 'damaged');
        break;
      case 4: {
        const extra = { ...document, _id: 5_000_000 + i };
        await orders.insertOne({ ...extra, row: { ...document.row, id: extra._id } });
        expectKind(extra, 'extra');
        break;
      }
    }
  }
  expect(expected.size).toBe(40);
  const found = await waitForRun(dws, await begin(dws, { tables: [`${world.database}.orders`] }), hasEnded);
  const mismatches = await listMismatches(dws, '&state=open');
  expect(new Map(mismatches.map(({ key, kind }) => [key, kind]))).toEqual(expected);
  expect(found).toMatchObject({ state: 'done', mismatches: 40, notJudged: 0 });
  const different = mismatches.find(({ kind }) => kind === 'different');
  expect(different?.details.differences.map(({ column }) => column)).toEqual(['note']);

  const [ignored] = mismatches;
  const path = `/mismatches/${ignored?.id}/ignore`;
  expect(await ask(dws, path, { reason: 'known' })).toMatchObject({ state: 'ignored', reason: 'known' });
  await ask(dws, path, { reason: 'known' }, [409]);
  for (const document of rows) await orders.replaceOne({ _id: document._id }, document, { upsert: true });
  await orders.deleteMany({ _id: { $gte: 5_000_000 } });
  const after = await waitForRun(dws, await begin(dws), hasEnded);
  expect(after).toMatchObject({ state: 'done', mismatches: 0 });
  expect(new Set((await listMismatches(dws)).map(({ state }) => state))).toEqual(new Set(['gone']));
  const metrics = await (await fetch(`${dws.url}/metrics`)).text();
  expect(metrics).toMatch(/ditto_dws_found_mismatches_total\{[^}]*kind="damaged"[^}]*\} 16/);
}, 500_000);

it('a worker that is killed leaves its chunks to the other: the run ends complete, each row counted once', async () => {
  const dws = await startWorker();
  const other = await startWorker();
  const run = await begin(dws, { rowsPerSecond: 2000 });
  await waitForRun(dws, run, ({ rows }) => rows >= CHUNK_ROWS);
  await world.signal(other, 'SIGKILL');
  const ended = await waitForRun(dws, run, hasEnded);
  expect(ended).toMatchObject({ state: 'done', mismatches: 0, unsettled: 0, notJudged: 0, rows: 3 * ORDERS });
  const counts = Object.fromEntries(ended.details.map(({ table, rows, equal }) => [table, [rows, equal]]));
  expect(counts).toEqual({ orders: [ORDERS, ORDERS], order_lines: [2 * ORDERS, 2 * ORDERS] });
  for (const { rows, listed } of ended.details) expect(listed).toBeGreaterThanOrEqual(rows);
}, 240_000);

it('very many documents without a row are found in parts, each once, and so are the rows between them', async () => {
  const dws = await startWorker({ verification: { chunkRows: 50 } });
  const orders = documents('orders');
  const [some] = await orders.find().limit(1).toArray();
  const extras = Array.from({ length: 1_500 }, (_, i): MirrorDocument => ({ ...some, _id: 10_000 + i }));
  await orders.insertMany(extras);
  await mysql.query(
    'INSERT INTO orders SELECT 10500, customer, status, total, placed, note, extra FROM orders WHERE id = 1',
  );
  await world.waitUntilCaughtUp(dss);
  const run = await waitForRun(dws, await begin(dws, { tables: [`${world.database}.orders`] }), hasEnded);
  expect(run).toMatchObject({ state: 'done', mismatches: 1_499, unsettled: 0, notJudged: 0 });
  expect(run.details).toMatchObject([{ rows: ORDERS + 1, equal: ORDERS + 1 }]);
  const found = await listMismatches(dws, '&kind=extra');
  expect(new Set(found.map(({ key }) => key)).size).toBe(1_000); // of the first page
});

it('a run rests while it is paused, goes on when it is resumed, and ends when it is cancelled', async () => {
  const dws = await startWorker();
  const run = await begin(dws, { rowsPerSecond: 500 });
  await waitForRun(dws, run, ({ rows }) => rows >= CHUNK_ROWS);
  expect(await ask(dws, `/verifications/${run.id}/pause`, {})).toMatchObject({ state: 'paused' });
  await ask(dws, `/verifications/${run.id}/pause`, {}, [409]);
  expect(await ask(dws, `/verifications/${run.id}/resume`, {})).toMatchObject({
    state: expect.stringMatching(/running|waiting/),
  });
  const { rows } = await ask<Run>(dws, `/verifications/${run.id}`);
  await waitForRun(dws, run, (now) => now.rows > rows);
  expect(await ask(dws, `/verifications/${run.id}/cancel`, {})).toMatchObject({ state: 'cancelled' });
  await ask(dws, `/verifications/${run.id}/resume`, {}, [409]);
  await ask(dws, '/verifications', { source: world.name, tables: ['nope'] }, [400]);
  await ask(dws, '/verifications', { source: world.name, tables: [`${world.database}.nope`] }, [422]);
  await ask(dws, '/verifications', { source: world.name, sinks: ['kafkaesque'] }, [422]);
  await ask(dws, '/verifications/nope', undefined, [404]);
  const keys = await waitForRun(
    dws,
    await begin(dws, {
      tables: [`${world.database}.order_lines`],
      keys: [
        ['1', 1],
        ['1', 7],
      ],
    }),
    hasEnded,
  );
  expect(keys).toMatchObject({ state: 'done', rows: 2, mismatches: 0 });
}, 240_000);

it('I8: tables without a row are judged, those that were dropped are left out, and a worker goes by the columns that DSS has adopted', async () => {
  await mysql.query(`
    CREATE TABLE fresh (id INT PRIMARY KEY, a VARCHAR(10));
    CREATE TABLE dropped (id INT PRIMARY KEY);
    INSERT INTO dropped VALUES (1);
    DROP TABLE dropped`);
  await world.waitUntilCaughtUp(dss);
  const excludeColumns = [`${world.database}.orders.note`, `${world.database}.fresh.a`];
  const dws = await startWorker({ source: { excludeColumns } });
  const verify = async (): Promise<Run> => waitForRun(dws, await begin(dws), hasEnded);
  const clean = await verify();
  expect(clean).toMatchObject({ state: 'done', mismatches: 0, notJudged: 0, rows: 3 * ORDERS });
  expect(clean.details.map(({ table }) => table).sort()).toEqual(['fresh', 'order_lines', 'orders']);
  await mysql.query("UPDATE orders SET note = 'other' WHERE id = 7");
  await world.waitUntilCaughtUp(dss);
  await documents('orders').updateOne({ _id: 7 }, { $set: { 'row.note': 'changed' } });
  const forged = { _id: 5, row: { id: 5, a: 'x' }, v: '0'.repeat(44), ts: new Date(), gtid: null };
  await documents('fresh').insertOne(forged);
  expect(await verify()).toMatchObject({ state: 'done', mismatches: 2, notJudged: 0 });
  const found = (await listMismatches(dws)).map(({ table, kind }) => `${table} ${kind}`);
  expect(found.sort()).toEqual(['fresh extra', 'orders different']);
  await mysql.query("INSERT INTO fresh VALUES (5, 'x'), (6, 'y')");
  await mysql.query("UPDATE orders SET note = 'mended' WHERE id = 7");
  await world.waitUntilCaughtUp(dss);
  expect(await verify()).toMatchObject({ state: 'done', mismatches: 0, notJudged: 0, rows: 3 * ORDERS + 2 });
}, 300_000);
