import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Stack, startStack } from '#stack';
import { eventually, FaultProxy, testStack } from '#testing';
import { type HeartbeatsDto } from '../src/http/heartbeat.dto.ts';
import { createDeployment, type Deployment, Instance } from './deployment.ts';

describe('servers go away', () => {
  let folder: string;
  let stack: Stack;
  let redis: FaultProxy;
  let deployment: Deployment;
  let dcs: Instance;
  let workers: Instance[];
  let replica: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ditto-dws-'));
    stack = await startStack({ folder, servers: ['mysql-primary', 'mysql-replica', 'redis'] });
    redis = await FaultProxy.open(stack.endpoint('redis'));
    const redisUrl = `redis://${redis.host}:${redis.port}`;
    deployment = await createDeployment({ stack, redisUrl, probeIntervalMs: 300 });
    dcs = await Instance.start('dcs', deployment);
    workers = [await Instance.start('dws', deployment), await Instance.start('dws', deployment)];
    replica = `127.0.0.1:${stack.endpoint('mysql-replica').port}`;
  }, 180_000);

  afterAll(async () => {
    for (const instance of [...workers, dcs]) await instance.close();
    redis.close();
    await stack.down();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  const askWorker = (index: number) => async (): Promise<HeartbeatsDto> =>
    (await (workers[index] as Instance).get('/heartbeats')).body as HeartbeatsDto;
  const showsOnlyReplicaGone = ({ unreachable }: HeartbeatsDto): boolean =>
    unreachable.length === 1 && unreachable[0]?.endpoint === replica;
  const showsAllThere = ({ sources, unreachable }: HeartbeatsDto): boolean =>
    unreachable.length === 0 && sources[0]?.endpoints.length === 2;

  test.each(['kill', 'freeze'] as const)(
    'a replica (%s) is shown as unreachable, always since the same moment, until it is back',
    async (fault) => {
      await eventually(askWorker(0), showsAllThere);
      const before = Date.now();
      await stack[fault]('mysql-replica');
      const first = (await eventually(askWorker(0), showsOnlyReplicaGone)).unreachable[0];
      expect(first?.sinceMs).toBeGreaterThanOrEqual(before);
      expect(first?.error).toMatch(/^DITTO_SOURCE_/);
      const probed = async (): Promise<number> => {
        const counts = workers.map((worker) => worker.metric('ditto_dws_failed_probes_total', replica));
        return Math.min(...(await Promise.all(counts)));
      };
      const soFar = await probed();
      await eventually(probed, (count) => count >= soFar + 2);
      for (const worker of [0, 1])
        expect((await askWorker(worker)()).unreachable[0]).toMatchObject({ sinceMs: first?.sinceMs });
      await (fault === 'kill' ? stack.start('mysql-replica') : stack.thaw('mysql-replica'));
      const back = await eventually(askWorker(1), showsAllThere);
      expect(back.sources[0]?.endpoints.map(({ unreachableSinceMs }) => unreachableSinceMs)).toEqual([null, null]);
    },
    90_000,
  );

  test('Redis: the workers hold, are not ready, and continue by themselves, also when it lost all data', async () => {
    await stack.kill('redis');
    const [worker] = workers as [Instance];
    await eventually(
      () => worker.get('/health/ready'),
      ({ status }) => status === 503,
    );
    expect((await worker.get('/health/live')).status).toBe(200);
    expect(await worker.get('/sweeps')).toMatchObject({ status: 503, body: { code: 'DITTO_REDIS_UNAVAILABLE' } });
    const { sources } = await askWorker(0)();
    expect(sources[0]?.incompleteBecause).toMatch(/^DITTO_/);
    const probes = () => worker.metric('ditto_dws_probes_total');
    await stack.start('redis');
    const atReturn = await probes();
    await eventually(probes, (count) => count > atReturn + 3);
    await eventually(
      () => worker.get('/health/ready'),
      ({ status }) => status === 200,
    );
    await eventually(askWorker(0), (body) => showsAllThere(body) && body.sources[0]?.incompleteBecause === null);
  }, 90_000);

  const countProbes = async (): Promise<number> => {
    const counts = await Promise.all(workers.map((worker) => worker.metric('ditto_dws_probes_total')));
    return counts.reduce((sum, count) => sum + count, 0);
  };

  test('Redis falls silent in mid-call, to jobs that wait too: the workers continue by themselves within seconds', async () => {
    redis.silence({ newConnections: false });
    const [worker] = workers as [Instance];
    const startedAt = Date.now();
    // a command that was on its way is given up with the code, or sent again on the next connection
    const { status, body } = await worker.get('/sweeps');
    if (status !== 200)
      expect({ status, body }).toMatchObject({ status: 503, body: { code: 'DITTO_REDIS_UNAVAILABLE' } });
    expect(Date.now() - startedAt).toBeLessThan(20_000);
    const before = await countProbes();
    await eventually(countProbes, (count) => count > before + 3);
    expect(Date.now() - startedAt).toBeLessThan(20_000);
    expect((await worker.get('/sweeps')).status).toBe(200);
    await eventually(askWorker(0), (body) => showsAllThere(body) && body.sources[0]?.incompleteBecause === null);
    redis.restore();
  }, 90_000);

  test('Redis is demoted: workers and DCS continue where its name leads then', async () => {
    const shared = (await testStack()).endpoint('redis');
    const former = new Redis(stack.url('redis'));
    await former.replicaof(shared.host, shared.port);
    former.disconnect();
    redis.target = shared;
    const before = await countProbes();
    await eventually(countProbes, (count) => count > before + 3);
    await eventually(askWorker(0), (body) => showsAllThere(body) && body.sources[0]?.incompleteBecause === null);
  }, 90_000);
});
