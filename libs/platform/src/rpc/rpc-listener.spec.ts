import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Controller, Module } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { silentLogger } from '#kernel';
import { RpcData } from '../auth/rpc-envelope.ts';
import { parseConfig } from '#configuration';
import { configureLogging } from '../logging/root-logger.ts';
import { Metrics } from '../metrics/metrics.ts';
import { createService } from '../service/create-service.ts';
import { createShutdownSequence } from '../service/shutdown-sequence.ts';

const TOKEN = 'act-act-act-act-act';
const config = parseConfig(`
sources: { shop: { endpoints: [{ host: db, user: ditto, password: secret }], include: ['shop.*'] } }
mongo: { url: 'mongodb://localhost' }
redis: { url: 'redis://localhost' }
state: { host: db, user: ditto, password: secret }
auth: { tokens: [{ name: dss, token: ${TOKEN}, roles: [operate] }] }
dcs: { rpc: { maxMessageBytes: 100 KiB, maxConnections: 4 } }
`);

const acted = jest.fn();

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@RpcData() text: string) {
    acted();
    return text.length;
  }

  @MessagePattern('repeat')
  repeat(@RpcData() length: number) {
    return 'x'.repeat(length);
  }

  @EventPattern('event')
  event(data: unknown) {
    acted(data);
  }
}

@Module({ controllers: [EchoController] })
class AppModule {}

const lines: Record<string, unknown>[] = [];
const sockets: Socket[] = [];
let app: NestFastifyApplication;
let port: number;

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}

async function start(patienceMs: number): Promise<void> {
  lines.length = 0;
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  configureLogging({ service: 'dcs', level: 'info', destination: { write } });
  port = await findFreePort();
  const rpc = { ...config.dcs.rpc, port, patienceMs };
  app = await createService({ name: 'dcs', description: '', createModule: () => AppModule, rpc }, config);
  await app.startAllMicroservices();
}

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Whether in order or by a reset. */
const closeOf = (socket: Socket) => new Promise<void>((resolve) => socket.resume().once('close', () => resolve()));

const frameOf = (text: string) => `${text.length}#${text}`;
const requestOf = (data: unknown, shown: string | null = TOKEN, pattern = 'echo') =>
  frameOf(JSON.stringify({ pattern, id: '1', data: { token: shown, data } }));

/** What the server sends next. */
async function ask(socket: Socket, text: string): Promise<string> {
  const answer = once(socket, 'data');
  socket.write(text);
  return String((await answer)[0]);
}

async function refusals(): Promise<Record<string, number>> {
  const metric = await app.get(Metrics).registry.getSingleMetric('ditto_dcs_rpc_refused_total')?.get();
  return Object.fromEntries(metric?.values.map(({ labels, value }) => [String(labels['reason']), value]) ?? []);
}

describe('the RPC listener', () => {
  beforeEach(async () => {
    acted.mockClear();
    await start(10_000);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await app.close();
  });

  it('answers the largest message, on one connection many times', async () => {
    const socket = await open();
    const text = 'x'.repeat(100 * 1024 - requestOf('').length);
    for (let n = 0; n < 3; n++) expect(await ask(socket, requestOf(text))).toContain(`"response":${text.length}`);
    expect(await refusals()).toEqual({});
  });

  it.each([
    ['a request of HTTP', 'too early', `POST / HTTP/1.1\r\nHost: localhost\r\n\r\n${requestOf('a')}`, 'not-a-frame'],
    ['the length of a frame that is too large', 'one byte', '42000000#{', 'too-large'],
    ['what is no JSON', 'whole', frameOf('{"pattern"'), 'not-a-request'],
    ['a list', 'whole', frameOf('[]'), 'not-a-request'],
    ['a long pattern', 'whole', frameOf(JSON.stringify({ pattern: 'x'.repeat(2_000), id: '1' })), 'not-a-request'],
    ['a pattern that is an object', 'whole', frameOf(JSON.stringify({ pattern: { a: 1 }, id: '1' })), 'not-a-request'],
    ['an event', 'whole', frameOf(JSON.stringify({ pattern: 'event', data: { token: TOKEN } })), 'not-a-request'],
  ])('closes a connection that sends %s (%s)', async (_what, _how, text, reason) => {
    const socket = await open();
    const closed = closeOf(socket);
    socket.write(text + requestOf('behind it'));
    await closed;
    expect(await refusals()).toEqual({ [reason]: 1 });
    expect(lines.filter(({ level }) => level !== 'info')).toMatchObject([
      { level: 'warn', component: 'rpc', code: 'DITTO_RPC_REFUSED', reason, remedy: expect.any(String) },
    ]);
    expect(acted).not.toHaveBeenCalled();
  });

  it('logs refused callers and closed connections in a few lines, and closes those that continue', async () => {
    for (let n = 0; n < 5; n++) {
      const socket = await open();
      const closed = closeOf(socket);
      for (let k = 0; k < 30; k++) socket.write(requestOf('a', 'wrong'));
      await closed;
    }
    expect(await refusals()).toEqual({ denied: 5 });
    const warnings = lines.filter(({ level }) => level === 'warn');
    expect(warnings).toMatchObject([{ pattern: 'echo', actor: null }, { reason: 'denied' }]);
    expect(JSON.stringify(lines)).not.toContain('wrong');
  });

  it('parses no large message that shows no known token', async () => {
    const parse = jest.spyOn(JSON, 'parse');
    const large = 'x'.repeat(50_000);
    try {
      for (const text of [
        requestOf(large, 'wrong'),
        requestOf(large, null),
        frameOf(JSON.stringify({ large, token: TOKEN })),
        frameOf(JSON.stringify({ token: 'wrong', data: { token: TOKEN }, large })),
      ]) {
        const socket = await open();
        const closed = closeOf(socket);
        socket.write(text);
        await closed;
      }
      const parsed = parse.mock.calls.filter(([text]) => text.length > 10_000);
      expect(parsed).toEqual([]);
    } finally {
      parse.mockRestore();
    }
    expect(await refusals()).toEqual({ denied: 4 });
    expect(await ask(await open(), requestOf(large))).toContain('"response":50000');
  });

  it('keeps those who have shown a token when strangers take all connections', async () => {
    const known = await open();
    await ask(known, requestOf('a'));
    const strangers = [await open(), await open(), await open()];
    const ended = closeOf(strangers[0] as Socket);
    const late = await open();
    await ended;
    expect(await ask(late, requestOf('ab'))).toContain('"response":2');
    expect(await ask(known, requestOf('abc'))).toContain('"response":3');
    expect(strangers.slice(1).map(({ closed }) => closed)).toEqual([false, false]);
    expect(await refusals()).toEqual({ connections: 1 });
  });

  it('sends an answer of any size to a caller that reads', async () => {
    const socket = await open();
    const length = 20_000_000; // more than the buffers of the system take at once
    let read = 0;
    const answered = new Promise<void>((resolve) => {
      socket.on('data', (bytes: Buffer) => (read += bytes.length) > length && resolve());
    });
    const closed = closeOf(socket);
    socket.write(requestOf(length, TOKEN, 'repeat'));
    await Promise.race([answered, closed]);
    expect(read).toBeGreaterThan(length);
    expect(await refusals()).toEqual({});
  });

  it('does not count the answer that is being sent as one that is not read', async () => {
    const socket = await open();
    const length = 15_000_000;
    let read = 0;
    const answered = new Promise<void>((resolve) => {
      socket.on('data', (bytes: Buffer) => {
        read += bytes.length;
        if (bytes.includes('"response":"xxxxxxxxxx"')) resolve();
      });
    });
    socket.write(requestOf(length, TOKEN, 'repeat') + requestOf(10, TOKEN, 'repeat'));
    await Promise.race([answered, once(socket, 'close')]);
    expect(await refusals()).toEqual({});
    expect(read).toBeGreaterThan(length);
  });

  it('closes the connection of a caller that asks on and does not read', async () => {
    const socket = await open();
    await ask(socket, requestOf('a'));
    socket.pause();
    socket.write(requestOf(20_000_000, TOKEN, 'repeat').repeat(3));
    while ((await refusals())['answers-unread'] === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await refusals()).toEqual({ 'answers-unread': 1 });
  });

  it('stops in order while a message has arrived in part', async () => {
    const socket = await open();
    await new Promise((resolve) => socket.write(requestOf('half').slice(0, 20), resolve));
    const exit = jest.fn();
    const close = () => app.close();
    await createShutdownSequence({ begin: jest.fn(), close, deadlineMs: 3000, exit, logger: silentLogger })('SIGTERM');
    expect(exit.mock.calls).toEqual([[0]]);
  });
});

describe('the patience of the RPC listener', () => {
  beforeEach(() => start(150));
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await app.close();
  });

  it('closes connections without a token, or with a part of a message, and no others', async () => {
    const known = await open();
    await ask(known, requestOf('a'));
    const halves = [await open(), await open(), await open()] as const;
    await ask(halves[2], requestOf('a'));
    const closed = Promise.all(halves.map(closeOf));
    halves[1].write('100#');
    halves[2].write(requestOf('a').slice(0, -1));
    // a byte now and then is no sign of life
    const drip = setInterval(() => halves[1].write('x'), 40);
    await closed;
    clearInterval(drip);
    expect(await ask(known, requestOf('abc'))).toContain('"response":3');
    expect(await refusals()).toEqual({ late: 3 });
  });
});
