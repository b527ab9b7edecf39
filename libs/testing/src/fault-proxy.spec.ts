import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FaultProxy } from './fault-proxy.ts';

let server: Server;
let proxy: FaultProxy;
const received: string[] = [];
const clients: Socket[] = [];

/** Answers each piece with the same in capitals. */
beforeEach(async () => {
  received.length = 0;
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      received.push(bytes.toString());
      socket.write(bytes.toString().toUpperCase());
    });
    socket.on('end', () => socket.end('bye'));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  proxy = await FaultProxy.open({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
});

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  proxy.close();
  server.close();
});

async function open(allowHalfOpen = false): Promise<{ socket: Socket; answers: string[] }> {
  const socket = connect({ port: proxy.port, host: proxy.host, allowHalfOpen });
  socket.on('error', () => undefined);
  clients.push(socket);
  const answers: string[] = [];
  socket.on('data', (bytes) => answers.push(bytes.toString()));
  await once(socket, 'connect');
  return { socket, answers };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 4_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('never');
    await wait(5);
  }
}

test('passes everything on, ends included, and counts it', async () => {
  const { socket, answers } = await open();
  socket.end('hello');
  await until(() => answers.join('') === 'HELLObye');
  await until(() => socket.readableEnded);
  expect(proxy.acceptedConnections).toBe(1);
  expect(proxy.deliveredBytes).toEqual({ toServer: 5, toClient: 8 });
  socket.destroy();
  await until(() => proxy.openConnections === 0);
  expect(proxy.receivedBytes).toEqual({ toServer: 5, toClient: 8 });
});

test('cut: connections end, new ones too, until it is restored', async () => {
  const { socket } = await open();
  proxy.cut();
  await once(socket, 'close');
  const second = await open();
  await once(second.socket, 'close');
  proxy.restore();
  const third = await open();
  third.socket.write('a');
  await until(() => third.answers.includes('A'));
});

test('silence holds what both say, also what is sent by a connection that its client closes, until it is restored', async () => {
  const { socket, answers } = await open();
  socket.write('a');
  await until(() => answers.includes('A'));
  proxy.silence({ newConnections: false });
  socket.write('b');
  await until(() => proxy.receivedBytes.toServer === 2);
  socket.destroy();
  const second = await open();
  second.socket.write('c');
  await until(() => second.answers.includes('C'));
  expect(received).toEqual(['a', 'c']);
  expect(socket.destroyed).toBe(true);
  proxy.restore();
  await until(() => received.length === 3);
  expect(received).toEqual(['a', 'c', 'b']);
  expect(answers).toEqual(['A']);
});

test('silence from a text on: the request arrives, its answer is swallowed, for new connections too', async () => {
  const { socket, answers } = await open();
  proxy.silence({ direction: 'toClient', bytes: 'swallowed', from: 'mid' });
  const second = await open();
  for (const one of [socket, second.socket]) one.write('a');
  await until(() => answers.includes('A') && second.answers.includes('A'));
  for (const one of [socket, second.socket]) one.write('in mid-call');
  await until(() => received.filter((text) => text === 'in mid-call').length === 2);
  await until(() => proxy.receivedBytes.toClient === 24);
  proxy.restore();
  socket.write('b');
  await until(() => answers.includes('B'));
  expect(answers).toEqual(['A', 'B']);
  expect(proxy.deliveredBytes.toClient).toBe(3);
});

test('delay and throttle', async () => {
  const { socket, answers } = await open();
  proxy.delay(60, 'toServer');
  let startedAt = performance.now();
  socket.write('a');
  await until(() => answers.includes('A'));
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(59);
  proxy.restore();
  proxy.throttle(10_000, 'toClient');
  startedAt = performance.now();
  socket.write('b'.repeat(2_000));
  await until(() => answers.join('').length === 2_001);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(150);
});

test('half-close: the client sees the end of the server and can still send', async () => {
  const { socket, answers } = await open(true);
  socket.write('a');
  await until(() => answers.includes('A'));
  proxy.halfClose('toClient');
  await once(socket, 'end');
  socket.write('b');
  await until(() => received.length === 2);
  expect(answers).toEqual(['A']);
});

test('new connections go to another server when the target changes', async () => {
  const other = createServer((socket) => socket.end('other'));
  await once(other.listen(0, '127.0.0.1'), 'listening');
  proxy.target = { host: '127.0.0.1', port: (other.address() as AddressInfo).port };
  const { answers } = await open();
  await until(() => answers.includes('other'));
  other.close();
});
