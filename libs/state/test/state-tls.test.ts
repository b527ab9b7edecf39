import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { type DittoError, silentLogger, toDittoError } from '#kernel';
import { checkStateDatabase, StateDatabase, type StateDatabaseOptions } from '#state';
import {
  type Identity,
  MySqlCertificates,
  MySqlImpostor,
  OwnServer,
  type TestCertificates,
  uniqueName,
} from '#testing';

const CODE = 'DITTO_STATE_TLS_FAILED';

type Tls = NonNullable<StateDatabaseOptions['tls']>;

interface Refusal {
  readonly code: string;
  readonly remedy: string;
}

/** Null when the database is opened, else what is logged of the first attempt. */
async function start(options: StateDatabaseOptions): Promise<Refusal | null> {
  const stop = new AbortController();
  const refusals: Refusal[] = [];
  const warn = (_: string, fields?: object): void => {
    refusals.push(fields as Refusal);
    stop.abort();
  };
  const database = new StateDatabase({ ...options, logger: { ...silentLogger, warn } });
  try {
    await database.open(stop.signal);
    await database.ping();
    return null;
  } catch (error) {
    const [refusal = null] = refusals;
    // calls in this time fail with the same, and that it is tried again
    expect(error).toMatchObject({ name: 'AbortError' });
    const { code, remedy } = refusal ?? {};
    await expect(database.ping()).rejects.toMatchObject({ code, remedy, retriable: true });
    return refusal;
  } finally {
    await database.close();
  }
}

/** The result of calls, once it has this code; null: they succeed. */
async function eventually(database: StateDatabase, code: string | null): Promise<DittoError | null> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const error = await database.ping().then(
      () => null,
      (cause: unknown) => toDittoError(cause),
    );
    if ((error?.code ?? null) === code) return error;
  }
  throw new Error(`never ${code}`);
}

async function check(options: StateDatabaseOptions): Promise<Refusal | null> {
  const { findings } = await checkStateDatabase(options);
  return findings.find(({ severity }) => severity === 'error') ?? null;
}

describe('TLS to the state database', () => {
  let server: OwnServer;
  let files: MySqlCertificates;
  let made: TestCertificates;
  let administrator: Connection;
  let plain: StateDatabaseOptions;
  let relay: MySqlImpostor | null = null;

  beforeAll(async () => {
    files = await MySqlCertificates.create();
    made = files.made;
    server = await OwnServer.start('mysql-state', files.settings);
    const { host, port, user, password } = server.stack.endpoint('mysql-state');
    administrator = await createConnection({ host, port, user: user ?? '', password: password ?? '' });
    plain = { host, port, user: uniqueName('user'), password: 'as said', database: uniqueName('state') };
    await run(
      `CREATE USER ${plain.user} IDENTIFIED BY '${plain.password}'`,
      `GRANT ALL ON ${plain.database}.* TO ${plain.user}`,
    );
    expect(await start(plain)).toBeNull();
  }, 120_000);
  afterEach(async () => {
    relay?.close();
    relay = null;
    await present(made.server);
    await run(`ALTER USER ${plain.user} REQUIRE NONE`, 'SET GLOBAL require_secure_transport = OFF');
  });
  afterAll(async () => {
    await administrator.end();
    await server.end();
    await files.delete();
  });

  async function run(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await administrator.query(statement);
  }

  async function present(identity: Identity): Promise<void> {
    await files.write(identity);
    await run('ALTER INSTANCE RELOAD TLS');
  }

  const relayTo = (stripsTls = false): Promise<MySqlImpostor> =>
    MySqlImpostor.relay({ host: '127.0.0.1', port: plain.port }, stripsTls);

  async function killConnections(): Promise<void> {
    const sql = `SELECT id AS id FROM information_schema.processlist WHERE user = '${plain.user}'`;
    const [rows] = await administrator.query<RowDataPacket[]>(sql);
    for (const { id } of rows) await run(`KILL ${id}`);
  }

  const withTls = (tls: Tls, more: Partial<StateDatabaseOptions> = {}): StateDatabaseOptions => ({
    ...plain,
    ...more,
    tls,
  });

  async function expectAccess(options: StateDatabaseOptions): Promise<void> {
    expect({ start: await start(options), check: await check(options) }).toEqual({ start: null, check: null });
  }

  async function expectRefusal(options: StateDatabaseOptions, code: string, remedy: RegExp): Promise<void> {
    const expected = expect.objectContaining({ code, remedy: expect.stringMatching(remedy) });
    expect({ start: await start(options), check: await check(options) }).toEqual({ start: expected, check: expected });
  }

  test('all connections are encrypted, and work where the server takes nothing else', async () => {
    await run('SET GLOBAL require_secure_transport = ON');
    relay = await relayTo();
    await expectAccess(withTls({ ca: made.ca }, { port: relay.port }));
    expect(relay.receivedBytes.includes(plain.user)).toBe(false);
    expect(relay.receivedBytes.includes('SELECT')).toBe(false);
    relay.close();
    await run('SET GLOBAL require_secure_transport = OFF');
    relay = await relayTo();
    await expectAccess({ ...plain, port: relay.port });
    expect(relay.receivedBytes.includes(plain.user)).toBe(true);
  });

  test('the name is compared that is connected to, or the one that is configured: names and addresses', async () => {
    const byName = await files.authority.issueServer(['localhost', 'db.test']);
    const byAddress = await files.authority.issueServer(['127.0.0.1']);
    const { ca } = made;
    const refused = [CODE, /servername/] as const;
    await present(byName);
    await expectAccess(withTls({ ca }, { host: 'localhost' }));
    await expectAccess(withTls({ ca, servername: 'db.test' }));
    await expectRefusal(withTls({ ca }), ...refused);
    await expectRefusal(withTls({ ca, servername: 'no.test' }), ...refused);
    await present(byAddress);
    await expectAccess(withTls({ ca }));
    await expectAccess(withTls({ ca, servername: '127.0.0.1' }, { host: 'localhost' }));
    await expectRefusal(withTls({ ca }, { host: 'localhost' }), ...refused);
    // what servers are asked for is a name, never an address (Node's DEP0123)
    relay = await relayTo();
    await expectAccess(withTls({ ca, servername: '127.0.0.1' }, { host: 'localhost', port: relay.port }));
    expect(relay.receivedBytes.includes('127.0.0.1')).toBe(false);
    await present(byName);
    await expectAccess(withTls({ ca, servername: 'db.test' }, { port: relay.port }));
    expect(relay.receivedBytes.includes('db.test')).toBe(true);
  });

  test('an expired certificate is refused before anything is said', async () => {
    relay = await MySqlImpostor.askingForClearPassword(made.expired);
    await expectRefusal(withTls({ ca: made.ca }, { port: relay.port }), CODE, /Renew the certificate/);
    expect(relay.received).toEqual([]);
  });

  test('a server that asks for the password as it is does not get it, with TLS or without', async () => {
    for (const [identity, tls] of [
      [undefined, undefined],
      [made.server, { ca: made.ca }],
    ] as const) {
      relay = await MySqlImpostor.askingForClearPassword(identity);
      await expectRefusal({ ...plain, port: relay.port, tls }, 'DITTO_STATE_ACCESS_DENIED', /caching_sha2_password/);
      expect(relay.receivedBytes.includes(plain.user)).toBe(true);
      expect(relay.receivedBytes.includes(plain.password ?? '')).toBe(false);
      relay.close();
    }
  });

  test.each([
    ['otherHost', /servername/],
    ['foreign', /tls\.ca/],
  ] as const)(
    'a server with the certificate "%s" is refused, unless certificates are not checked',
    async (which, remedy) => {
      await present(made[which]);
      await expectRefusal(withTls({ ca: made.ca }), CODE, remedy);
      await expectAccess(withTls({ rejectUnauthorized: false }));
    },
  );

  test('without a configured authority the authorities of the system count', async () => {
    await expectRefusal(withTls({}), CODE, /tls\.ca/);
  });

  test('an account that requires a client certificate gets one, or refuses', async () => {
    const { ca, client, foreignClient, expiredClient } = made;
    await run(`ALTER USER ${plain.user} REQUIRE X509`);
    await expectAccess(withTls({ ca, ...client }));
    await expectRefusal(withTls({ ca }), 'DITTO_STATE_ACCESS_DENIED', /state\.tls/);
    await expectRefusal(withTls({ ca, ...foreignClient }), CODE, /tls\.cert/);
    await expectRefusal(withTls({ ca, ...expiredClient }), CODE, /Renew/);
  });

  test('texts that are not certificates or do not belong together are refused before anything is sent', async () => {
    relay = await relayTo();
    const { ca, client, foreignClient } = made;
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    for (const tls of [{ ca: broken }, { ca, ...client, key: foreignClient.key }, { ca, ...client, key: 'no key' }])
      await expectRefusal(withTls(tls, { port: relay.port }), CODE, /PEM/);
    expect(relay.receivedBytes).toHaveLength(0);
  });

  test('where no TLS is offered, nothing is sent in plain text', async () => {
    relay = await relayTo(true);
    for (const tls of [{ ca: made.ca }, { rejectUnauthorized: false }])
      await expectRefusal(withTls(tls, { port: relay.port }), CODE, /offers no TLS/);
    expect(relay.receivedBytes).toHaveLength(0);
  });

  test('a server that takes encrypted connections only refuses those without, and gives the reason', async () => {
    await run('SET GLOBAL require_secure_transport = ON');
    await expectRefusal(plain, CODE, /state\.tls/);
    await run('SET GLOBAL require_secure_transport = OFF', `ALTER USER ${plain.user} REQUIRE SSL`);
    await expectRefusal(plain, 'DITTO_STATE_ACCESS_DENIED', /state\.tls/);
  });

  test('a server that is gone in the middle of the handshake is unavailable', async () => {
    relay = await MySqlImpostor.silentAfterGreeting();
    const refusal = check(withTls({ ca: made.ca }, { port: relay.port }));
    while (relay.received.length === 0) await new Promise((resolve) => setImmediate(resolve));
    relay.close();
    expect(await refusal).toMatchObject({ code: 'DITTO_STATE_UNAVAILABLE' });
  });

  test('connections that are made later are checked too, and made as soon as the server is right again', async () => {
    const database = new StateDatabase(withTls({ ca: made.ca }));
    await database.open();
    try {
      await present(made.foreign);
      await killConnections();
      await expect(eventually(database, CODE)).resolves.toMatchObject({
        retriable: true,
        remedy: expect.stringMatching(/tls\.ca/),
      });
      await present(made.server);
      await expect(eventually(database, null)).resolves.toBeNull();
    } finally {
      await database.close();
    }
  });
});
