import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, it } from '@jest/globals';
import { silentLogger } from '#kernel';
import { RpcConnections } from '../rpc/rpc-connections.ts';
import { HttpConnections } from './http-connections.ts';

const sockets: Socket[] = [];
let server: Server;

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

async function listen(): Promise<number> {
  server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const limits = { maxMessageBytes: 100, maxConnections: 2, patienceMs: 60_000, maxUnreadBytes: 100 };
const rpcConnections = () =>
  new RpcConnections({ limits, logger: silentLogger, isKnown: () => false, onRefusal: () => undefined });

it.each([
  ['HTTP', () => new HttpConnections({ most: 2, graceMs: 1 })],
  ['RPC', rpcConnections],
])('%s counts each connection that one port of a client has to several addresses', async (_protocol, create) => {
  const port = await listen();
  const connections = create();
  connections.watch(server);
  let localPort: number | undefined;
  for (const [host, count] of [
    ['127.0.0.1', 1],
    ['127.0.0.2', 2],
    ['127.0.0.3', 2],
  ] as const) {
    const arrived = once(server, 'connection');
    const socket = connect({ port, host, localAddress: '127.0.0.1', localPort });
    sockets.push(socket.on('error', () => undefined));
    await arrived;
    localPort ??= socket.localPort;
    expect(connections.count).toBe(count);
  }
});

it('a refused RPC connection counts no more, also when its socket has ended by itself', async () => {
  const port = await listen();
  const connections = rpcConnections();
  connections.watch(server);
  const arrived = once(server, 'connection') as Promise<[Socket]>;
  sockets.push(connect(port, '127.0.0.1').on('error', () => undefined));
  const [socket] = await arrived;
  const connection = connections.find(socket);
  if (connection === null) throw new Error('not admitted');
  socket.destroy();
  connections.refuse(connection, 'connections');
  expect(connections.count).toBe(0);
});
