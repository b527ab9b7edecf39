import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createConnection } from 'mysql2/promise';
import { sleep } from '#kernel';
import { connectionOptionsFromUrl, MySqlSourceLoad } from '#mysql';
import { type LoadSample } from '#replication';
import { type Stack, startStack } from '#stack';
import { testStack } from '#testing';
import { TestSource } from './test-source.ts';

const BUSY = 6;
const MOST_WAIT_MS = 20_000;
const open: MySqlSourceLoad[] = [];

function loadOf(url: string): MySqlSourceLoad {
  const load = new MySqlSourceLoad({ connection: () => connectionOptionsFromUrl(url), timeoutMs: 5000 });
  open.push(load);
  return load;
}

async function measureUntil(load: MySqlSourceLoad, is: (sample: LoadSample) => boolean): Promise<LoadSample> {
  const deadline = Date.now() + MOST_WAIT_MS;
  for (;;) {
    const sample = await load.measure();
    if (is(sample) || Date.now() > deadline) return sample;
    await sleep(50);
  }
}

afterAll(() => {
  for (const load of open) load.close();
});

describe.each(['mysql-primary', 'mariadb'] as const)('the load of %s', (server) => {
  let source: TestSource;
  beforeAll(async () => {
    source = await TestSource.open('load', (await testStack()).url(server));
  });
  afterAll(async () => {
    await source.close();
  });

  test('counts the threads that execute a statement', async () => {
    const load = loadOf((await testStack()).url(server));
    const sessions = await Promise.all(Array.from({ length: BUSY }, () => source.connect()));
    const working = Promise.all(sessions.map((session) => session.query('SELECT SLEEP(3)')));
    const sample = await measureUntil(load, ({ runningThreads }) => runningThreads >= BUSY);
    expect(sample.runningThreads).toBeGreaterThanOrEqual(BUSY);
    await working;
    await Promise.all(sessions.map((session) => session.end()));
    // others use the server too, but not as many for long
    const { runningThreads } = await measureUntil(load, (later) => later.runningThreads < sample.runningThreads);
    expect(runningThreads).toBeLessThan(sample.runningThreads);
  });

  test('has no lag where nothing is replicated', async () => {
    expect((await loadOf((await testStack()).url(server)).measure()).lagMs).toBeNull();
  });
});

describe('a server that does not answer', () => {
  test('is a coded error', async () => {
    const load = new MySqlSourceLoad({
      connection: () => ({ host: '127.0.0.1', port: 1, user: 'u', password: '', tls: false }),
      timeoutMs: 2000,
    });
    await expect(load.measure()).rejects.toMatchObject({ code: 'DITTO_SOURCE_UNREACHABLE', retriable: true });
    load.close();
  });
});

describe('the lag of a replica', () => {
  let stack: Stack;
  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ditto-load-'));
    stack = await startStack({ folder, servers: ['mysql-primary', 'mysql-replica'] });
  }, 60_000);
  afterAll(async () => {
    await stack.down();
    await rm(stack.folder, { recursive: true, force: true });
  });

  test('grows while the replica does not apply what it has received, and ends when it does', async () => {
    const load = loadOf(stack.url('mysql-replica'));
    expect((await measureUntil(load, ({ lagMs }) => lagMs === 0)).lagMs).toBe(0);
    const replica = await createConnection(stack.url('mysql-replica'));
    await replica.query('FLUSH TABLES WITH READ LOCK');
    const primary = await TestSource.open('load', stack.url('mysql-primary'));
    expect((await measureUntil(load, ({ lagMs }) => (lagMs ?? 0) >= 2000)).lagMs).toBeGreaterThanOrEqual(2000);
    await replica.query('UNLOCK TABLES');
    expect((await measureUntil(load, ({ lagMs }) => lagMs === 0)).lagMs).toBe(0);
    await primary.close();
    await replica.end();
  });
});
