import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type MySqlConnectionOptions, MySqlEndpoint, type TlsOptions, toSourceError } from '#mysql';
import { DittoError } from '#kernel';
import { FaultProxy, MySqlImpostor, type TestCertificates } from '#testing';
import { type DumpStart } from '../src/binlog/dump-commands.ts';
import { DumpConnection } from '../src/binlog/dump-connection.ts';
import { makeReplicaIdentity } from '../src/binlog/replica-identity.ts';
import { MySqlSession } from '../src/mysql-session.ts';
import { TlsServer } from './tls-server.ts';

const signal = new AbortController().signal;
type Tls = Exclude<TlsOptions, false>;

/** Null when events come, else why not. */
async function dump(connection: MySqlConnectionOptions, start: DumpStart): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const reader = new DumpConnection({
    connection,
    start,
    replica: makeReplicaIdentity(undefined),
    heartbeatMs: 500,
    listener: {
      onStart: () => undefined,
      onEvent: () => {
        resolve(null);
      },
      onError: (error) => {
        resolve(toSourceError(error, 'reading'));
      },
    },
  });
  reader.start();
  try {
    return await promise;
  } finally {
    reader.stop();
  }
}

async function refusal(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return null;
  } catch (error) {
    return error;
  }
}

describe.each(['mysql-primary', 'mariadb'] as const)('TLS to %s', (name) => {
  let server: TlsServer;
  let made: TestCertificates;
  let plain: MySqlConnectionOptions;
  let relay: MySqlImpostor | null = null;

  beforeAll(async () => {
    server = await TlsServer.start(name);
    made = server.certificates;
    plain = await server.source.createUser('REPLICATION SLAVE, REPLICATION CLIENT', 'SELECT');
    await server.source.run('CREATE TABLE t (v TEXT)');
  }, 300_000);
  afterEach(async () => {
    relay?.close();
    relay = null;
    await server.present(made.server);
    await server.source.run(`ALTER USER ${plain.user} REQUIRE NONE`, 'SET GLOBAL require_secure_transport = OFF');
  });
  afterAll(() => server.end());

  const withTls = (tls: Tls, more: Partial<MySqlConnectionOptions> = {}): MySqlConnectionOptions => ({
    ...plain,
    ...more,
    tls,
  });

  /** The result of a session and of a dump; null where they work. */
  async function attempt(connection: MySqlConnectionOptions): Promise<{ session: unknown; dump: unknown }> {
    const set = await server.source.executedSet();
    return {
      session: await refusal(new MySqlEndpoint(connection).inspect(signal)),
      dump: await dump(connection, name === 'mariadb' ? { mariaDbGtids: set } : { gtidSet: set }),
    };
  }

  async function expectRefusal(connection: MySqlConnectionOptions, code: string, remedy: RegExp): Promise<void> {
    const expected = { code, retriable: false, remedy: expect.stringMatching(remedy) };
    expect(await attempt(connection)).toEqual({
      session: expect.objectContaining(expected),
      dump: expect.objectContaining(expected),
    });
  }

  test('session and dump are encrypted, and work where the server takes nothing else', async () => {
    await server.source.run('SET GLOBAL require_secure_transport = ON', `ALTER USER ${plain.user} REQUIRE SSL`);
    relay = await MySqlImpostor.relay({ host: '127.0.0.1', port: server.port }, false);
    const connection = withTls({ ca: made.ca }, { port: relay.port });
    expect(await attempt(connection)).toEqual({ session: null, dump: null });
    const session = await MySqlSession.open(connection, signal);
    expect(await session.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).toEqual([
      { Variable_name: 'Ssl_cipher', Value: expect.stringMatching(/./) },
    ]);
    session.close();
    // of what names the reader, nothing can be read on the way; without TLS it can
    expect(relay.receivedBytes.includes(plain.user)).toBe(false);
    await server.source.run('SET GLOBAL require_secure_transport = OFF', `ALTER USER ${plain.user} REQUIRE NONE`);
    expect(await attempt({ ...plain, port: relay.port })).toEqual({ session: null, dump: null });
    expect(relay.receivedBytes.includes(plain.user)).toBe(true);
  });

  test('the name is compared that is connected to, or the one that is configured: names and addresses', async () => {
    const byName = await server.authority.issueServer(['localhost', 'db.test']);
    const byAddress = await server.authority.issueServer(['127.0.0.1']);
    const { ca } = made;
    await server.present(byName);
    expect(await attempt(withTls({ ca }, { host: 'localhost' }))).toEqual({ session: null, dump: null });
    expect(await attempt(withTls({ ca, servername: 'db.test' }))).toEqual({ session: null, dump: null });
    await expectRefusal(withTls({ ca }), 'DITTO_SOURCE_TLS_FAILED', /servername/);
    await expectRefusal(withTls({ ca, servername: 'no.test' }), 'DITTO_SOURCE_TLS_FAILED', /servername/);
    await server.present(byAddress);
    expect(await attempt(withTls({ ca }))).toEqual({ session: null, dump: null });
    expect(await attempt(withTls({ ca, servername: '127.0.0.1' }, { host: 'localhost' }))).toEqual({
      session: null,
      dump: null,
    });
    await expectRefusal(withTls({ ca }, { host: 'localhost' }), 'DITTO_SOURCE_TLS_FAILED', /servername/);
  });

  test('I9: rows over TLS are received up to the bound of their read, and nothing of them after it', async () => {
    const rows = 400;
    const rowBytes = 100_000;
    const depth = name === 'mariadb' ? 'max_recursive_iterations' : 'cte_max_recursion_depth';
    await server.source.run(
      'CREATE TABLE wide (id INT PRIMARY KEY, v LONGTEXT)',
      `SET SESSION ${depth} = ${rows}`,
      `INSERT INTO wide WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
         SELECT i, REPEAT('w', ${rowBytes}) FROM n`,
    );
    const proxy = await FaultProxy.open({ host: '127.0.0.1', port: server.port });
    const session = await MySqlSession.open(withTls({ ca: made.ca }, { port: proxy.port }), signal);
    const sql = `SELECT * FROM ${server.source.database}.wide`;
    const some = await session.queryRows(`${sql} LIMIT 3`, { bytes: 1_000_000, overheadBytes: 0 });
    expect([some.buffers.length, some.isCut]).toEqual([3, false]);
    const cut = await session.queryRows(sql, { bytes: 1_000_000, overheadBytes: 0 });
    expect([9, 10]).toContain(cut.buffers.length);
    expect(cut.isCut).toBe(true);
    expect(cut.bytes).toBeLessThan(1_100_000);
    // the rest is not read by the next request
    expect(session.isUsable).toBe(false);
    await expect(session.query('SELECT 1')).rejects.toMatchObject({ code: 'DITTO_SOURCE_CONNECTION_LOST' });
    while (proxy.openConnections > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(proxy.receivedBytes.toClient).toBeLessThan((rows * rowBytes) / 2);
    proxy.close();
  });

  test('an expired certificate is refused before anything is said', async () => {
    relay = await MySqlImpostor.askingForClearPassword(made.expired);
    await expectRefusal(
      withTls({ ca: made.ca }, { port: relay.port }),
      'DITTO_SOURCE_TLS_FAILED',
      /Renew the certificate/,
    );
    expect(relay.received).toEqual([]);
  });

  test('a server that asks for the password as it is does not get it, with TLS or without', async () => {
    for (const [identity, tls] of [
      [undefined, false],
      [made.server, { ca: made.ca }],
    ] as const) {
      relay = await MySqlImpostor.askingForClearPassword(identity);
      const error = await refusal(MySqlSession.open({ ...plain, port: relay.port, tls }, signal));
      expect(error).toMatchObject({ code: 'DITTO_SOURCE_ACCESS_DENIED', retriable: false });
      expect(relay.receivedBytes.includes(plain.user)).toBe(true);
      expect(relay.receivedBytes.includes(plain.password)).toBe(false);
      relay.close();
    }
  });

  test.each([
    ['otherHost', /servername/],
    ['foreign', /tls\.ca/],
    // MySQL does not begin with such a one
    ...(name === 'mariadb' ? [['expired', /Renew the certificate of the server/] as const] : []),
  ] as const)(
    'a server with the certificate "%s" is refused, unless certificates are not checked',
    async (which, remedy) => {
      await server.present(made[which]);
      await expectRefusal(withTls({ ca: made.ca }), 'DITTO_SOURCE_TLS_FAILED', remedy);
      expect(await attempt(withTls({ rejectUnauthorized: false }))).toEqual({ session: null, dump: null });
    },
  );

  test('without a configured authority the authorities of the system count', async () => {
    await expectRefusal(withTls({}), 'DITTO_SOURCE_TLS_FAILED', /tls\.ca/);
  });

  test('an account that requires a client certificate gets one, or refuses', async () => {
    const { ca, client, foreignClient, expiredClient } = made;
    await server.source.run(`ALTER USER ${plain.user} REQUIRE X509`);
    expect(await attempt(withTls({ ca, ...client }))).toEqual({ session: null, dump: null });
    await expectRefusal(withTls({ ca }), 'DITTO_SOURCE_ACCESS_DENIED', /REQUIRE X509.*tls\.cert/);
    await expectRefusal(withTls({ ca, ...foreignClient }), 'DITTO_SOURCE_TLS_FAILED', /tls\.cert/);
    await expectRefusal(withTls({ ca, ...expiredClient }), 'DITTO_SOURCE_TLS_FAILED', /Renew/);
  });

  test('texts that are not certificates or do not belong together are refused before anything is sent', async () => {
    relay = await MySqlImpostor.relay({ host: '127.0.0.1', port: server.port }, false);
    const { ca, client, foreignClient } = made;
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    for (const tls of [{ ca: broken }, { ca, ...client, key: foreignClient.key }, { ca, ...client, key: 'no key' }])
      await expectRefusal(withTls(tls, { port: relay.port }), 'DITTO_SOURCE_TLS_FAILED', /PEM/);
    expect(relay.receivedBytes).toHaveLength(0);
  });

  test('where somebody on the way takes the offer of TLS out, nothing is sent in plain text', async () => {
    relay = await MySqlImpostor.relay({ host: '127.0.0.1', port: server.port }, true);
    for (const tls of [{ ca: made.ca }, { rejectUnauthorized: false }])
      await expectRefusal(withTls(tls, { port: relay.port }), 'DITTO_SOURCE_TLS_FAILED', /offers no TLS/);
    expect(relay.receivedBytes).toHaveLength(0);
  });

  test('a server that takes encrypted connections only refuses those without, and gives the reason', async () => {
    await server.source.run('SET GLOBAL require_secure_transport = ON');
    const code = name === 'mariadb' ? 'DITTO_SOURCE_ACCESS_DENIED' : 'DITTO_SOURCE_TLS_FAILED';
    await expectRefusal(plain, code, /tls/);
    await server.source.run('SET GLOBAL require_secure_transport = OFF', `ALTER USER ${plain.user} REQUIRE SSL`);
    await expectRefusal(plain, 'DITTO_SOURCE_ACCESS_DENIED', /tls/);
  });

  test('a server that is gone in the middle of the handshake is tried again', async () => {
    relay = await MySqlImpostor.silentAfterGreeting();
    const connection = withTls({ ca: made.ca }, { port: relay.port });
    const failure = refusal(MySqlSession.open(connection, signal));
    while (relay.received.length === 0) await new Promise((resolve) => setImmediate(resolve));
    relay.close();
    expect(await failure).toMatchObject({ code: 'DITTO_SOURCE_CONNECTION_LOST', retriable: true });
    expect(await failure).toBeInstanceOf(DittoError);
  });
});
