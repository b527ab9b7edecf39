import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type LeaseHolder, type ServiceStatus } from '#dcs-client';
import { setTimeout as sleep } from 'node:timers/promises';
import { World, type ServiceInstance } from './world.ts';

const TABLES = ['t1', 't2', 't3', 't4'];
const LEASE_MS = 3000;
const KEYS = 200;

/** Four sources, three processes of DSS that come and go, and a writer that never rests. */
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
  for (let i = 0; writing; i++) {
    for (const table of TABLES)
      await mysql.query(`INSERT INTO ${table} VALUES (?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v)`, [i % KEYS, i]);
    await sleep(5);
  }
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

/** Waits until the instances have so many sources each, whichever of them how many; resolves with the leases. */
async function waitForShares(
  instances: readonly (ServiceInstance | undefined)[],
  shares: string,
): Promise<LeaseHolder[]> {
  let held: LeaseHolder[] = [];
  const holds = async (): Promise<boolean> => {
    held = await leases();
    const names = await Promise.all(instances.map((one) => nameOf(one as ServiceInstance)));
    const counts = names.map((name) => held.filter(({ owner }) => owner === name).length);
    return counts.sort((x, y) => y - x).join(', ') === shares;
  };
  const describe = (): string => held.map(({ source, owner }) => `${source}: ${owner}`).join('\n');
  await world.waitFor(`shares of ${shares}`, holds, { describe, withinMs: 120_000 });
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
    await waitForShares([a], '4');
    b = await world.start('dss');
    await waitForShares([a, b], '2, 2');
    c = await world.start('dss');
    const held = await waitForShares([a, b, c], '2, 1, 1');
    expect(sum(held)).toBe(4 + 3);
    // an entry is written when the source is there already
    await world.waitFor('the moves in the audit log', async () => (await audit('source.moved')).length >= 3);
    const moved = await audit('source.moved');
    expect(moved).toHaveLength(3);
    expect(moved.every(({ actor }) => actor === 'dss')).toBe(true);
  }, 300_000);

  it('any instance moves a source to where an operator wants it; the order and the move are in the audit log', async () => {
    const to = await nameOf(b as ServiceInstance);
    const { source = '', owner: from } = (await leases()).find(({ owner }) => owner !== to) ?? {};
    expect(await ask(c as ServiceInstance, `/sources/${source}/move`, { to: 'nowhere' })).toMatchObject({
      code: 'DITTO_INSTANCE_UNKNOWN',
    });
    expect(await ask(c as ServiceInstance, `/sources/${source}/move`, { to })).toEqual({ moving: source, to, from });
    const isThere = async (): Promise<boolean> =>
      (await leases()).some((lease) => lease.source === source && lease.owner === to);
    await world.waitFor('the source to be moved', isThere);
    expect(await audit('source.move')).toMatchObject([{ actor: 'local', subject: source, details: { to, from } }]);
    await world.waitFor('the move in the audit log', async () => (await audit('source.moved')).length >= 4);
    expect(await audit('source.moved')).toContainEqual({ actor: 'local', subject: source, details: { to, from } });
  }, 180_000);

  it('I5: what a killed and a frozen owner have left is taken over in time, evenly; the one that wakes changes nothing', async () => {
    const beforeKill = performance.now();
    await world.signal(b as ServiceInstance, 'SIGKILL');
    await waitForShares([a, c], '2, 2');
    expect(performance.now() - beforeKill).toBeLessThan(LEASE_MS + 2000);
    const before = await leases();
    const name = await nameOf(c as ServiceInstance);
    const beforeFreeze = performance.now();
    (c as ServiceInstance).signal('SIGSTOP');
    const held = await waitForShares([a], '4');
    expect(performance.now() - beforeFreeze).toBeLessThan(LEASE_MS + 2000);
    (c as ServiceInstance).signal('SIGCONT');
    const tokens = new Map(held.map(({ source, token }) => [source, token ?? 0]));
    for (const { source, owner, token } of before)
      if (owner === name) expect(tokens.get(source)).toBeGreaterThan(token ?? 0);
    await world.waitFor('the former owner to give up', async () => {
      const all = await Promise.all(TABLES.map((table) => world.status(c as ServiceInstance, world.sourceOf(table))));
      return all.every((status) => status !== null && (status.token ?? Infinity) > (tokens.get(status.name) ?? 0));
    });
  }, 180_000);

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
