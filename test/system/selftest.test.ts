import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Connection, type RowDataPacket } from 'mysql2/promise';
import { silentLogger } from '#kernel';
import { mirrorDatabase, openMongo } from '#mongo';
import { collectionName } from '#change-events';
import { type SelftestReport } from '../../demo/selftest-report.ts';
import { type ServiceInstance, World } from './world.ts';

const root = join(import.meta.dirname, '..', '..');

let world: World;
let mysql: Connection;
let dss: ServiceInstance;

beforeAll(async () => {
  // a policy that repairs nothing by itself
  world = await World.create({ tables: [], source: { repair: { mode: 'report' } } });
  mysql = await world.connect();
  await mysql.query(
    `CREATE TABLE ${world.database}.kept (id INT PRIMARY KEY); INSERT INTO ${world.database}.kept VALUES (1)`,
  );
  await world.start('dcs');
  [dss] = await Promise.all([world.start('dss'), world.start('dws')]);
  await world.waitUntilCaughtUp(dss);
}, 120_000);

afterAll(() => world.close());

/** By the configuration of one of the services. */
async function selftest(...args: string[]): Promise<{ code: unknown; printed: string; complaint: string }> {
  const config = readdirSync(world.folder).find((name) => /^dss-.*\.yaml$/.test(name)) ?? '';
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning', join(root, 'demo', 'selftest.ts')];
  const child = spawn(process.execPath, [...flags, ...args, '--config', join(world.folder, config)], {
    cwd: world.folder,
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const [printed, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await exited, printed, complaint };
}

async function listTables(): Promise<unknown[]> {
  const [tables] = await mysql.query<RowDataPacket[]>(
    `SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = '${world.database}'`,
  );
  return tables.map(({ name }) => name as unknown);
}

it('the self-test finds each kind of damage, has it repaired, and leaves nothing but what was there', async () => {
  const { code, printed, complaint } = await selftest('--scratch-schema', world.database, '--json');
  expect([code, complaint]).toEqual([0, expect.stringContaining('are damaged, one of each kind')]);
  const { isGood, damages, notTried, differencesAtTheEnd } = JSON.parse(printed) as SelftestReport;
  expect({ isGood, notTried, differencesAtTheEnd }).toEqual({ isGood: true, notTried: [], differencesAtTheEnd: 0 });
  for (const sink of ['mongo', 'kafka'])
    expect(damages.filter((one) => one.sink === sink && one.foundAs !== null).length).toBeGreaterThan(4);
  expect(damages.filter(({ state }) => state !== 'repaired' && state !== 'gone')).toEqual([]);
  expect(await listTables()).toEqual(['kept']);
  const mongo = await openMongo({ url: world.stack.url('mongo'), waitForServer: false, logger: silentLogger });
  const documents = mongo
    .db(mirrorDatabase({ source: world.name, databasePrefix: '' }))
    .collection(collectionName(world.database, 'ditto_selftest'));
  expect(await documents.countDocuments()).toBe(0);
  await mongo.close();
}, 240_000);

it('it runs nowhere but where it was told to, and says why it can not', async () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [['--scratch-schema', 'mysql'], /does not include mysql\.ditto_selftest[^]*include/],
    [['--scratch-schema', `${world.database}'; DROP TABLE kept; -- `], /does not include/],
    [['--scratch-schema', world.database, '--source', 'toString'], /there is no source toString/],
  ];
  for (const [args, why] of cases) {
    const { code, complaint } = await selftest(...args);
    expect([code, complaint]).toEqual([2, expect.stringMatching(why)]);
  }
  await mysql.query(`CREATE TABLE ${world.database}.ditto_selftest (id INT PRIMARY KEY)`);
  const { code, complaint } = await selftest('--scratch-schema', world.database);
  expect([code, complaint]).toEqual([2, expect.stringMatching(/already exists[^]*DROP TABLE/)]);
  expect(await listTables()).toEqual(['ditto_selftest', 'kept']);
}, 120_000);
