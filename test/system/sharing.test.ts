import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type LeaseHolder, type ServiceStatus } from '#dcs-client';
import { World, type ServiceInstance } from './world.ts';

const TABLES = ['t1', 't2', 't3', 't4', 't5', 't6'];
const LEASE_MS = 3000;
const KEYS = 200;

/** Six sources, three processes of DSS that come and go, and a writer that never rests. */
let world: World;
let dcs: ServiceInstance;
let [a, b, c]: ServiceInstance[] = [];
let writing = true;
let writer: Promise<void>;

beforeAll(async () => {
  world = await World.create({ tables: TABLES, tablesAreSources: true });
  const mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
  for (const table of TABLES) await mysql.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, v INT NOT NULL)`);
  writer = write();
  dcs = await world.start('dcs');
  a = await world.start('dss');
}, 60_000);

afterAll(async () => {
  writing = false;
  await writer;
  await world.close();
});

async function write(): Promise<void> {
  const mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
  for (let i = 0; writing; i++)
    for (const table of TABLES)
      await mysql.query(`INSERT INTO ${table} VALUES (?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v)`, [i % KEYS, i]);
}

async function ask<T>(instance: ServiceInstance, path: string, body?: object): Promise<T> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(instance.url + path, body && init);
  return (await answer.json()) as T;
}

async function leases(): Promise<LeaseHolder[]> {
  const { leases } = await ask<{ leases: LeaseHolder[] }>(dcs, '/leases');
  return leases.filter(({ token }) => token !== null);
}

/** The name by which an instance holds its leases. */
async function nameOf({ url }: ServiceInstance): Promise<string> {
  const { services } = await ask<{ services: ServiceStatus[] }>(dcs, '/services');
  return services.find((status) => status.url === url)?.instance ?? `nobody at ${url}`;
}

/** Waits until the instances have so many sources each, all of which stream; resolves with the leases. */
async function waitForShares(
  shares: readonly (readonly [ServiceInstance | undefined, number])[],
): Promise<LeaseHolder[]> {
  let held: LeaseHolder[] = [];
  const holds = async (): Promise<boolean> => {
    held = await leases();
    const wanted = await Promise.all(shares.map(async ([one, share]) => [one && (await nameOf(one)), share] as const));
    return wanted.every(([name, share]) => held.filter(({ owner }) => owner === name).length === share);
  };
  const describe = (): string => held.map(({ source, owner }) => `${source}: ${owner}`).join('\n');
  await world.waitFor(`shares of ${shares.map(([, share]) => share).join(', ')}`, holds, { describe });
  return held;
}

function sum(held: readonly LeaseHolder[]): number {
  return held.reduce((total, { token }) => total + (token ?? 0), 0);
}

async function audit(action: string): Promise<{ actor: string; subject: string; details: Record<string, string> }[]> {
  const state = await world.connect('mysql-state');
  const [rows] = await state.query(
    `SELECT actor, subject, details FROM ${world.database}_state.audit_log WHERE action = ? ORDER BY id`,
    [action],
  );
  return rows as { actor: string; subject: string; details: Record<string, string> }[];
}

// one world for all: each test begins with what the one before has left
describe('several DSS', () => {
  it('a new instance gets its share, by as few moves as are needed, and the other sources stay where they are', async () => {
    await waitForShares([[a, 6]]);
    b = await world.start('dss');
    await waitForShares([
      [a, 3],
      [b, 3],
    ]);
    c = await world.start('dss');
    const held = await waitForShares([
      [a, 2],
      [b, 2],
      [c, 2],
    ]);
    expect(sum(held)).toBe(6 + 5);
    const moved = await audit('source.moved');
    expect(moved).toHaveLength(5);
    expect(moved.every(({ actor }) => actor === 'dss')).toBe(true);
  }, 90_000);

  it('any instance moves a source to where an operator wants it; the others make up for it, and it stays', async () => {
    const [from, to] = await Promise.all([nameOf(b as ServiceInstance), nameOf(a as ServiceInstance)]);
    const source = (await leases()).find(({ owner }) => owner === from)?.source ?? '';
    expect(await ask(c as ServiceInstance, `/sources/${source}/move`, { to: 'nowhere' })).toMatchObject({
      code: 'DITTO_INSTANCE_UNKNOWN',
    });
    expect(await ask(c as ServiceInstance, `/sources/${source}/move`, { to })).toEqual({ moving: source, to, from });
    const isThere = async (): Promise<boolean> =>
      (await leases()).some((lease) => lease.source === source && lease.owner === to);
    await world.waitFor('the source to be moved', isThere);
    await waitForShares([
      [a, 2],
      [b, 2],
      [c, 2],
    ]);
    expect(await isThere()).toBe(true);
    expect(await audit('source.move')).toMatchObject([{ actor: 'local', subject: source, details: { to, from } }]);
    expect(await audit('source.moved')).toContainEqual({ actor: 'local', subject: source, details: { to, from } });
  }, 60_000);

  it('I5: what a killed and a frozen owner have left is taken over in time, evenly; the one that wakes changes nothing', async () => {
    const beforeKill = performance.now();
    await world.signal(b as ServiceInstance, 'SIGKILL');
    await waitForShares([
      [a, 3],
      [c, 3],
    ]);
    expect(performance.now() - beforeKill).toBeLessThan(LEASE_MS + 2000);
    const before = await leases();
    const name = await nameOf(c as ServiceInstance);
    const beforeFreeze = performance.now();
    (c as ServiceInstance).signal('SIGSTOP');
    const held = await waitForShares([[a, 6]]);
    expect(performance.now() - beforeFreeze).toBeLessThan(LEASE_MS + 2000);
    (c as ServiceInstance).signal('SIGCONT');
    const tokens = new Map(held.map(({ source, token }) => [source, token ?? 0]));
    for (const { source, owner, token } of before)
      if (owner === name) expect(tokens.get(source)).toBeGreaterThan(token ?? 0);
    await waitForShares([
      [a, 3],
      [c, 3],
    ]);
  }, 60_000);

  it('loses nothing by all of that, and leaves every row in order', async () => {
    writing = false;
    await writer;
    const covers = await world.readExecuted();
    const owners = [a, c] as ServiceInstance[];
    for (const table of TABLES) {
      await world.waitFor(`${table} to be caught up`, async () => {
        const all = await Promise.all(owners.map((owner) => world.status(owner, world.sourceOf(table))));
        const status = all.find((one) => one?.state === 'streaming');
        return status?.checkpoint != null && covers(status.checkpoint.position.gtidSet);
      });
      const { samples, tables } = await world.compare([table], {}, world.sourceOf(table));
      expect([samples, tables.map(({ rows }) => rows)]).toEqual([[], [KEYS]]);
    }
  }, 60_000);
});
