import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Deferred, silentLogger, sleep } from '#kernel';
import { Metrics } from '#platform';
import { RedisKeys } from '#redis';
import { FaultProxy, testStack, uniqueName } from '#testing';
import { RecurringJobs } from '../src/jobs/recurring-jobs.ts';
import { JobMetrics } from '../src/metrics/job-metrics.ts';
import { ChunkQueue } from '../src/verification/chunk-queue.ts';

describe('a queue that is left while a job does not end', () => {
  let proxy: FaultProxy;
  let url: string;
  let begun: Deferred<undefined>;
  let release: Deferred<undefined>;

  beforeEach(async () => {
    const redis = new URL((await testStack()).url('redis'));
    proxy = await FaultProxy.open({ host: redis.hostname, port: Number(redis.port) });
    redis.hostname = proxy.host;
    redis.port = String(proxy.port);
    url = redis.href;
    begun = new Deferred();
    release = new Deferred();
  });
  afterEach(() => {
    release.resolve(undefined);
    proxy.close();
  });

  async function run(): Promise<void> {
    begun.resolve(undefined);
    await release.promise;
  }

  /** The connections of the worker end with its job. */
  async function expectLeft(stop: () => Promise<void>): Promise<void> {
    await begun.promise;
    await stop();
    release.resolve(undefined);
    while (proxy.openConnections > 0) await sleep(10);
  }

  test('of chunks keeps no connection', async () => {
    const prefix = new RedisKeys(uniqueName('test')).jobs();
    const queue = new ChunkQueue({
      redis: { url, keyPrefix: 'unused' },
      ...{ prefix, concurrency: 1, run, onTurn: () => Promise.resolve(), logger: silentLogger },
    });
    queue.start();
    await queue.add([{ id: 'a', attempts: 0, notBeforeMs: 0 }]);
    await expectLeft(() => queue.stop());
  }, 60_000);

  test('of recurring jobs keeps no connection', async () => {
    const keyPrefix = uniqueName('test');
    const stop = new AbortController();
    const jobs = new RecurringJobs<object, object>({
      redis: { url, keyPrefix },
      ...{ name: uniqueName('queue'), prefix: new RedisKeys(keyPrefix).jobs(), everyMs: 50, concurrency: 1 },
      ...{
        schedules: new Map([['once', {}]]),
        run: () => run().then(() => ({})),
        keptResults: 1,
        signal: stop.signal,
        logger: silentLogger,
      },
      metrics: new JobMetrics(new Metrics('dws')),
    });
    jobs.start();
    await expectLeft(() => {
      stop.abort();
      return jobs.stop();
    });
  }, 60_000);
});

describe('jobs that are brought', () => {
  const HOUR_MS = 3_600_000;
  const stop = new AbortController();
  const workers: RecurringJobs<{ readonly id: string }, object>[] = [];
  let run: (id: string) => Promise<void> = () => Promise.resolve();

  afterEach(async () => {
    stop.abort();
    for (const worker of workers) await worker.stop();
  });

  /** The jobs of a, b and c, two at a time in each. */
  async function startWorkers(count: number): Promise<void> {
    const url = (await testStack()).url('redis');
    const keyPrefix = uniqueName('test');
    for (let i = 0; i < count; i++)
      workers.push(
        new RecurringJobs<{ readonly id: string }, object>({
          ...{ name: 'due', redis: { url, keyPrefix }, prefix: new RedisKeys(keyPrefix).jobs(), everyMs: null },
          ...{ concurrency: 2, keptResults: 0, signal: stop.signal, logger: silentLogger },
          schedules: new Map(['a', 'b', 'c'].map((id) => [id, { id }])),
          run: ({ id }) => run(id).then(() => ({})),
          metrics: new JobMetrics(new Metrics('dws')),
        }),
      );
    for (const worker of workers) worker.start();
  }

  test('run once within their time, whoever brings them, one at a time in a process, and again after that', async () => {
    const [ran, waits] = [new Map<string, number>(), new Deferred<undefined>()];
    const ended = { a: new Deferred<undefined>(), b: new Deferred<undefined>() };
    run = async (id) => {
      ran.set(id, (ran.get(id) ?? 0) + 1);
      if (id === 'c') await waits.promise;
      else ended[id as 'a' | 'b'].resolve(undefined);
    };
    await startWorkers(1);
    const [worker] = workers as [RecurringJobs<{ readonly id: string }, object>];
    await Promise.all([worker.bring(['a', 'unknown'], HOUR_MS), worker.bring(['a'], HOUR_MS)]);
    await ended.a.promise;
    await worker.bring(['a'], HOUR_MS);
    // those that were brought before the last one had their turn when it runs
    for (let i = 0; i < 20; i++) await worker.bring(['c'], 1);
    await worker.bring(['b'], HOUR_MS);
    await ended.b.promise;
    expect(Object.fromEntries(ran)).toEqual({ a: 1, b: 1, c: 1 });
    waits.resolve(undefined);
    while ((ran.get('c') ?? 0) < 2) await worker.bring(['c'], 1);
  }, 30_000);
});
