import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Worker } from 'bullmq';
import { type ClientTls, silentLogger } from '#kernel';
import { Metrics } from '#platform';
import { RedisKeys } from '#redis';
import { TlsRedis, uniqueName } from '#testing';
import { RecurringJobs } from '../src/jobs/recurring-jobs.ts';
import { JobMetrics } from '../src/metrics/job-metrics.ts';

interface Trouble {
  readonly code: string;
  readonly remedy: string;
}

const keyPrefix = uniqueName('test');
const prefix = new RedisKeys(keyPrefix).jobs();

describe('the job queue over TLS', () => {
  let server: TlsRedis;
  let ca: string;

  beforeAll(async () => {
    server = await TlsRedis.start();
    ({ ca } = server.certificates);
  }, 60_000);
  afterAll(() => server.end());

  function create(
    url: string,
    tls: ClientTls | undefined,
    signal: AbortSignal,
    run: (value: null) => void,
    warn: (trouble: Trouble) => void,
  ): RecurringJobs<{ of: string }, { done: boolean }> {
    return new RecurringJobs({
      name: uniqueName('queue'),
      redis: { url, tls, keyPrefix },
      prefix,
      everyMs: 50,
      concurrency: 1,
      schedules: new Map([['once', { of: 'test' }]]),
      run: () => Promise.resolve({ done: true }).finally(() => run(null)),
      keptResults: 5,
      signal,
      metrics: new JobMetrics(new Metrics('dws')),
      logger: { ...silentLogger, warn: (_: string, fields?: object) => warn(fields as Trouble) },
    });
  }

  /** Null when a job has run and its result can be read, else what is logged first. */
  async function start(url: string, tls: ClientTls | undefined): Promise<Trouble | null> {
    const stop = new AbortController();
    const { promise: ran, resolve: run } = Promise.withResolvers<null>();
    const { promise: troubled, resolve: warn } = Promise.withResolvers<Trouble>();
    const jobs = create(url, tls, stop.signal, run, warn);
    jobs.start();
    try {
      const trouble = await Promise.race([ran, troubled]);
      if (trouble === null)
        while ((await jobs.listEnded()).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      else await expect(jobs.listEnded()).rejects.toMatchObject({ code: trouble.code, remedy: trouble.remedy });
      return trouble;
    } finally {
      stop.abort();
      await jobs.stop();
    }
  }

  test('runs with a client certificate, for a user with the rights that the manual names', async () => {
    await server.demandClientCertificate(true);
    const rights = ['+@read', '+@write', '+@connection', '+@scripting', '+@blocking', '+info', '+time'];
    const keys = [`~${keyPrefix}:*`, `~{${keyPrefix}:jobs}*`];
    await server.administrator.call('ACL', 'SETUSER', 'ditto', 'on', '>secret', ...keys, ...rights);
    const tls = { ca, ...server.certificates.client };
    expect(await start(server.url('localhost', 'ditto:secret@'), tls)).toBeNull();
  });

  test('says what is wrong: authority, name, client certificate, password', async () => {
    const { client, foreignCa } = server.certificates;
    await server.demandClientCertificate(true);
    const troubles = await Promise.all([
      start(server.url(), { ca: foreignCa, ...client }),
      start(server.url(), { ca, ...client, servername: 'no.test' }),
      start(server.url(), { ca }),
      start(server.url('127.0.0.1', 'ditto:wrong@'), { ca, ...client }),
    ]);
    expect(troubles).toMatchObject([
      { code: 'DITTO_REDIS_TLS_FAILED', remedy: expect.stringMatching(/redis\.tls\.ca/) },
      { code: 'DITTO_REDIS_TLS_FAILED', remedy: expect.stringMatching(/servername/) },
      { code: 'DITTO_REDIS_TLS_FAILED', remedy: expect.stringMatching(/redis\.tls\.cert/) },
      { code: 'DITTO_REDIS_ACCESS_DENIED', remedy: expect.stringMatching(/password/) },
    ]);
  });

  test('takes for trouble with Redis neither what BullMQ says of its jobs, nor what was found out after the next answer', async () => {
    const tls = { ca, ...server.certificates.client };
    const listened = jest.spyOn(Worker.prototype, 'on');
    const stop = new AbortController();
    const told: unknown[] = [];
    const jobs = create(
      server.url(),
      tls,
      stop.signal,
      () => undefined,
      (trouble) => told.push(trouble),
    );
    const worker = listened.mock.contexts[0] as Worker;
    listened.mockRestore();
    await jobs.listEnded();
    worker.emit('error', Object.assign(new Error('an end of long ago'), { code: 'ECONNRESET' }));
    await jobs.listEnded();
    while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    worker.emit('error', new Error('could not renew lock for job 7'));
    worker.emit('error', Object.assign(new Error('Missing lock for job 7. moveToFinished'), { code: -2 }));
    await server.administrator.call('CLIENT', 'PAUSE', '2500', 'ALL');
    await expect(jobs.listEnded()).rejects.toMatchObject({ message: expect.stringMatching(/said nothing/) });
    expect(told).toEqual([
      expect.objectContaining({ code: 'DITTO_REDIS_UNAVAILABLE' }),
      { queue: expect.any(String), error: 'could not renew lock for job 7' },
      { queue: expect.any(String), error: 'Missing lock for job 7. moveToFinished' },
    ]);
    stop.abort();
    await jobs.stop();
  });
});
