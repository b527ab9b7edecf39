import { afterEach, beforeEach, describe, test } from '@jest/globals';
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
