import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Identity, makeTestCertificates, type TestCertificates, writeTestCertificates } from './certificates.ts';

let made: TestCertificates;
let folder: string;
beforeAll(async () => {
  made = await makeTestCertificates();
  folder = await mkdtemp(join(tmpdir(), 'ditto-certificates-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The codes by which the client and the server refuse, each `null` when it does not. */
async function connectWith(server: Identity, options: { ca: string; client?: Identity; requestsClient?: boolean }) {
  const requestCert = options.requestsClient === true;
  const listener = createServer({ ...server, ca: made.ca, requestCert, rejectUnauthorized: requestCert });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const { promise, resolve } = Promise.withResolvers<{ client: string | null; server: string | null }>();
  const seen = { client: null as string | null };
  listener.on('tlsClientError', ({ code }: NodeJS.ErrnoException) => {
    resolve({ ...seen, server: code ?? 'an error without a code' });
  });
  listener.on('secureConnection', (socket: TLSSocket) => {
    socket.end('hello');
  });
  const socket = connect({
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    ca: options.ca,
    ...options.client,
  });
  socket.on('data', () => {
    resolve({ client: null, server: null });
  });
  socket.on('error', ({ code }: NodeJS.ErrnoException) => {
    seen.client = code ?? null;
    if (!requestCert) resolve({ ...seen, server: null });
  });
  try {
    return await promise;
  } finally {
    socket.destroy();
    listener.close();
  }
}

describe('a server', () => {
  test.each([
    ['server', null],
    ['expired', 'CERT_HAS_EXPIRED'],
    ['notYetValid', 'CERT_NOT_YET_VALID'],
    ['otherHost', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['foreign', expect.stringMatching(/^(CERT_SIGNATURE_FAILURE|UNABLE_TO_VERIFY_LEAF_SIGNATURE)$/)],
  ] as const)('with the certificate "%s": %s', async (name, client) => {
    expect(await connectWith(made[name], { ca: made.ca })).toEqual({ client, server: null });
  });

  test('of another authority is trusted by those who trust that one', async () => {
    expect(await connectWith(made.foreign, { ca: made.foreignCa })).toEqual({ client: null, server: null });
  });
});

test.each([
  ['client', 'taken'],
  ['expiredClient', 'refused'],
  ['foreignClient', 'refused'],
] as const)('a client with the certificate "%s": %s', async (name, answer) => {
  const { server } = await connectWith(made.server, { ca: made.ca, client: made[name], requestsClient: true });
  expect(server === null ? 'taken' : 'refused').toBe(answer);
});

test('is written to files, private keys for their owner alone', async () => {
  const paths = await writeTestCertificates(join(folder, 'new'), made);
  expect(paths.ca).toBe(join(folder, 'new', 'ca.pem'));
  expect(await readFile(paths.ca, 'utf8')).toBe(made.ca);
  expect(await readFile(paths.otherHost.cert, 'utf8')).toBe(made.otherHost.cert);
  expect(await readFile(paths.expiredClient.key, 'utf8')).toBe(made.expiredClient.key);
});
