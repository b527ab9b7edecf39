import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Controller, Module } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeAll, expect, it } from '@jest/globals';
import { makeTestCertificates, type TestCertificates } from '#testing';
import { parseConfig, Secret } from '#configuration';
import { configureLogging } from '../logging/root-logger.ts';
import { Metrics } from '../metrics/metrics.ts';
import { createService } from '../service/create-service.ts';

const config = parseConfig(`
sources: { shop: { endpoints: [{ host: db, user: ditto, password: secret }], include: ['shop.*'] } }
mongo: { url: 'mongodb://localhost' }
redis: { url: 'redis://localhost' }
state: { host: db, user: ditto, password: secret }
dcs: { rpc: { maxConnections: 4 } }
`);

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo() {
    return 'heard';
  }
}

@Module({ controllers: [EchoController] })
class AppModule {}

const lines: Record<string, unknown>[] = [];
const sockets: Socket[] = [];
let certificates: TestCertificates;
let app: NestFastifyApplication;
let port: number;

beforeAll(async () => {
  certificates = await makeTestCertificates();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await app.close();
});

async function start(patienceMs: number): Promise<void> {
  lines.length = 0;
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  configureLogging({ service: 'dcs', level: 'warn', destination: { write } });
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
  await new Promise((resolve) => server.close(resolve));
  const { cert, key } = certificates.server;
  const rpc = { ...config.dcs.rpc, port, patienceMs, tls: { cert, key: new Secret(key) } };
  app = await createService({ name: 'dcs', description: '', createModule: () => AppModule, rpc }, config);
  await app.startAllMicroservices();
}

/** One that never begins its handshake. */
async function openSilent(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  await once(
    socket.on('error', () => undefined),
    'connect',
  );
  return socket;
}

async function open(): Promise<Socket> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: certificates.ca });
  sockets.push(socket);
  await once(
    socket.on('error', () => undefined),
    'secureConnect',
  );
  return socket;
}

const closeOf = (socket: Socket) => new Promise<void>((resolve) => socket.resume().once('close', () => resolve()));

async function ask(socket: Socket): Promise<string> {
  const text = JSON.stringify({ pattern: 'echo', id: '1', data: { token: null, data: null } });
  const answer = once(socket, 'data');
  socket.write(`${text.length}#${text}`);
  return String((await answer)[0]);
}

async function refusals(): Promise<Record<string, number>> {
  const metric = await app.get(Metrics).registry.getSingleMetric('ditto_dcs_rpc_refused_total')?.get();
  return Object.fromEntries(metric?.values.map(({ labels, value }) => [String(labels['reason']), value]) ?? []);
}

it('counts a connection before its handshake, and makes room by the oldest without a token', async () => {
  await start(10_000);
  const known = await open();
  expect(await ask(known)).toContain('heard');
  const silent = [await openSilent(), await openSilent(), await openSilent()] as const;
  const ended = closeOf(silent[0]);
  const late = await open();
  await ended;
  expect(await ask(late)).toContain('heard');
  expect(await ask(known)).toContain('heard');
  expect(silent.slice(1).map(({ closed }) => closed)).toEqual([false, false]);
  expect(await refusals()).toEqual({ connections: 1 });
});

it('gives room back when connections end', async () => {
  await start(10_000);
  for (let n = 0; n < 6; n++) {
    const socket = await open();
    expect(await ask(socket)).toContain('heard');
    const closed = closeOf(socket);
    socket.end();
    await closed;
  }
  expect(await refusals()).toEqual({});
});

it('closes a connection that speaks without TLS, and logs it', async () => {
  await start(10_000);
  const socket = await openSilent();
  const closed = closeOf(socket);
  socket.write('16#{"pattern":"a"}');
  await closed;
  expect(lines).toMatchObject([
    { level: 'warn', component: 'rpc', msg: 'a TLS handshake failed', address: '127.0.0.1' },
  ]);
});

it('has one limit of time for the handshake and the token', async () => {
  await start(200);
  const known = await open();
  await ask(known);
  const began = performance.now();
  const dripping = await openSilent();
  const closed = Promise.all([openSilent().then(closeOf), closeOf(dripping), open().then(closeOf)]);
  // the first byte of a handshake, and then nothing
  dripping.write(Buffer.from([22]));
  await closed;
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(await ask(known)).toContain('heard');
  expect(await refusals()).toEqual({ late: 3 });
});
