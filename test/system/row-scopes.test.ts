import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Connection, type RowDataPacket } from 'mysql2/promise';
import { collectionName } from '#change-events';
import { silentLogger } from '#kernel';
import { mirrorDatabase, type MongoConnection, openMongo } from '#mongo';
import { createTables, fill, workloadTables } from './workload.ts';
import { type ServiceInstance, World } from './world.ts';

const ORDERS = 600;

let world: World;
let mysql: Connection;
let dss: ServiceInstance;
let dws: ServiceInstance;
let mongo: MongoConnection;

interface Answer {
  readonly id: string;
  readonly state: string;
  readonly endedAtMs: number | null;
  readonly counts: { readonly read: number; readonly emitted: number; readonly gone: number };
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly rows: number;
  readonly mismatches: number;
  readonly notJudged: number;
  readonly details: readonly { readonly sink: string; readonly mismatches: number; readonly rows: number }[];
}

beforeAll(async () => {
  world = await World.create({ tables: workloadTables, source: { repair: { mode: 'report' } } });
  mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, ORDERS);
  await world.start('dcs');
  [dss, dws] = await Promise.all([world.start('dss'), world.start('dws')]);
  await world.waitUntilCaughtUp(dss);
  await world.waitFor('the state database', async () => (await fetch(`${dws.url}/mismatches`)).ok, { watch: dws });
  mongo = await openMongo({ url: world.stack.url('mongo'), waitForServer: false, logger: silentLogger });
  // what the log does not say: every tenth order is gone, every one after it has another total and another note
  await mysql.query('SET SESSION sql_log_bin = 0');
  await mysql.query('DELETE FROM orders WHERE id % 10 = 0');
  await mysql.query("UPDATE orders SET total = -1, note = 'changed' WHERE id % 10 = 1");
  await mysql.query('DELETE FROM order_lines WHERE order_id = 7');
  await mysql.query('SET SESSION sql_log_bin = 1');
}, 120_000);

afterAll(async () => {
  await mongo.close();
  await world.close();
});

async function post(url: string, body: object): Promise<{ readonly status: number; readonly body: Answer }> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: answer.status, body: (await answer.json()) as Answer };
}

async function wait(url: string): Promise<Answer> {
  let now: Answer | null = null;
  const hasEnded = async (): Promise<boolean> => {
    now = (await (await fetch(url)).json()) as Answer;
    return now.endedAtMs !== null;
  };
  await world.waitFor('the end', hasEnded, { withinMs: 60_000, describe: () => JSON.stringify(now) });
  return now as unknown as Answer;
}

async function read(scope: object): Promise<Answer> {
  const url = `${dss.url}/sources/${world.name}/reads`;
  const { status, body } = await post(url, { ...scope, reason: 'a test' });
  expect([status, body]).toEqual([202, expect.anything()]);
  return wait(`${url}/${body.id}`);
}

async function verify(scope: object): Promise<Answer> {
  const { status, body } = await post(`${dws.url}/verifications`, { source: world.name, ...scope });
  expect([status, body]).toEqual([202, expect.anything()]);
  return wait(`${dws.url}/verifications/${body.id}`);
}

const orders = (): string => `${world.database}.orders`;

/** Ids of orders whose document is not the row. */
async function listWrong(): Promise<number[]> {
  const [rows] = await mysql.query<RowDataPacket[]>('SELECT id, note FROM orders');
  const notes = new Map(rows.map(({ id, note }) => [Number(id), note as unknown]));
  const documents = await mongo
    .db(mirrorDatabase({ source: world.name, databasePrefix: '' }))
    .collection<{ _id: unknown; row: { note: unknown } }>(collectionName(world.database, 'orders'))
    .find({ row: { $exists: true } })
    .toArray();
  const wrong = documents.filter(({ _id, row }) => notes.get(Number(_id)) !== row.note);
  return wrong.map(({ _id }) => Number(_id)).sort((a, b) => a - b);
}

const isWrong = (id: number): boolean => id % 10 <= 1;
const between = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

it('a verification of a range, a filter or keys finds what differs there, in each sink', async () => {
  const range = await verify({ tables: [orders()], range: { from: ['101'], to: ['200'] } });
  expect(range).toMatchObject({ state: 'done', notJudged: 0 });
  expect(Object.fromEntries(range.details.map(({ sink, mismatches, rows }) => [sink, [mismatches, rows]]))).toEqual({
    mongo: [20, 90],
    kafka: [20, 90],
  });
  const where = [
    { column: 'total', op: '>=', value: '101.25' },
    { column: 'total', op: '<=', value: '200.25' },
  ];
  const filter = await verify({ tables: [orders()], where, sinks: ['mongo'] });
  // 110, 120 … are gone; 101, 111 … have another total than their documents
  expect(filter).toMatchObject({ state: 'done', mismatches: 20, rows: 80 });
  const note = [{ column: 'note', op: '=', value: 'CHANGED' }];
  expect(await verify({ tables: [orders()], where: note, sinks: ['mongo'] })).toMatchObject({
    mismatches: 2 * (ORDERS / 10),
    rows: ORDERS / 10,
  });
  expect(await verify({ tables: [orders()], keys: [['10'], ['11'], ['12']] })).toMatchObject({
    mismatches: 4,
    rows: 6,
  });
}, 120_000);

it('a read of a range or a filter reads its rows, and ends those that are gone; a read of all tables the rest', async () => {
  const wrong = between(1, ORDERS).filter(isWrong);
  expect(await listWrong()).toEqual(wrong);
  expect(await read({ table: orders(), range: { from: [101], to: [200] } })).toMatchObject({
    state: 'done',
    counts: { read: 90, emitted: 100, gone: 10 },
  });
  expect(await listWrong()).toEqual(wrong.filter((id) => id <= 100 || id > 200));
  const where = [
    { column: 'total', op: '>', value: 300 },
    { column: 'total', op: '<', value: '400.5' },
  ];
  expect(await read({ table: orders(), where })).toMatchObject({ counts: { read: 80 + 10, gone: 11 } });
  expect(await listWrong()).toEqual(wrong.filter((id) => id <= 100 || (id > 200 && id < 300) || id > 400));
  // the mirror has no collations: keys alone are asked
  expect(await read({ table: orders(), where: [{ column: 'note', op: '=', value: 'Changed' }] })).toMatchObject({
    counts: { read: ORDERS / 10, gone: ORDERS / 10 - 10 - 11 },
  });
  expect(await listWrong()).toEqual([]);
  const all = await read({});
  expect(all).toMatchObject({ state: 'done', counts: { emitted: null, gone: null } });
  await world.waitUntilCaughtUp(dss);
  expect((await world.compare()).samples).toEqual([]);
}, 120_000);

it('the command line asks for a read, shows how it went, and lists it', async () => {
  const config = readdirSync(world.folder).find((name) => /^dss-.*\.yaml$/.test(name)) ?? '';
  const ditto = async (...args: string[]): Promise<string> => {
    const program = join(import.meta.dirname, '..', '..', 'dist', 'ditto.mjs');
    const common = ['--source', world.name, '--config', join(world.folder, config)];
    const { stdout } = await promisify(execFile)(process.execPath, [program, ...args, ...common]);
    return stdout;
  };
  const rows = ['--table', orders(), '--where', 'total > 500', '--where', 'id in [501, "502", 503, 9]'];
  expect(await ditto('reread', ...rows, '--id', 'by-hand', '--reason', 'a trial')).toMatch(
    /^done after [\d.]+ s: .*\.orders: 2 rows read; .* 0 gone \(read by-hand\)\n$/,
  );
  const { reads } = JSON.parse(await ditto('reread', 'list', '--json')) as { reads: { id: string; reason: string }[] };
  expect(reads[0]).toMatchObject({ id: 'by-hand', reason: 'a trial' });
}, 120_000);

it('nothing that is asked for becomes part of a statement', async () => {
  const count = async (): Promise<unknown> => (await mysql.query('SELECT COUNT(*) AS n FROM orders'))[0];
  const before = await count();
  const evil = "1' OR '1'='1'; DROP TABLE orders; -- ";
  for (const where of [
    [{ column: '1=1 OR `id', op: '=', value: 1 }],
    [{ column: 'id', op: '=', value: evil }],
    [{ column: 'total', op: '<', value: '1); DROP TABLE orders' }],
    [{ column: 'placed', op: '>', value: evil }],
    [{ column: 'status', op: '=', value: evil }],
  ]) {
    expect(await read({ table: orders(), where })).toMatchObject({
      ...{ state: 'failed', counts: { read: 0 } },
      error: { code: 'DITTO_READ_REFUSED' },
    });
    expect(await verify({ tables: [orders()], where })).toMatchObject({ state: 'failed', rows: 0, notJudged: 2 });
  }
  const note = [{ column: 'note', op: '=', value: evil }];
  expect(await read({ table: orders(), where: note })).toMatchObject({ state: 'done', counts: { read: 0, gone: 0 } });
  const from = { range: { from: [evil] } };
  expect(await read({ table: orders(), ...from })).toMatchObject({ error: { code: 'DITTO_READ_REFUSED' } });
  const other = await read({ table: `${orders()}; DROP TABLE orders`, keys: [[1]] });
  expect(other).toMatchObject({ state: 'failed', error: { code: 'DITTO_READ_REFUSED' } });
  const reads = `${dss.url}/sources/${world.name}/reads`;
  const refused = [
    { table: orders(), where: [{ column: 'id', op: 'OR 1=1 --', value: 1 }] },
    { table: orders(), where: [{ column: 'id', op: '=', value: { $gt: '' } }] },
    { table: orders(), where: "status = 'x'" },
  ];
  for (const body of refused) expect((await post(reads, { ...body, reason: 'a test' })).status).toBeGreaterThan(399);
  expect(await count()).toEqual(before);
}, 120_000);
