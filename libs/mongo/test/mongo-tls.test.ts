import { once } from 'node:events';
import { type AddressInfo, connect as connectPlain, type Socket } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ClientTls, silentLogger } from '#kernel';
import { type Identity, makeTestCertificates, TestAuthority, type TestCertificates, testStack } from '#testing';
import { checkMongo, type MongoConnection, openMongo } from '../src/index.ts';

const SERVER_SELECTION_TIMEOUT_MS = 500;
const TLS_FAILED = 'DITTO_MONGO_TLS_FAILED';

let authority: TestAuthority;
let made: TestCertificates;
let shared: URL;
const servers: Server[] = [];
const sockets = new Set<Socket>();
/** What clients asked for; false: nothing. */
const serverNames = new Set<unknown>();

beforeAll(async () => {
  authority = await TestAuthority.create();
  made = await makeTestCertificates(['localhost', '127.0.0.1'], 'ditto', authority);
  shared = new URL((await testStack()).url('mongo'));
});

afterAll(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
});

/** The shared server's URL behind TLS with that certificate. */
async function serveTls({ cert, key }: Identity, asksForClient = false): Promise<string> {
  const options = { cert, key, ca: made.ca, requestCert: asksForClient, rejectUnauthorized: asksForClient };
  const server = createServer(options, (client) => {
    serverNames.add(client.servername);
    const upstream = connectPlain(Number(shared.port), shared.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    client.on('close', () => upstream.destroy()).pipe(upstream);
    upstream.on('close', () => client.destroy()).pipe(client);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(shared);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return url.href;
}

const withOption = (url: string, option: string): string => `${url}${url.includes('?') ? '&' : '?'}${option}`;
const atLocalhost = (url: string): string => url.replace('127.0.0.1', 'localhost');

function connect(url: string, tls: ClientTls | undefined, waitForServer = false): Promise<MongoConnection> {
  return openMongo({
    url,
    tls,
    serverSelectionTimeoutMs: SERVER_SELECTION_TIMEOUT_MS,
    waitForServer,
    logger: silentLogger,
  });
}

async function open(url: string, tls?: ClientTls): Promise<void> {
  const connection = await connect(url, tls);
  try {
    await connection.ping();
  } finally {
    await connection.close();
  }
}

/** By what opens it for a source and waits for it, and by the check. */
async function expectRefusal(url: string, tls: ClientTls | undefined, code: string, remedy: RegExp): Promise<void> {
  const expected = { code, remedy: expect.stringMatching(remedy) };
  await expect(connect(url, tls, true)).rejects.toMatchObject(expected);
  const findings = await checkMongo({
    connection: { url, tls, serverSelectionTimeoutMs: SERVER_SELECTION_TIMEOUT_MS },
    databases: [],
  });
  expect(findings).toMatchObject([expected]);
}

describe('MongoDB over TLS', () => {
  it('is used with a certificate that is right, and with a client certificate where one is asked for', async () => {
    await open(await serveTls(made.server), { ca: made.ca });
    await open(await serveTls(made.server, true), { ca: made.ca, ...made.client });
  });

  it('is compared with the name that is connected to, or the one that is configured: names and addresses', async () => {
    const { ca } = made;
    const byName = await serveTls(await authority.issueServer(['localhost', 'db.test']));
    const byAddress = await serveTls(await authority.issueServer(['127.0.0.1']));
    // no address is sent as a name (Node's DEP0123)
    for (const [url, servername, asked] of [
      [atLocalhost(byName), undefined, 'localhost'],
      [byName, 'db.test', 'db.test'],
      [byAddress, undefined, false],
      [atLocalhost(byAddress), '127.0.0.1', false],
    ] as const) {
      serverNames.clear();
      await open(url, { ca, servername });
      expect([...serverNames]).toEqual([asked]);
    }
    await expectRefusal(byName, { ca }, TLS_FAILED, /servername/);
    await expectRefusal(atLocalhost(byAddress), { ca }, TLS_FAILED, /servername/);
    await expectRefusal(byName, { ca, servername: 'no.test' }, TLS_FAILED, /servername/);
  }, 40_000);

  it.each([
    ['expired', /Renew the certificate of the server/],
    ['otherHost', /servername/],
    ['foreign', /mongo\.tls\.ca/],
  ] as const)(
    'is refused with a code where the certificate is %s, whatever the options of the URL',
    async (name, remedy) => {
      const url = await serveTls(made[name]);
      for (const option of ['tlsInsecure=true', 'tlsAllowInvalidCertificates=true', 'tls=false'])
        await expect(open(withOption(url, option), { ca: made.ca })).rejects.toMatchObject({ code: TLS_FAILED });
      await expectRefusal(url, { ca: made.ca }, TLS_FAILED, remedy);
      await open(url, { rejectUnauthorized: false });
    },
    40_000,
  );

  it('is refused without the authority, also where the URL alone says TLS', async () => {
    const url = await serveTls(made.server);
    await expectRefusal(url, {}, TLS_FAILED, /mongo\.tls\.ca/);
    await expectRefusal(withOption(url, 'tls=true'), undefined, TLS_FAILED, /mongo\.tls\.ca/);
  }, 20_000);

  it('is refused where the client certificate is missing or of another authority', async () => {
    const url = await serveTls(made.server, true);
    for (const client of [{}, made.foreignClient])
      await expectRefusal(url, { ca: made.ca, ...client }, TLS_FAILED, /mongo\.tls\.cert/);
  }, 20_000);

  it('is not connected to with texts that are not certificates, or do not belong together', async () => {
    const { ca, client, foreignClient } = made;
    for (const tls of [{ ca: 'none' }, { ca, cert: client.cert, key: foreignClient.key }, { ca, cert: client.cert }])
      await expect(open(shared.href, tls)).rejects.toMatchObject({ code: TLS_FAILED, retriable: false });
  });

  it('does not fall back to plain text where the server offers no TLS', async () => {
    await expectRefusal(shared.href, { ca: made.ca }, TLS_FAILED, /offers no TLS/);
  }, 20_000);

  it('is unavailable where it takes TLS only and none is configured, and where nobody listens', async () => {
    await expect(open(await serveTls(made.server))).rejects.toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE' });
    await expect(open('mongodb://127.0.0.1:1', { ca: made.ca })).rejects.toMatchObject({
      code: 'DITTO_MONGO_UNAVAILABLE',
    });
  }, 20_000);

  it('denies a wrong password, and access without any, with a code', async () => {
    const url = new URL(await serveTls(made.server));
    url.password = 'wrong';
    await expectRefusal(url.href, { ca: made.ca }, 'DITTO_MONGO_ACCESS_DENIED', /password/);
    url.username = url.password = '';
    const findings = await checkMongo({
      connection: { url: url.href, tls: { ca: made.ca }, serverSelectionTimeoutMs: SERVER_SELECTION_TIMEOUT_MS },
      databases: ['x'],
    });
    expect(findings).toMatchObject([{ code: 'DITTO_MONGO_ACCESS_DENIED' }]);
  }, 20_000);

  it('reports what is wrong with a certificate that came later, and continues by itself with the next', async () => {
    const connection = await connect(await serveTls(made.server), { ca: made.ca });
    const front = servers.at(-1);
    const eventually = async (code: string | null): Promise<void> => {
      for (let found: unknown = ''; found !== code; await new Promise((resolve) => setTimeout(resolve, 20)))
        found = await connection.ping().then(
          () => null,
          (error: unknown) => (error as { readonly code: string }).code,
        );
    };
    try {
      front?.setSecureContext(made.foreign);
      for (const socket of sockets) socket.destroy();
      await eventually(TLS_FAILED);
      front?.setSecureContext(made.server);
      await eventually(null);
    } finally {
      await connection.close();
    }
  }, 30_000);
});
