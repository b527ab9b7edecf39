import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
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

  /** Null when a job has run and its result can be read, else what is logged first. */
  async function start(url: string, tls: ClientTls | undefined): Promise<Trouble | null> {
    const stop = new AbortController();
    const { promise: ran, resolve: run } = Promise.withResolvers<null>();
    const { promise: troubled, resolve: warn } = Promise.withResolvers<Trouble>();
    const jobs = new RecurringJobs({
      name: uniqueName('queue'),
      redis: { url, tls, keyPrefix },
      prefix,
      everyMs: 50,
      concurrency: 1,
      schedules: new Map([['once', { of: 'test' }]]),
      run: () => Promise.resolve({ done: true }).finally(() => run(null)),
      keptResults: 5,
      signal: stop.signal,
      metrics: new JobMetrics(new Metrics('dws')),
      logger: { ...silentLogger, warn: (_: string, fields?: object) => warn(fields as Trouble) },
    });
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
});
