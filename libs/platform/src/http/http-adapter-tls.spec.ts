import { once } from 'node:events';
import { request } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Deferred, silentLogger } from '#kernel';
import { makeTestCertificates, type TestCertificates } from '#testing';
import { parseConfig, Secret } from '#configuration';
import { configureLogging } from '../logging/root-logger.ts';
import { createServiceModule } from '../service/create-service.ts';
import { createShutdownSequence } from '../service/shutdown-sequence.ts';
import { createHttpAdapter } from './http-adapter.ts';
import { type HttpLimits } from './http-server.ts';

const config = parseConfig(`
sources: { shop: { endpoints: [{ host: db, user: ditto, password: secret }], include: ['shop.*'] } }
mongo: { url: 'mongodb://localhost' }
redis: { url: 'redis://localhost' }
state: { host: db, user: ditto, password: secret }
`);

const slow = { entered: new Deferred<void>(), finish: new Deferred<void>() };

@Controller('sources')
class SourcesController {
  @Get('shop')
  find() {
    return { name: 'shop' };
  }

  @Get('slow')
  async wait() {
    slow.entered.resolve();
    await slow.finish.promise;
    return { late: true };
  }
}

@Module({ controllers: [SourcesController] })
class AppModule {}

const limits: HttpLimits = {
  connections: 3,
  bodyBytes: 1000,
  requestMs: 10_000,
  silenceMs: 60_000,
  keepAliveMs: 60_000,
  shutdownGraceMs: 50,
};
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

async function start({ ca, ...changed }: Partial<HttpLimits> & { readonly ca?: string } = {}): Promise<void> {
  lines.length = 0;
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  configureLogging({ service: 'dss', level: 'warn', destination: { write } });
  const { cert, key } = certificates.server;
  const http = { ...config.dss.http, tls: { cert, key: new Secret(key), ca } };
  const encrypted = { ...config, dss: { ...config.dss, http } };
  const options = { name: 'dss', description: '', createModule: () => AppModule } as const;
  app = await NestFactory.create<NestFastifyApplication>(
    createServiceModule(options, encrypted),
    createHttpAdapter(encrypted, 'dss', { ...limits, ...changed }),
    { logger: false },
  );
  await app.listen(0, '127.0.0.1');
  ({ port } = app.getHttpServer().address() as AddressInfo);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function ask(path: string, options: ConnectionOptions & { readonly headers?: object } = {}): Promise<Answer> {
  const { ca } = certificates;
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', servername: 'localhost', port, path, agent: false, ca, ...options } as object,
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => (text += part));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    asked.on('error', reject).end();
  });
}

/** As it is, with no handshake. */
async function open(text: string | Buffer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

async function openTls(text: string): Promise<Socket> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: certificates.ca }).on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'secureConnect');
  socket.write(text);
  return socket;
}

const closeOf = (socket: Socket) => new Promise<void>((resolve) => socket.resume().once('close', () => resolve()));

describe('HTTP with TLS', () => {
  it('answers who trusts its authority, and is trusted by nobody else', async () => {
    await start();
    expect(await ask('/sources/shop')).toEqual({ status: 200, text: '{"name":"shop"}' });
    await expect(ask('/sources/shop', { ca: certificates.foreignCa })).rejects.toMatchObject({
      code: expect.stringMatching(/^UNABLE_TO_VERIFY|^CERT_SIGNATURE|^SELF_SIGNED/),
    });
  });

  it('answers only who has a certificate of the configured authority, where there is one', async () => {
    await start({ ca: certificates.ca });
    expect(await ask('/sources/shop', certificates.client)).toMatchObject({ status: 200 });
    for (const identity of [{}, certificates.foreignClient, certificates.expiredClient])
      for (const path of ['/sources/shop', '/health/live', '/nowhere'])
        await expect(ask(path, identity)).rejects.toThrow(/alert|ECONNRESET|socket hang up/);
    expect(await ask('/sources/shop', certificates.client)).toMatchObject({ status: 200 });
    expect(new Set(lines.map(({ msg }) => msg))).toEqual(new Set(['a TLS handshake failed']));
  });

  it('takes nothing older than TLS 1.2', async () => {
    await start();
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await expect(ask('/sources/shop', old)).rejects.toThrow(/alert protocol version/);
    expect(await ask('/sources/shop', { maxVersion: 'TLSv1.2' })).toMatchObject({ status: 200 });
  });

  it('closes a connection that sends plain HTTP, and logs it', async () => {
    await start();
    const socket = await open('GET /sources/shop HTTP/1.1\r\nHost: localhost\r\n\r\n');
    let answer = '';
    socket.on('data', (bytes) => (answer += String(bytes)));
    await closeOf(socket);
    expect(answer).not.toContain('shop');
    expect(lines).toMatchObject([
      {
        level: 'warn',
        component: 'requests',
        msg: 'a TLS handshake failed',
        reason: 'ERR_SSL_HTTP_REQUEST',
        address: '127.0.0.1',
      },
    ]);
    expect(await ask('/sources/shop')).toMatchObject({ status: 200 });
  });

  it('refuses foreign pages as without TLS', async () => {
    await start();
    expect(await ask('/sources/shop', { headers: { host: 'evil.example' } })).toMatchObject({ status: 403 });
    const own = { host: 'localhost:7401', origin: 'https://localhost:7401' };
    expect(await ask('/sources/shop', { headers: own })).toMatchObject({ status: 200 });
  });
});

describe('the limits of HTTP with TLS', () => {
  it('ends handshakes and requests that do not arrive in time', async () => {
    await start({ requestMs: 200 });
    const dripping = await open(Buffer.from([22, 3, 1]));
    const drip = setInterval(() => dripping.write(Buffer.from([1])), 40);
    await Promise.all([
      closeOf(dripping),
      open('').then(closeOf),
      openTls('GET /sources/shop HTTP/1.1\r\nHost: local').then(closeOf),
    ]);
    clearInterval(drip);
    expect(await ask('/sources/shop')).toMatchObject({ status: 200 });
  });

  it('counts connections before their handshake, and makes room for new ones', async () => {
    await start();
    const silent = [await open(''), await openTls(''), await open('')] as const;
    const oldest = closeOf(silent[0]);
    expect(await ask('/sources/shop')).toMatchObject({ status: 200 });
    await oldest;
    expect(silent.slice(1).map(({ closed }) => closed)).toEqual([false, false]);
  });
});

describe('the shutdown of HTTP with TLS', () => {
  async function stop(): Promise<readonly unknown[]> {
    const exit = jest.fn();
    const close = () => app.close();
    await createShutdownSequence({ begin: jest.fn(), close, deadlineMs: 3000, exit, logger: silentLogger })('SIGTERM');
    return exit.mock.calls;
  }

  it('waits for no handshake and no request that has arrived in part', async () => {
    await start();
    await open('');
    await openTls('');
    await openTls('GET /sources/shop HTTP/1.1\r\nHost: local');
    expect(await stop()).toEqual([[0]]);
  });

  it('waits for an answer that is under way', async () => {
    await start({ shutdownGraceMs: 2_000 });
    const answer = ask('/sources/slow');
    await slow.entered.promise;
    const stopped = stop();
    while (app.getHttpServer().listening) await new Promise((resolve) => setImmediate(resolve));
    slow.finish.resolve();
    expect(await answer).toEqual({ status: 200, text: '{"late":true}' });
    expect(await stopped).toEqual([[0]]);
  });
});
