import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type ConnectionOptions, createServer, type Server } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { silentLogger } from '#kernel';
import { type Identity, makeTestCertificates, type TestCertificates, testStack } from '#testing';
import { checkMongo, openMongo } from '../src/index.ts';

const serverSelectionTimeoutMs = 500;

let made: TestCertificates;
let shared: URL;
const servers: Server[] = [];
const sockets = new Set<Socket>();

beforeAll(async () => {
  made = await makeTestCertificates();
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
    const upstream = connect(Number(shared.port), shared.hostname);
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

async function open(url: string, tls: ConnectionOptions): Promise<void> {
  const connection = await openMongo({
    url,
    tls,
    serverSelectionTimeoutMs,
    waitForServer: false,
    logger: silentLogger,
  });
  try {
    await connection.ping();
  } finally {
    await connection.close();
  }
}

describe('MongoDB over TLS', () => {
  it('is used with a certificate that is right, and with a client certificate where one is asked for', async () => {
    await open(await serveTls(made.server), { ca: made.ca });
    await open(await serveTls(made.server, true), { ca: made.ca, ...made.client });
  });

  it.each(['expired', 'otherHost', 'foreign'] as const)(
    'is refused with a code where the certificate is %s, whatever the options of the URL',
    async (name) => {
      const url = await serveTls(made[name]);
      for (const option of ['appName=x', 'tlsInsecure=true', 'tlsAllowInvalidCertificates=true', 'tls=false']) {
        const tls = { ca: made.ca, rejectUnauthorized: true };
        await expect(open(withOption(url, option), tls)).rejects.toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE' });
      }
      const [finding] = await checkMongo({
        connection: { url, tls: { ca: made.ca }, serverSelectionTimeoutMs },
        databases: [],
      });
      expect(finding?.code).toBe('DITTO_MONGO_UNAVAILABLE');
    },
    40_000,
  );

  it('is refused where the client certificate is missing or of another authority', async () => {
    const url = await serveTls(made.server, true);
    for (const client of [{}, made.foreignClient])
      await expect(open(url, { ca: made.ca, ...client })).rejects.toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE' });
  }, 20_000);

  it('does not fall back to plain text where the server offers no TLS', async () => {
    await expect(open(shared.href, { ca: made.ca })).rejects.toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE' });
  }, 20_000);

  it('denies a wrong password with a code', async () => {
    const url = new URL(await serveTls(made.server));
    url.password = 'wrong';
    await expect(open(url.href, { ca: made.ca })).rejects.toMatchObject({ code: 'DITTO_MONGO_ACCESS_DENIED' });
  }, 20_000);
});
