import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Stack, startStack } from '#stack';
import { newRecord } from '#replication';
import { StateDatabase, type StateDatabaseOptions, StateFencing, StateTableStore } from '#state';
import { FaultProxy, uniqueName } from '#testing';
import { createStateOptions, queryState } from './state-server.ts';

const unavailable = { code: 'DITTO_STATE_UNAVAILABLE', retriable: true };
const WORK_TIMEOUT_MS = 500;

async function open(options: StateDatabaseOptions): Promise<StateDatabase> {
  const database = new StateDatabase(options);
  await database.open(AbortSignal.timeout(20_000));
  return database;
}

describe('a server that is silent', () => {
  let proxy: FaultProxy;
  let database: StateDatabase;
  let fencing: StateFencing;

  beforeAll(async () => {
    const options = await createStateOptions();
    proxy = await FaultProxy.open(options);
    database = await open({
      ...options,
      host: proxy.host,
      port: proxy.port,
      workTimeoutMs: WORK_TIMEOUT_MS,
      connectTimeoutMs: 500,
    });
    fencing = new StateFencing(database);
  });
  beforeEach(() => proxy.restore());
  afterAll(async () => {
    await database.close();
    proxy.close();
  });

  test('in mid-call: the call fails in time, and all connections of that moment are made again', async () => {
    await Promise.all(Array.from({ length: 5 }, () => database.ping()));
    for (const direction of ['toServer', 'toClient'] as const) {
      proxy.silence({ direction, from: 'INSERT INTO sources', bytes: 'swallowed', newConnections: false });
      const startedAt = Date.now();
      await expect(fencing.grant(uniqueName('shop'), 'a')).rejects.toMatchObject(unavailable);
      expect(Date.now() - startedAt).toBeLessThan(WORK_TIMEOUT_MS + 400);
      // the others would fall silent too
      for (let call = 0; call < 20; call++) await fencing.grant(uniqueName('shop'), 'a');
    }
  });

  test('in mid-call, with more calls than connections: none is made after its caller has given it up', async () => {
    const source = uniqueName('shop');
    proxy.silence({ from: source, bytes: 'swallowed', newConnections: false });
    const calls = Array.from({ length: 40 }, () => fencing.grant(source, 'a'));
    const outcomes = await Promise.allSettled(calls);
    const granted = outcomes.filter(({ status }) => status === 'fulfilled').length;
    proxy.restore();
    await wait(WORK_TIMEOUT_MS);
    expect(await fencing.currentToken(source)).toBe(granted);
  });

  test('for new connections too: each call fails in time; when it answers again, calls succeed', async () => {
    proxy.silence();
    for (let call = 0; call < 3; call++) {
      const startedAt = Date.now();
      await expect(database.ping()).rejects.toMatchObject(unavailable);
      expect(Date.now() - startedAt).toBeLessThan(WORK_TIMEOUT_MS + 400);
    }
    proxy.restore();
    await database.ping();
  });

  test('does not keep a service from its end', async () => {
    const options = await createStateOptions();
    const other = await open({ ...options, host: proxy.host, port: proxy.port, workTimeoutMs: WORK_TIMEOUT_MS });
    await other.ping();
    proxy.silence();
    const call = other.ping().catch((error: unknown) => error);
    const startedAt = Date.now();
    await other.close();
    expect(await call).toMatchObject(unavailable);
    expect(Date.now() - startedAt).toBeLessThan(2 * WORK_TIMEOUT_MS);
  });
});

describe('a server of the test alone', () => {
  let stack: Stack;
  let former: StateDatabaseOptions;
  let next: StateDatabaseOptions;
  let proxy: FaultProxy;

  beforeAll(async () => {
    next = await createStateOptions();
    stack = await startStack({ folder: await mkdtemp(join(tmpdir(), 'ditto-state-')), servers: ['mysql-state'] });
    const { host, port, user, password } = stack.endpoint('mysql-state');
    former = {
      host,
      port,
      user: user ?? '',
      password: password ?? '',
      database: next.database,
      workTimeoutMs: WORK_TIMEOUT_MS,
    };
    proxy = await FaultProxy.open(former);
  }, 60_000);
  afterAll(async () => {
    proxy.close();
    await stack.down();
    await rm(stack.folder, { recursive: true, force: true });
  });

  test('I6: results do not depend on what the server sets for its sessions', async () => {
    for (const setting of [
      'sql_select_limit = 1',
      'autocommit = 0',
      'transaction_read_only = 1',
      "sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
      'max_execution_time = 1',
      'character_set_results = latin1',
    ])
      await queryState(former, `SET GLOBAL ${setting}`);
    const options = { ...former, database: uniqueName('state') };
    const database = await open(options);
    const grant = { source: 'shop', owner: 'a', token: await new StateFencing(database).grant('shop', 'a') };
    const snapshots = new StateTableStore(database);
    const tables = ['a', 'b', '日本'].map((table) => ({
      ...newRecord({ database: 'shop', table }),
      copy: { state: 'unavailable', reason: '["\\"é😀\\\'"]' } as const,
    }));
    await snapshots.save(grant, tables);
    await database.close();
    const again = await open(options);
    expect(await new StateTableStore(again).load('shop')).toEqual(tables);
    await again.close();
    await queryState(former, 'SET GLOBAL transaction_read_only = 0');
  });

  test('demoted: nothing is written or read there any more, and a name that leads to the new primary is followed', async () => {
    // the same account on both, as in a cluster, without rights that a service does not need
    const account = { user: next.database, password: 'x' };
    for (const server of [former, next]) {
      await queryState(server, `CREATE USER '${account.user}' IDENTIFIED BY '${account.password}'`);
      await queryState(server, `GRANT ALL ON \`${next.database}\`.* TO '${account.user}'`);
    }
    const database = await open({ ...former, ...account, host: proxy.host, port: proxy.port });
    const fencing = new StateFencing(database);
    await Promise.all(Array.from({ length: 5 }, () => fencing.grant('shop', 'a')));
    for (const setting of ['super_read_only', 'read_only', 'transaction_read_only'])
      await queryState(former, `SET GLOBAL ${setting} = ON`);
    const readOnly = { ...unavailable, message: expect.stringMatching(/read.only/i) };
    await expect(fencing.grant('shop', 'b')).rejects.toMatchObject(readOnly);
    // what it says may be old by now
    await expect(fencing.currentToken('shop')).rejects.toMatchObject(readOnly);
    const primary = await open(next);
    await new StateFencing(primary).grant('other', 'x');
    proxy.target = next;
    expect(await Promise.all(Array.from({ length: 5 }, () => fencing.listSources()))).toEqual(
      Array.from({ length: 5 }, () => ['other']),
    );
    expect(await fencing.grant('shop', 'b')).toBe(1);
    await Promise.all([database.close(), primary.close()]);
    await queryState(next, `DROP USER '${account.user}'`);
  });
});
