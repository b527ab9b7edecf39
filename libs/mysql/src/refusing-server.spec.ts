import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { DumpConnection } from './binlog/dump-connection.ts';
import { makeReplicaIdentity } from './binlog/replica-identity.ts';
import { MySqlSession } from './mysql-session.ts';

let server: Server;
afterEach(() => {
  server.close();
});

/** Answers each connection with an error in place of a handshake, as servers do before they know the client. */
async function refuseWith(number: number): Promise<{ host: string; port: number; user: string; password: string }> {
  const text = Buffer.from('\xff\0\0No connections today', 'latin1');
  text.writeUInt16LE(number, 1);
  const packet = Buffer.concat([Buffer.of(text.length, 0, 0, 0), text]);
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(packet);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, user: 'u', password: 'p' };
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

    const { promise, resolve } = Promise.withResolvers<unknown>();
    const dump = new DumpConnection({
      connection,
      start: { gtidSet: '' },
      replica: makeReplicaIdentity(7),
      heartbeatMs: 1000,
      listener: { onStart: () => undefined, onEvent: () => undefined, onError: resolve },
    });
    dump.start();
    expect(await promise).toMatchObject(expected);
    dump.stop();
  },
);
