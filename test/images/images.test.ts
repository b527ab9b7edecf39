import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Connection, createConnection } from 'mysql2/promise';
import { type StartedTestContainer } from 'testcontainers';
import { stringify } from 'yaml';
import { findCacheFolder, findFreePorts, type Stack } from '#stack';
import { eventually, testStack, uniqueName } from '#testing';
import { type SourceStatus } from '../../apps/dss/src/sources/source-status.ts';
import { compareAll } from '../oracle/compare-all.ts';
import { buildImage, type ContainerState, docker, type ImageFacts, inspectImage, inspectState } from './docker.ts';
import { imageNameOf, OTHER_USER, startService } from './service-container.ts';

const SERVICES = ['dss', 'dcs', 'dws'] as const;
/** Of the signals that a process takes, as the kernel shows them. */
const SIGTERM_BIT = 1n << 14n;
const MOST_ABOVE_BASE_BYTES = 60_000_000;
const NODE_IMAGE = process.env['DITTO_NODE_IMAGE'] ?? 'node:24.21-bookworm-slim';

let stack: Stack;
let folder: string;
let configuration: string;
const ports = { dss: 0, dcs: 0, dws: 0, rpc: 0 };
const source = uniqueName('images').replaceAll('_', '-');
const database = uniqueName('shop');
const containers: string[] = [];

beforeAll(async () => {
  // what removes containers of a test that was killed would have to be downloaded
  process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
  stack = await testStack();
  const parent = join(findCacheFolder(process.env), 'test-runs');
  mkdirSync(parent, { recursive: true });
  folder = mkdtempSync(join(parent, 'images-'));
  const [dss = 0, dcs = 0, dws = 0, rpc = 0] = await findFreePorts(4);
  Object.assign(ports, { dss, dcs, dws, rpc });
  configuration = writeConfiguration();
  for (const service of SERVICES) await buildImage(service);
}, 1_800_000);

afterAll(async () => {
  if (containers.length > 0) await docker('rm', '--force', ...containers);
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

function writeConfiguration(): string {
  const primary = login(stack.endpoint('mysql-primary'));
  const file = join(folder, 'ditto.yaml');
  const content = {
    sources: { [source]: { endpoints: [primary], include: [`${database}.*`], heartbeatMs: 500 } },
    kafka: { brokers: stack.url('kafka').split(',') },
    mongo: { url: stack.url('mongo') },
    redis: { url: stack.url('redis'), keyPrefix: source },
    state: { ...login(stack.endpoint('mysql-state')), database: `${database}_state` },
    dss: { http: { port: ports.dss } },
    dcs: { http: { port: ports.dcs }, rpc: { port: ports.rpc } },
    dws: { http: { port: ports.dws } },
  };
  writeFileSync(file, stringify(content));
  chmodSync(file, 0o644);
  return file;
}

function login({ host, port, user, password }: ReturnType<Stack['endpoint']>): object {
  return { host, port, user, password };
}

async function start(service: (typeof SERVICES)[number], memoryMib: number): Promise<StartedTestContainer> {
  const container = await startService(service, configuration, memoryMib);
  containers.push(container.getId());
  return container;
}

/** `docker stop`; how it ended, and how long that took. */
async function stop(container: StartedTestContainer): Promise<ContainerState & { readonly tookMs: number }> {
  const began = performance.now();
  await container.stop({ timeout: 20_000, remove: false });
  return { ...(await inspectState(container.getId())), tookMs: performance.now() - began };
}

describe('the images', () => {
  const facts: ImageFacts[] = [];
  let base: ImageFacts;
  beforeAll(async () => {
    base = await inspectImage(NODE_IMAGE);
    for (const service of SERVICES) facts.push(await inspectImage(imageNameOf(service)));
  });

  test('add little to their base, and the same to all three', () => {
    for (const { Size } of facts) expect(Size - base.Size).toBeLessThan(MOST_ABOVE_BASE_BYTES);
    const [first, ...others] = facts.map(({ RootFS }) => RootFS.Layers);
    expect(first?.slice(0, base.RootFS.Layers.length)).toEqual(base.RootFS.Layers);
    for (const layers of others) expect(layers).toEqual(first);
  });

  test('run as a user that is a number and not root', () => {
    for (const { Config } of facts) expect(Config.User).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });
});

describe('a container', () => {
  async function run(service: (typeof SERVICES)[number], ...options: readonly string[]): Promise<string> {
    const file = `${configuration}:/etc/ditto/ditto.yaml:ro`;
    const id = await docker('run', '--detach', '--volume', file, ...options, imageNameOf(service));
    containers.push(id);
    return id;
  }

  test.each(SERVICES)(
    'of %s ends when it gets SIGTERM during its start',
    async (service) => {
      // slow, so that the signal comes while it loads its program
      const id = await run(service, '--cpus', '0.2');
      const takesSignals = async (): Promise<boolean> => {
        const status = await docker('exec', id, 'cat', '/proc/1/status');
        const caught = BigInt(`0x${/^SigCgt:\s*(\w+)$/m.exec(status)?.[1] ?? '0'}`);
        return (caught & SIGTERM_BIT) !== 0n;
      };
      await eventually(takesSignals, (takes) => takes);
      expect(await docker('logs', id)).toBe('');
      await docker('stop', '--time', '60', id);
      expect([0, 128 + 15]).toContain((await inspectState(id)).ExitCode);
    },
    150_000,
  );

  test.each([
    ['dss', 255],
    ['dcs', 127],
    ['dws', 127],
  ] as const)(
    'of %s with %d MiB says that this is too little',
    async (service, memoryMib) => {
      const id = await run(service, '--memory', `${memoryMib}m`);
      expect(await docker('wait', id)).toBe('1');
      expect(await docker('logs', id)).toContain('DITTO_SERVICE_MEMORY');
    },
    60_000,
  );

  test.each([128, 512, 1024])(
    'of %d MiB gives half of that to the heap',
    async (memoryMib) => {
      const script = "require('node:v8').getHeapStatistics().heap_size_limit";
      const limit = await docker(
        'run',
        '--rm',
        '--memory',
        `${memoryMib}m`,
        imageNameOf('dss'),
        'node',
        '--print',
        script,
      );
      expect(Number(limit) / 1_048_576 / memoryMib).toBeGreaterThan(0.45);
      expect(Number(limit) / 1_048_576 / memoryMib).toBeLessThan(0.6);
    },
    60_000,
  );

  test('that hangs is unhealthy, and healthy when it goes on', async () => {
    const id = (await start('dws', 128)).getId();
    const health = async () => (await inspectState(id)).Health?.Status;
    await docker('kill', '--signal', 'STOP', id);
    await eventually(health, (status) => status === 'unhealthy');
    await docker('kill', '--signal', 'CONT', id);
    await eventually(health, (status) => status === 'healthy');
    await docker('kill', id);
  }, 120_000);
});

describe('containers with a read-only file system, as a user of no file', () => {
  let mysql: Connection;
  let dcs: StartedTestContainer;

  beforeAll(async () => {
    mysql = await createConnection({ uri: stack.url('mysql-primary'), multipleStatements: true });
    await mysql.query(`CREATE DATABASE ${database}; USE ${database};
      CREATE TABLE orders (id BIGINT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(200) NOT NULL)`);
    await insert(20_000);
    dcs = await start('dcs', 128);
  }, 200_000);
  afterAll(async () => {
    await mysql.query(`DROP DATABASE IF EXISTS ${database}`);
    await mysql.end();
  });

  async function insert(rows: number): Promise<void> {
    for (let done = 0; done < rows; done += 1000)
      await mysql.query('INSERT INTO orders (note) VALUES ?', [Array.from({ length: 1000 }, () => ['x'.repeat(150)])]);
  }

  async function readStatus(): Promise<SourceStatus | null> {
    const answer = await fetch(`http://127.0.0.1:${ports.dss}/sources/${source}`).catch(() => null);
    return answer?.ok === true ? ((await answer.json()) as SourceStatus) : null;
  }

  const isStreaming = (status: SourceStatus | null): boolean =>
    status?.state === 'streaming' &&
    status.snapshot.length > 0 &&
    status.snapshot.every(({ state }) => state === 'done');

  /** Everything that was committed by now. */
  async function waitUntilCaughtUp(): Promise<void> {
    const [rows] = await mysql.query('SELECT @@GLOBAL.gtid_executed AS executed');
    const executed = (rows as { executed: string }[])[0]?.executed ?? '';
    await eventually(readStatus, isStreaming);
    await eventually(
      async () => {
        const gtidSet = (await readStatus())?.checkpoint?.position.gtidSet ?? '';
        const [answer] = await mysql.query('SELECT GTID_SUBSET(?, ?) AS covered', [executed, gtidSet]);
        return (answer as { covered: number }[])[0]?.covered;
      },
      (covered) => covered === 1,
    );
  }

  test('replicate, and end in order by SIGTERM while they stream', async () => {
    const dss = await start('dss', 256);
    expect(await docker('exec', dss.getId(), 'sh', '-c', 'echo $(id -u):$(id -g)')).toBe(OTHER_USER);
    await expect(docker('exec', dss.getId(), 'touch', '/ditto/file')).rejects.toThrow();
    await eventually(readStatus, isStreaming);

    const writing = insert(20_000);
    await eventually(readStatus, (status) => (status?.rowsPerSecond ?? 0) > 0);
    const ended = await stop(dss);
    await writing;
    expect(ended).toMatchObject({ Status: 'exited', ExitCode: 0, OOMKilled: false });
    expect(ended.tookMs).toBeLessThan(10_000);
  }, 200_000);

  test('are not killed by `docker stop` while Kafka is down, and lose nothing', async () => {
    const dss = await start('dss', 256);
    await waitUntilCaughtUp();
    await stack.kill('kafka');
    await insert(5000);
    await eventually(readStatus, (status) =>
      Object.values(status?.sinks ?? {}).some(({ holdingBecause }) => holdingBecause !== null),
    );
    const ended = await stop(dss);
    expect(ended).toMatchObject({ Status: 'exited', OOMKilled: false });
    expect(ended.ExitCode).not.toBe(128 + 9);

    await stack.start('kafka');
    const next = await start('dss', 256);
    await waitUntilCaughtUp();
    const compared = await compareAll({
      mysql: { url: stack.url('mysql-primary') },
      mongo: { url: stack.url('mongo'), database: `ditto_${source}` },
      kafka: { brokers: stack.url('kafka').split(','), prefix: source },
      tables: [{ database, table: 'orders', excludedColumns: [] }],
    });
    expect(compared).toMatchObject({ differences: 0, samples: [] });
    expect(await stop(next)).toMatchObject({ ExitCode: 0, OOMKilled: false });
    expect(await stop(dcs)).toMatchObject({ ExitCode: 0, OOMKilled: false });
  }, 300_000);
});
