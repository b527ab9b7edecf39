import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { sleep } from '#kernel';
import { MySqlImpostor } from '#testing';
import { DumpConnection } from './binlog/dump-connection.ts';
import { makeReplicaIdentity } from './binlog/replica-identity.ts';
import { type MySqlConnectionOptions } from './connection-options.ts';
import { MySqlSession } from './mysql-session.ts';

const countSockets = (): number =>
  process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length;

const openBefore = countSockets();
let server: { close(): unknown };
afterEach(async () => {
  server.close();
  for (const deadline = Date.now() + 2_000; countSockets() > openBefore && Date.now() < deadline;) await sleep(5);
  expect(countSockets()).toBeLessThanOrEqual(openBefore);
});

/** What its end says, of a dump that ends by itself. */
async function endOf(connection: MySqlConnectionOptions): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const dump = new DumpConnection({
    connection,
    start: { gtidSet: '' },
    replica: makeReplicaIdentity(7),
    heartbeatMs: 1000,
    listener: { onStart: () => undefined, onEvent: () => undefined, onError: resolve },
  });
  dump.start();
  const error = await promise;
  dump.stop();
  return error;
}

/** Answers each connection with an error in place of a handshake, as servers do before they know the client. */
async function refuseWith(number: number): Promise<{ host: string; port: number; user: string; password: string }> {
  const text = Buffer.from('\xff\0\0No connections today', 'latin1');
  text.writeUInt16LE(number, 1);
  const packet = Buffer.concat([Buffer.of(text.length, 0, 0, 0), text]);
  const refusing = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(packet);
  });
  server = refusing;
  refusing.listen(0, '127.0.0.1');
  await once(refusing, 'listening');
  return { host: '127.0.0.1', port: (refusing.address() as AddressInfo).port, user: 'u', password: 'p' };
}

test.each([
  [9999, 'DITTO_SOURCE_REFUSED'],
  [3032, 'DITTO_SOURCE_UNREACHABLE'],
  [1040, 'DITTO_SOURCE_BUSY'],
])(
  'I6: error %d in place of a handshake is a wait with a remedy, for a session and for a dump',
  async (number, code) => {
    const connection = await refuseWith(number);
    const expected = { code, retriable: true, remedy: expect.any(String), message: expect.stringContaining('today') };
    await expect(MySqlSession.open(connection, new AbortController().signal)).rejects.toMatchObject(expected);

    expect(await endOf(connection)).toMatchObject(expected);
  },
);

test('a server without TLS is refused where TLS is configured, and no socket stays open', async () => {
  const impostor = await MySqlImpostor.askingForClearPassword();
  server = impostor;
  const { host, port } = impostor;
  const error = await endOf({ host, port, user: 'u', password: 'p', tls: { rejectUnauthorized: false } });
  expect(error).toMatchObject({ code: 'DITTO_SOURCE_TLS_FAILED' });
});
