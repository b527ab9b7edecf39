import { once } from 'node:events';
import { type AddressInfo, createServer as createPlainServer, type Server, type Socket } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { makeTestCertificates, type TestCertificates } from '#testing';
import { type ClientTls } from './tls-material.ts';
import { askTlsRefusal } from './tls-refusal.ts';

let made: TestCertificates;
let server: Server | null = null;

beforeAll(async () => {
  made = await makeTestCertificates(['127.0.0.1', 'db.test']);
});
afterEach(() => {
  server?.close();
});

async function listen(started: Server): Promise<number> {
  server = started.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const serve = (options: TlsOptions = {}): Promise<number> =>
  listen(createServer({ ...made.server, ca: made.ca, ...options }, (socket) => socket.on('error', () => undefined)));

describe('askTlsRefusal', () => {
  const ask = (port: number, tls: ClientTls) => askTlsRefusal({ host: '127.0.0.1', port, tls, plainPing: 'ping' });

  test('hears what the server has against the client, and nothing where all is well', async () => {
    const port = await serve({ requestCert: true, rejectUnauthorized: true });
    const { ca, client, foreignClient } = made;
    expect(await ask(port, { ca, ...client })).toBeNull();
    expect(await ask(port, { ca })).toMatchObject({ code: expect.stringContaining('ALERT') });
    // Node's own server says nothing, and ends the connection
    expect(await ask(port, { ca, ...foreignClient })).toMatchObject({ code: 'ERR_TLS_ENDED' });
    expect(await ask(port, {})).toMatchObject({ code: expect.stringMatching(/SELF_SIGNED|UNABLE/) });
  });

  test.each([
    ['waits for more', () => undefined],
    ['ends the connection', (socket: Socket) => socket.destroy()],
  ])('hears that a server speaks plain text, which %s at what it does not understand', async (_, onOther) => {
    const port = await listen(
      createPlainServer((socket) =>
        socket
          .on('error', () => undefined)
          .on('data', (bytes) => (bytes.equals(Buffer.from('ping')) ? socket.write('pong') : onOther(socket))),
      ),
    );
    expect(await ask(port, {})).toMatchObject({ code: 'ERR_TLS_NOT_OFFERED' });
  });

  test('hears nothing where nothing is said, or nobody listens', async () => {
    const silent = await listen(createPlainServer((socket) => socket.on('error', () => undefined).resume()));
    expect(await ask(silent, {})).toBeNull();
    expect(await ask(1, {})).toBeNull();
  });
});
