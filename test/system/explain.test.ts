import { afterEach, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import mongoose from 'mongoose';
import { type Connection } from 'mysql2/promise';
import { type ExplanationDto } from '../../apps/dws/src/explain/explanation.dto.ts';
import { type ServiceInstance, World } from './world.ts';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

let world: World;
let client: mongoose.mongo.MongoClient;

afterEach(async () => {
  await client.close();
  await world.close();
});

interface Document {
  readonly _id: number;
  readonly row?: Readonly<Record<string, unknown>>;
  readonly v: string;
}

async function ask(dws: ServiceInstance, table: string, key: string): Promise<Response> {
  const query = new URLSearchParams({ source: world.name, table: `${world.database}.${table}`, key });
  return fetch(`${dws.url}/explain?${query.toString()}`);
}

async function explain(dws: ServiceInstance, id: number, table = 'orders'): Promise<ExplanationDto> {
  const answer = await ask(dws, table, JSON.stringify({ id }));
  const body = (await answer.json()) as ExplanationDto;
  expect({ status: answer.status, body: answer.status === 200 ? null : body }).toEqual({ status: 200, body: null });
  return body;
}

/** As `ditto explain` prints it. */
async function print(dws: ServiceInstance, ...args: readonly string[]): Promise<string> {
  const table = `${world.database}.orders`;
  const file = join(world.folder, `dws-${new URL(dws.url).port}.yaml`);
  const call = ['explain', '--source', world.name, '--table', table, '--key', '{"id":1}', '--config', file];
  const { stdout } = await run(process.execPath, [join(root, 'dist/ditto.mjs'), ...call, ...args], {
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  return stdout;
}

async function createTables(mysql: Connection): Promise<void> {
  await mysql.query(`
    USE ${world.database};
    CREATE TABLE orders (id BIGINT PRIMARY KEY, total DECIMAL(9,2) NOT NULL, note VARCHAR(50) NOT NULL);
    CREATE TABLE secrets (id INT PRIMARY KEY);
    INSERT INTO orders VALUES (1, 1.50, 'a'), (2, 2.50, 'b'), (3, 3.50, 'c'), (4, 4.50, 'd'), (5, 5.50, 'e'), (6, 6.50, 'f');
    INSERT INTO secrets VALUES (1);`);
}

async function writeSecrets(mysql: Connection, signal: AbortSignal): Promise<void> {
  for (let id = 2; !signal.aborted; id++) await mysql.query(`INSERT INTO ${world.database}.secrets VALUES (${id})`);
}

it('says where a row is, and why its document differs', async () => {
  world = await World.create({ tables: ['orders'], source: { exclude: ['*.secrets'] } });
  client = new mongoose.mongo.MongoClient(world.stack.url('mongo'));
  const documents = client.db(`ditto_${world.name}`).collection<Document>(`${world.database}.orders`);
  const mysql = await world.connect();
  await createTables(mysql);
  const dcs = await world.start('dcs', { dcs: { recentEvents: { enabled: true } } });
  // a read before the first transaction has no place in the log: others write meanwhile
  const copied = new AbortController();
  const writing = writeSecrets(await world.connect(), copied.signal);
  const dss = await world.start('dss');
  await world.waitForStatus(dss, 'the copy', ({ snapshot }) => snapshot.some(({ state }) => state === 'done'));
  copied.abort();
  await writing;
  await world.waitUntilCaughtUp(dss);
  const [second] = await documents.find({ _id: 2 }).toArray();
  const [third] = await documents.find({ _id: 3 }).toArray();
  await mysql.query("UPDATE orders SET note = 'changed' WHERE id IN (1, 3, 4)");
  await world.waitUntilCaughtUp(dss);
  const dws = await world.start('dws');

  await world.waitFor('DWS to reach the state database', async () => {
    const { recorded } = await explain(dws, 1);
    return recorded.unavailable === null;
  });

  // as Ditto left it
  const equal = await explain(dws, 1);
  expect(equal).toMatchObject({
    ...{ source: world.name, table: `${world.database}.orders`, key: { id: 1 }, cause: 'none' },
    recorded: { unavailable: null, copied: 'yes', columns: ['id', 'total', 'note'], key: ['id'] },
    row: { unavailable: null, exists: true, value: { id: 1, total: '1.50', note: 'changed' } },
    document: { unavailable: null, state: 'stored', damage: null, comparison: 'equal', differences: [] },
    messages: { unavailable: null, complete: true },
    reads: { unavailable: null, reads: [] },
    mismatches: { unavailable: null, mismatches: [] },
    log: { unavailable: null, cutBecause: null, isAsNamed: true, newer: 0, changes: [] },
  });
  expect(equal.document.value).toMatchObject({ _id: 1, row: { id: 1, total: '1.50', note: 'changed' } });
  expect(equal.messages.messages.map(({ op }) => op)).toEqual(['u', 'r']);
  expect(equal.log.named).toMatchObject({
    ...{ op: 'update', row: 0, version: equal.document.version, gtid: equal.document.gtid },
    ...{ file: expect.stringMatching(/\.\d{6}$/), offset: expect.any(Number), value: equal.row.value },
  });
  await world.waitFor('DCS to know the change', async () => (await explain(dws, 1)).recent.changes.length > 0);
  expect((await explain(dws, 1)).recent.changes[0]).toMatchObject({ op: 'u', version: equal.document.version });

  // edited by hand: the version is one that the log has
  await documents.updateOne({ _id: 1 }, { $set: { 'row.note': 'edited' } });
  const edited = await explain(dws, 1);
  expect(edited).toMatchObject({
    cause: 'changed outside Ditto',
    because: expect.stringContaining(edited.document.version ?? 'none'),
    document: { comparison: 'different', differences: [{ column: 'note', source: 'changed', sink: 'edited' }] },
    log: { isAsNamed: false, named: { gtid: edited.document.gtid } },
  });

  // the version is that of a read, which only the topic has
  await documents.updateOne({ _id: 2 }, { $set: { 'row.note': 'edited' } });
  expect(await explain(dws, 2)).toMatchObject({
    cause: 'changed outside Ditto',
    log: { named: null },
  });
  expect(second?.row).toMatchObject({ note: 'b' });

  // an older state, a removed document, one that Ditto does not write
  if (third === undefined) throw new Error('no document');
  await documents.replaceOne({ _id: 3 }, third);
  const older = await explain(dws, 3);
  expect(older).toMatchObject({ cause: 'lost', log: { newer: 1, changes: [{ op: 'update' }] } });
  await documents.deleteOne({ _id: 4 });
  expect(await explain(dws, 4)).toMatchObject({
    ...{ cause: 'lost', document: { state: 'absent', comparison: 'missing' }, log: { newer: 1 } },
  });
  await documents.deleteOne({ _id: 6 });
  expect(await explain(dws, 6)).toMatchObject({ cause: 'unknown', document: { state: 'absent' }, log: { newer: 0 } });
  await documents.updateOne({ _id: 5 }, { $set: { v: 'f'.repeat(44) } });
  expect(await explain(dws, 5)).toMatchObject({
    ...{
      cause: 'changed outside Ditto',
      because: expect.stringContaining('above all'),
      document: { comparison: 'damaged' },
    },
  });

  // what is no row of the source, or none of the sinks
  expect(await explain(dws, 9)).toMatchObject({ cause: 'none', row: { exists: false }, document: { state: 'absent' } });
  expect(await explain(dws, 1, 'secrets')).toMatchObject({ cause: 'filtered', row: { exists: true } });
  for (const key of ['1', '{"id":"x"}', '{"id":1,"total":"1.50"}', '{"id":null}', 'x']) {
    const refused = await ask(dws, 'orders', key);
    expect([refused.status, ((await refused.json()) as { message: string }).message]).toEqual([
      ...[400, expect.stringContaining('id bigint')],
    ]);
  }
  expect((await ask(dws, 'nothing', '{"id":1}')).status).toBe(404);

  // for people
  const page = await print(dws);
  expect(page).toContain('CAUSE: changed outside Ditto.');
  expect(page).toMatch(/MySQL now\n {2}\{"id":1,"total":"1.50","note":"changed"\}/);
  expect(page).toContain('note: MySQL changed, MongoDB edited');
  expect(page).toMatch(/update \S+\.\d{6}:\d+ row 0 GTID \S+ /);
  expect(JSON.parse(await print(dws, '--json'))).toMatchObject({ cause: 'changed outside Ditto', key: { id: 1 } });

  // a change that is not confirmed yet; and what is away hides nothing else
  await world.signal(dss, 'SIGKILL');
  await mysql.query("UPDATE orders SET note = 'later' WHERE id IN (2, 6)");
  await documents.updateOne({ _id: 2 }, { $set: { 'row.note': 'b' } });
  expect(await explain(dws, 2)).toMatchObject({ cause: 'moving', log: { newer: 1 } });
  await world.signal(dcs, 'SIGKILL');
  expect(await explain(dws, 1)).toMatchObject({
    ...{ cause: 'changed outside Ditto', checkpoint: { unavailable: null } },
    recent: { unavailable: expect.stringContaining('DITTO_DCS_UNAVAILABLE'), changes: [] },
  });
}, 240_000);
