import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type ClientTls, silentLogger } from '#kernel';
import { checkRedis, RedisConnection, RedisOffsets } from '#redis';
import { TlsRedis, uniqueName } from '#testing';

const TLS_FAILED = 'DITTO_REDIS_TLS_FAILED';
const ACCESS_DENIED = 'DITTO_REDIS_ACCESS_DENIED';
const keyPrefix = uniqueName('test');
/** As docs/operations.md has them. */
const RIGHTS = ['+@read', '+@write', '+@connection', '+@scripting', '+@blocking', '+info', '+time'];

interface Refusal {
  readonly code: string;
  readonly remedy: string;
}

/** Null when there is a connection, else what is logged of the first attempt. */
async function start(url: string, tls?: ClientTls): Promise<Refusal | null> {
  const { promise: refused, resolve } = Promise.withResolvers<Refusal>();
  const warn = (_: string, fields?: object): void => resolve(fields as Refusal);
  const redis = new RedisConnection({ url, tls, keyPrefix, logger: { ...silentLogger, warn } });
  try {
    const refusal = await Promise.race([redis.waitUntilReady().then(() => null), refused]);
    if (refusal === null) await redis.ping();
    // calls in this time fail with the same, and that it is tried again
    else
      await expect(redis.ping()).rejects.toMatchObject({ code: refusal.code, remedy: refusal.remedy, retriable: true });
    return refusal;
  } finally {
    redis.close();
  }
}

async function check(url: string, tls?: ClientTls): Promise<Refusal | null> {
  const findings = await checkRedis({ url, tls, keyPrefix });
  return findings.find(({ severity }) => severity === 'error') ?? null;
}

async function expectAccess(url: string, tls?: ClientTls): Promise<void> {
  expect({ start: await start(url, tls), check: await check(url, tls) }).toEqual({ start: null, check: null });
}

async function expectRefusal(url: string, tls: ClientTls | undefined, code: string, remedy: RegExp): Promise<void> {
  const expected = expect.objectContaining({ code, remedy: expect.stringMatching(remedy) });
  const [started, checked] = await Promise.all([start(url, tls), check(url, tls)]);
  expect({ started, checked }).toEqual({ started: expected, checked: expected });
}

describe('Redis over TLS', () => {
  let server: TlsRedis;
  let ca: string;

  beforeAll(async () => {
    server = await TlsRedis.start();
    ({ ca } = server.certificates);
  }, 60_000);
  afterEach(async () => {
    await server.present(server.certificates.server);
    await server.demandClientCertificate(false);
  });
  afterAll(() => server.end());

  test('is used with a certificate for the name or the address, or for the one that is configured', async () => {
    await expectAccess(server.url(), { ca });
    await expectAccess(server.url('localhost'), { ca });
    await expectAccess(server.url().replace('redis:', 'rediss:'), { ca });
    await server.present(await server.authority.issueServer(['localhost', 'db.test']));
    await expectAccess(server.url(), { ca, servername: 'db.test' });
    await expectRefusal(server.url(), { ca }, TLS_FAILED, /servername/);
    await expectRefusal(server.url('localhost'), { ca, servername: 'no.test' }, TLS_FAILED, /servername/);
    await server.present(await server.authority.issueServer(['127.0.0.1']));
    await expectAccess(server.url('localhost'), { ca, servername: '127.0.0.1' });
    await expectRefusal(server.url('localhost'), { ca }, TLS_FAILED, /servername/);
  });

  test.each([
    ['expired', /Renew the certificate of the server/],
    ['otherHost', /servername/],
    ['foreign', /redis\.tls\.ca/],
  ] as const)('is refused with the certificate "%s", unless certificates are not checked', async (which, remedy) => {
    await server.present(server.certificates[which]);
    await expectRefusal(server.url(), { ca }, TLS_FAILED, remedy);
    await expectAccess(server.url(), { rejectUnauthorized: false });
  });

  test('without a configured authority the authorities of the system count, also where only the URL says TLS', async () => {
    await expectRefusal(server.url(), {}, TLS_FAILED, /redis\.tls\.ca/);
    await expectRefusal(server.url().replace('redis:', 'rediss:'), undefined, TLS_FAILED, /redis\.tls\.ca/);
  });

  test('that wants a client certificate gets it, or says that it is missing or wrong', async () => {
    const { client, foreignClient, expiredClient } = server.certificates;
    await server.demandClientCertificate(true);
    await expectAccess(server.url(), { ca, ...client });
    await expectRefusal(server.url(), { ca }, TLS_FAILED, /redis\.tls\.cert/);
    await expectRefusal(server.url(), { ca, ...foreignClient }, TLS_FAILED, /redis\.tls\.cert/);
    await expect(check(server.url(), { ca, ...expiredClient })).resolves.toMatchObject({ code: TLS_FAILED });
  });

  test('is not spoken to in plain text where TLS is configured and it offers none', async () => {
    await expectRefusal(server.plainUrl, { ca }, TLS_FAILED, /offers no TLS/);
  });

  test('that takes TLS only is unavailable without, and the remedy names TLS', async () => {
    await expectRefusal(server.url(), undefined, 'DITTO_REDIS_UNAVAILABLE', /TLS/);
  });

  test.each([
    ['no authority', (): ClientTls => ({ ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' })],
    ['the key of another', (): ClientTls => ({ ...server.certificates.client, key: server.certificates.server.key })],
    ['a text that is not a key', (): ClientTls => ({ ...server.certificates.client, key: 'no key' })],
  ])('is not connected to with %s', async (_, tls) => {
    await expect(start(server.url(), { ca, ...tls() })).rejects.toMatchObject({
      code: TLS_FAILED,
      remedy: expect.stringContaining('PEM'),
    });
    await expect(check(server.url(), { ca, ...tls() })).resolves.toMatchObject({ code: TLS_FAILED });
  });

  test('that changes its certificate is refused from the next connection on, and used again by itself', async () => {
    const redis = new RedisConnection({ url: server.url(), tls: { ca }, keyPrefix });
    const eventually = async (code: string | null): Promise<void> => {
      for (let found: unknown = ''; found !== code; await new Promise((resolve) => setTimeout(resolve, 10)))
        found = await redis.ping().then(
          () => null,
          (error: unknown) => (error as { readonly code: string }).code,
        );
    };
    try {
      await eventually(null);
      await server.present(server.certificates.foreign);
      await server.administrator.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await eventually(TLS_FAILED);
      await server.present(server.certificates.server);
      await eventually(null);
    } finally {
      redis.close();
    }
  });

  describe('with users', () => {
    const account = 'ditto:secret@';
    afterEach(() => server.administrator.call('ACL', 'DELUSER', 'ditto'));
    const setUser = (...rules: readonly string[]) =>
      server.administrator.call('ACL', 'SETUSER', 'ditto', 'reset', 'on', ...rules);

    test('a user with the rights that the manual names may do all that is needed', async () => {
      await setUser('>secret', `~${keyPrefix}:*`, `~{${keyPrefix}:jobs}*`, ...RIGHTS);
      const url = server.url('127.0.0.1', account);
      await expectAccess(url, { ca });
      const redis = new RedisConnection({ url, tls: { ca }, keyPrefix });
      try {
        await redis.waitUntilReady();
        expect(await new RedisOffsets(redis).list()).toEqual([]);
      } finally {
        redis.close();
      }
    });

    test('a wrong password is refused, and right as soon as the server takes it', async () => {
      await setUser('>another', '~*', '+@all');
      const url = server.url('127.0.0.1', account);
      await expectRefusal(url, { ca }, ACCESS_DENIED, /password/);
      const redis = new RedisConnection({ url, tls: { ca }, keyPrefix });
      await setUser('>secret', '~*', '+@all');
      try {
        await redis.waitUntilReady(AbortSignal.timeout(10_000));
        await redis.ping();
      } finally {
        redis.close();
      }
    });

    test('a missing user is refused where one is needed', async () => {
      await server.administrator.call('ACL', 'SETUSER', 'default', 'resetpass', '>secret');
      try {
        await expectRefusal(server.url(), { ca }, ACCESS_DENIED, /password/);
      } finally {
        await server.administrator.call('ACL', 'SETUSER', 'default', 'nopass');
      }
    });

    test.each([
      ['scripts', ['~*', '+@all', '-eval', '-evalsha']],
      ['keys', ['~others:*', '+@all']],
      ['INFO', ['~*', '+@all', '-info']],
    ])('a user without a right on %s is found by the check', async (_, rules) => {
      await setUser('>secret', ...rules);
      await expect(check(server.url('127.0.0.1', account), { ca })).resolves.toMatchObject({
        code: ACCESS_DENIED,
        message: expect.stringContaining('ermissions'),
        remedy: expect.stringContaining('rights'),
      });
    });

    test('a command without the right to it is denied, and not tried again', async () => {
      await setUser('>secret', '~others:*', '+@all');
      const redis = new RedisConnection({ url: server.url('127.0.0.1', account), tls: { ca }, keyPrefix });
      try {
        await redis.waitUntilReady();
        await expect(redis.ping()).rejects.toMatchObject({ code: ACCESS_DENIED, retriable: false });
      } finally {
        redis.close();
      }
    });
  });
});
