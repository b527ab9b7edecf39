import { once } from 'node:events';
import { type AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ClientTls } from '#kernel';
import { makeTestCertificates, type TestCertificates } from '#testing';
import { DcsClient } from './dcs-client.ts';

const received: string[] = [];
const names: unknown[] = [];
let certificates: TestCertificates;
let server: Server;

beforeAll(async () => {
  certificates = await makeTestCertificates();
  server = createServer(certificates.server, (socket: TLSSocket) => {
    names.push(socket.servername);
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      received.push(String(bytes));
      const { id } = JSON.parse(String(bytes).replace(/^\d+#/, '')) as { readonly id: string };
      const text = JSON.stringify({ id, response: { leases: [] }, isDisposed: true });
      socket.write(`${text.length}#${text}`);
    });
  }).listen(0, '127.0.0.1');
  server.on('tlsClientError', () => undefined);
  await once(server, 'listening');
});

afterAll(() => void server.close());

function createClient(tls: ClientTls): DcsClient {
  const { port } = server.address() as AddressInfo;
  return new DcsClient({ endpoints: [{ host: '127.0.0.1', port }], token: 'secret', tls, timeoutMs: 5_000 });
}

async function ask(tls: ClientTls): Promise<unknown> {
  const client = createClient(tls);
  try {
    return await client.listLeases();
  } finally {
    client.close();
  }
}

test('asks a DCS whose certificate it trusts, by the host or the name that it is given', async () => {
  const { ca } = certificates;
  const warned: string[] = [];
  const listen = ({ name }: Error): unknown => warned.push(name);
  process.on('warning', listen);
  expect(await ask({ ca })).toEqual([]);
  expect(await ask({ ca, servername: 'localhost' })).toEqual([]);
  expect(await ask({ ca, servername: '127.0.0.1' })).toEqual([]);
  process.off('warning', listen);
  expect(names).toEqual([false, 'localhost', false]);
  expect(warned).toEqual([]);
});

test('says why it does not trust a DCS, and what to do, and sends it nothing', async () => {
  const { ca, foreignCa } = certificates;
  received.length = 0;
  for (const [tls, message, remedy] of [
    [{ ca: foreignCa }, /127\.0\.0\.1:\d+: .*can not be reached by TLS/, /dcs\.tls\.ca/],
    [{ ca, servername: 'dcs.test' }, /does not match certificate's altnames/, /dcs\.tls\.servername/],
  ] as const)
    await expect(ask(tls)).rejects.toMatchObject({
      code: 'DITTO_DCS_TLS_FAILED',
      retriable: true,
      message: expect.stringMatching(message),
      remedy: expect.stringMatching(remedy),
    });
  expect(received).toEqual([]);
});

test('refuses a key that does not belong to its certificate before it connects', () => {
  const { ca, client, server: other } = certificates;
  const create = (): unknown => createClient({ ca, cert: client.cert, key: other.key });
  expect(create).toThrow(expect.objectContaining({ code: 'DITTO_DCS_TLS_FAILED', retriable: false }));
});
