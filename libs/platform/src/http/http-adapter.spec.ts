import dns from 'node:dns';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { Controller, Get, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Deferred, silentLogger } from '#kernel';
import { parseConfig } from '#configuration';
import { configureLogging } from '../logging/root-logger.ts';
import { createService, createServiceModule } from '../service/create-service.ts';
import { createShutdownSequence } from '../service/shutdown-sequence.ts';
import { createHttpAdapter } from './http-adapter.ts';

const FILE = `
sources: { shop: { endpoints: [{ host: db, user: ditto, password: secret }], include: ['shop.*'] } }
mongo: { url: 'mongodb://localhost' }
redis: { url: 'redis://localhost' }
state: { host: db, user: ditto, password: secret }
`;
const TOKEN = 'act-act-act-act-act';
const withToken = `${FILE}\nauth: { tokens: [{ name: alice, token: ${TOKEN}, roles: [operate] }] }`;

const acted = jest.fn();
const slow = { entered: new Deferred<void>(), finish: new Deferred<void>() };

@Controller('sources')
class SourcesController {
  @Get(':name')
  find() {
    return {};
  }

  @Get(':name/slow')
  async wait() {
    slow.entered.resolve();
    await slow.finish.promise;
    return { late: true };
  }

  @Post(':name/pause')
  pause() {
    acted();
    return {};
  }
}

@Module({ controllers: [SourcesController] })
class AppModule {}

const options = { name: 'dss', description: '', createModule: () => AppModule } as const;
const lines: Record<string, unknown>[] = [];
let app: NestFastifyApplication;

function watchLog(): void {
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  configureLogging({ service: 'dss', level: 'debug', destination: { write } });
}

async function start(text: string): Promise<string> {
  watchLog();
  app = await createService(options, parseConfig(text));
  await app.listen(0, '127.0.0.1');
  return app.getUrl();
}

const requestLines = () =>
  lines
    .filter(({ component }) => component === 'requests')
    .map(({ level, method, route, status, actor }) => [level, method, route, status, actor]);

async function open(text: string): Promise<Socket> {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (text !== '') await new Promise((resolve) => socket.write(text, resolve));
  return socket;
}

/** Unlike `fetch`, it can send any Host. */
async function ask(method: string, path: string, headers: Record<string, string>): Promise<number> {
  const { port } = app.getHttpServer().address() as AddressInfo;
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

describe('HTTP without tokens', () => {
  beforeAll(() => start(FILE));
  afterAll(() => app.close());
  afterEach(() => void acted.mockClear());

  const host = 'localhost:7401';

  it.each([
    ['another origin', 'POST', '/sources/shop/pause', { host, origin: 'http://evil.example' }],
    ['a sandboxed page', 'POST', '/sources/shop/pause', { host, origin: 'null' }],
    ['a page of another port', 'POST', '/sources/shop/pause', { host, 'sec-fetch-site': 'same-site' }],
    ['a name that resolves to loopback', 'POST', '/sources/shop/pause', { host: 'evil.example' }],
    ['a name that resolves to loopback', 'GET', '/sources/shop', { host: 'evil.example:7401' }],
    ['a name that resolves to loopback', 'GET', '/metrics', { host: 'evil.example:7401' }],
    ['a name that resolves to loopback', 'GET', '/docs-json', { host: 'evil.example:7401' }],
    ['a name that resolves to loopback', 'GET', '/nowhere', { host: 'evil.example:7401' }],
  ])('refuses what a page of %s sends: %s %s', async (_, method, url, headers) => {
    const answer = await app.inject({ method: method as 'GET', url, headers });
    expect(answer.statusCode).toBe(403);
    expect(answer.json()).toMatchObject({
      code: 'DITTO_REQUEST_FOREIGN',
      remedy: expect.stringContaining('auth.hosts'),
    });
    expect(await ask(method, url, headers)).toBe(403);
    expect(acted).not.toHaveBeenCalled();
  });

  it('answers its own page, curl, and a link in another page', async () => {
    const origin = `http://${host}`;
    expect(await ask('POST', '/sources/shop/pause', { host, origin, 'sec-fetch-site': 'same-origin' })).toBe(201);
    expect(await ask('POST', '/sources/shop/pause', { host: '127.0.0.1' })).toBe(201);
    const link = { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect(await ask('GET', '/docs', link)).toBe(200);
    expect(acted).toHaveBeenCalledTimes(2);
  });

  it('answers to the names of the configuration', async () => {
    const named = await createService(options, parseConfig(`${FILE}\nauth: { hosts: [Ditto.example] }`));
    await named.init();
    await named.getHttpAdapter().getInstance().ready();
    const headers = { host: 'ditto.example' };
    expect((await named.inject({ url: '/sources/shop', headers })).statusCode).toBe(200);
    await named.close();
  });
});

describe('HTTP with tokens', () => {
  beforeAll(() => start(withToken));
  afterAll(() => app.close());

  it('logs each request with method, route, status and actor, never its URL', async () => {
    const authorization = `Bearer ${TOKEN}`;
    lines.length = 0;
    await app.inject({ url: '/sources/secret-name?key=secret-key', headers: { authorization } });
    await app.inject({ method: 'POST', url: '/sources/secret-name/pause', headers: { authorization } });
    await app.inject({ url: '/health/ready' });
    await app.inject({ url: '/metrics', headers: { authorization } });
    for (let n = 0; n < 20; n++) await app.inject({ url: '/sources/secret-name?key=secret-key' });
    await app.inject({ url: '/secret-name' });
    expect(requestLines()).toEqual([
      ['debug', 'GET', '/sources/:name', 200, 'alice'],
      ['info', 'POST', '/sources/:name/pause', 201, 'alice'],
      ['debug', 'GET', '/health/ready', 200, null],
      ['debug', 'GET', '/metrics', 200, 'alice'],
      ['warn', 'GET', '/sources/:name', 401, null],
      ['warn', 'GET', null, 404, null],
    ]);
    const [first] = lines.filter(({ component }) => component === 'requests');
    expect(first?.['durationMs']).toEqual(expect.any(Number));
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('answers under any name, since a foreign page has no token', async () => {
    const headers = { host: 'ditto.example', origin: 'https://ditto.example', authorization: `Bearer ${TOKEN}` };
    expect(await ask('POST', '/sources/shop/pause', headers)).toBe(201);
  });

  it('shows metrics without a token by the names of loopback only', async () => {
    expect(await ask('GET', '/metrics', { host: 'localhost' })).toBe(200);
    expect(await ask('GET', '/metrics', { host: 'evil.example' })).toBe(401);
  });

  it('refuses a body of more than 64 KiB', async () => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const payload = JSON.stringify({ text: 'x'.repeat(65_536) });
    const answer = await app.inject({ method: 'POST', url: '/sources/shop/pause', headers, payload });
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([413, 'DITTO_REQUEST_TOO_LARGE']);
  });
});

describe('HTTP at a name', () => {
  it('listens on its first address only, since a second server would know no limits', async () => {
    const lookup = dns.lookup;
    // as a machine with IPv6 has it, by addresses that every machine has
    const addresses = [
      { address: '127.0.0.1', family: 4 },
      { address: '127.0.0.2', family: 4 },
    ];
    const spy = jest.spyOn(dns, 'lookup').mockImplementation((...given: readonly unknown[]) => {
      if (given[0] === 'localhost') (given[2] as (error: null, found: unknown) => void)(null, addresses);
      else Reflect.apply(lookup, dns, given);
    });
    watchLog();
    app = await createService(options, parseConfig(FILE));
    await app.listen(0, 'localhost');
    expect(spy).toHaveBeenCalled();
    spy.mockRestore();
    const { port, address } = app.getHttpServer().address() as AddressInfo;
    expect(address).toBe('127.0.0.1');
    const other = connect(port, '127.0.0.2');
    const [error] = (await Promise.race([once(other, 'error'), once(other, 'connect')])) as [{ code: string }?];
    other.destroy();
    expect(error?.code).toBe('ECONNREFUSED');
    await app.close();
  });
});

describe('the limits of HTTP', () => {
  it('ends requests that do not arrive in time, and makes room for new connections', async () => {
    watchLog();
    const config = parseConfig(FILE);
    const limits = {
      connections: 3,
      bodyBytes: 1000,
      requestMs: 200,
      silenceMs: 60_000,
      keepAliveMs: 60_000,
      shutdownGraceMs: 50,
    };
    app = await NestFactory.create<NestFastifyApplication>(
      createServiceModule(options, config),
      createHttpAdapter(config, 'dss', limits),
      { logger: false },
    );
    await app.listen(0, '127.0.0.1');
    const headers = 'Host: localhost\r\nContent-Type: application/json\r\n';
    const late = await Promise.all(
      ['', 'GET / HT', `POST /sources/shop/pause HTTP/1.1\r\n${headers}Content-Length: 9\r\n\r\n{`].map(
        async (text) => {
          const socket = await open(text);
          socket.resume();
          return once(socket, 'close');
        },
      ),
    );
    expect(late).toHaveLength(3);
    const idle = await Promise.all(['', '', ''].map(open));
    const oldest = once(idle[0] as Socket, 'close');
    expect(await ask('GET', '/sources/shop', { host: 'localhost' })).toBe(200);
    await oldest;
    for (const socket of idle) socket.destroy();
    await app.close();
  });
});

describe('the shutdown of HTTP', () => {
  async function stop(): Promise<readonly unknown[]> {
    const exit = jest.fn();
    const close = () => app.close();
    await createShutdownSequence({ begin: jest.fn(), close, deadlineMs: 3000, exit, logger: silentLogger })('SIGTERM');
    return exit.mock.calls;
  }

  it('waits for no request that has arrived in part', async () => {
    await start(FILE);
    const headers = 'Host: localhost\r\nContent-Type: application/json\r\n';
    const sockets = [
      await open(''),
      await open('GET /sources/shop HTTP/1.1\r\nHost: local'),
      await open(`POST /sources/shop/pause HTTP/1.1\r\n${headers}Content-Length: 100\r\n\r\n{"half":`),
    ];
    expect(await stop()).toEqual([[0]]);
    for (const socket of sockets) socket.destroy();
  });

  it('waits for an answer that is under way', async () => {
    await start(FILE);
    const url = await app.getUrl();
    const answer = fetch(`${url}/sources/shop/slow`);
    await slow.entered.promise;
    const stopped = stop();
    const listening = () => app.getHttpServer().listening;
    while (listening()) await new Promise((resolve) => setImmediate(resolve));
    slow.finish.resolve();
    expect(await (await answer).json()).toEqual({ late: true });
    expect(await stopped).toEqual([[0]]);
  });
});
