import { afterEach, describe, expect, it, jest } from '@jest/globals';
import dns from 'node:dns';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TlsOptions } from 'node:tls';
import { makeTestCertificates } from '#testing';
import { askOwner, type OwnerDirectory } from './owner-action.ts';
import { runCommand } from './run-command.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A DSS that answers every request alike. */
async function listen(
  status: number,
  body: unknown,
  tls?: TlsOptions,
): Promise<{ readonly url: string; readonly asked: string[]; readonly bodies: unknown[] }> {
  const asked: string[] = [];
  const bodies: unknown[] = [];
  const answer: RequestListener = (request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    void text(request).then((sent) => {
      if (sent !== '') bodies.push(JSON.parse(sent));
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  };
  const server = tls ? createTlsServer(tls, answer) : createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, bodies };
}

function directory(url: string | null): OwnerDirectory {
  const service = { service: 'dss' as const, startedAtMs: 0, reportedAtMs: 0, details: {} };
  return {
    listLeases: () => Promise.resolve([{ source: 'shop', owner: 'two', token: 3, expiresInMs: 9, process: null }]),
    listServices: () =>
      Promise.resolve([
        { ...service, instance: 'one', url: 'http://127.0.0.1:1' },
        { ...service, instance: 'two', url },
      ]),
  };
}

const request = { action: 'resync' as const, source: 'shop', token: 'secret', url: null, tls: {} };

describe('ditto restart, resync, rewind, accept-log, accept-loss, switch', () => {
  it('asks the instance that holds the lease, with the token, and says what happens', async () => {
    const { url, asked } = await listen(202, { resyncing: 'shop' });
    const { done, text } = await askOwner(directory(url), request);
    expect(done).toBe(true);
    expect(asked).toEqual(['POST /sources/shop/resync Bearer secret']);
    expect(text).toContain(`shop is being resynced by two (${url})`);
  });

  it('asks it to try the source again', async () => {
    const { url, asked } = await listen(200, { restarted: 'shop' });
    const { done, text } = await askOwner(directory(url), { ...request, action: 'restart' });
    expect([done, asked]).toEqual([true, ['POST /sources/shop/restart Bearer secret']]);
    expect(text).toContain(`shop is being tried again by two (${url})`);
  });

  it('asks it to rewind the source', async () => {
    const { url, asked } = await listen(202, { rewinding: 'shop' });
    const { done, text } = await askOwner(directory(url), { ...request, action: 'rewind' });
    expect([done, asked]).toEqual([true, ['POST /sources/shop/rewind Bearer secret']]);
    expect(text).toContain(`shop is being rewound by two (${url})`);
  });

  it('asks it to accept the log of the source', async () => {
    const { url, asked } = await listen(202, { accepted: 'shop' });
    const { done, text } = await askOwner(directory(url), { ...request, action: 'accept-log' });
    expect([done, asked]).toEqual([true, ['POST /sources/shop/accept-log Bearer secret']]);
    expect(text).toContain('continues in the log of its server as it is');
  });

  it('asks it to move the source to another server, and says which', async () => {
    const { url, asked, bodies } = await listen(202, { switching: 'shop', to: 'db-2:3306' });
    const body = { to: 'db-2:3306' };
    const { done, text } = await askOwner(directory(url), { ...request, action: 'switch', body });
    expect([done, asked, bodies]).toEqual([true, ['POST /sources/shop/switch Bearer secret'], [body]]);
    expect(text).toContain(`shop is being moved to db-2:3306 by two (${url})`);
  });

  it('asks it to give transactions up, and says on which server', async () => {
    const { url, asked, bodies } = await listen(202, { switching: 'shop', to: 'db-2:3306' });
    const body = { server: 'db-2:3306', gtids: '3e11fa47-71ca-11e1-9e33-c80aa9429562:7' };
    const { done, text } = await askOwner(directory(url), { ...request, action: 'accept-loss', body });
    expect([done, asked, bodies]).toEqual([true, ['POST /sources/shop/accept-loss Bearer secret'], [body]]);
    expect(text).toContain(`shop is being moved to db-2:3306 by two (${url}), without what that server lacks.`);
  });

  it('goes to the given address when the one that the owner reports can not be reached from here', async () => {
    const { url, asked } = await listen(202, { resyncing: 'shop' });
    expect((await askOwner(directory('http://127.0.0.1:1'), { ...request, url: `${url}/` })).done).toBe(true);
    expect(asked).toHaveLength(1);
  });

  it('hands on why it was refused, and what to do', async () => {
    const { url } = await listen(409, { code: 'DITTO_SOURCE_NOT_SETTLED', message: 'it is starting', remedy: 'Wait.' });
    expect(await askOwner(directory(url), request)).toEqual({
      done: false,
      text: 'DITTO_SOURCE_NOT_SETTLED: it is starting\n→ Wait.',
    });
  });

  it('says that nobody owns the source, that the owner is silent, that it does not answer', async () => {
    await expect(askOwner(directory(null), { ...request, source: 'eu' })).rejects.toMatchObject({
      code: 'DITTO_SOURCE_NOT_OWNED',
    });
    const silent = { code: 'DITTO_SOURCE_OWNER_SILENT' };
    await expect(askOwner(directory(null), request)).rejects.toMatchObject(silent);
    await expect(askOwner(directory('http://127.0.0.1:1'), request)).rejects.toMatchObject(silent);
  });

  it('says why none of the addresses of a name answers', async () => {
    const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
    const lookUp = (...given: readonly unknown[]) =>
      (given.at(-1) as (error: null, found: typeof addresses) => void)(null, addresses);
    const lookup = jest.spyOn(dns, 'lookup').mockImplementation(lookUp);
    await expect(askOwner(directory('http://owner.test:1'), request)).rejects.toMatchObject({
      message: expect.stringMatching(/does not answer: connect ECONNREFUSED 127\.0\.0\.2:1$/),
    });
    lookup.mockRestore();
  });

  it('asks an owner with TLS whose authority it is given, and shows its certificate', async () => {
    const { ca, foreignCa, server, client } = await makeTestCertificates();
    const { url, asked } = await listen(202, { resyncing: 'shop' }, { ...server, ca, requestCert: true });
    for (const tls of [{}, { ca: foreignCa, ...client }, { ca }])
      await expect(askOwner(directory(url), { ...request, tls })).rejects.toMatchObject({
        code: 'DITTO_SOURCE_OWNER_SILENT',
        remedy: expect.stringMatching(/--ca.*--cert and --key/),
      });
    expect(asked).toEqual([]);
    expect((await askOwner(directory(url), { ...request, tls: { ca, ...client } })).done).toBe(true);
    expect(asked).toEqual(['POST /sources/shop/resync Bearer secret']);
  });

  it('sends no token in plain text where TLS is asked for', async () => {
    const { ca } = await makeTestCertificates();
    const { url, asked } = await listen(202, { resyncing: 'shop' });
    await expect(askOwner(directory(url), { ...request, tls: { ca } })).rejects.toMatchObject({
      code: 'DITTO_SOURCE_OWNER_UNENCRYPTED',
      message: expect.stringContaining(url),
    });
    expect(asked).toEqual([]);
  });

  it.each(['check', 'schema', 'help'])('%s takes no files of TLS', async (command) => {
    const complaints: string[] = [];
    const context = { environment: {}, print: () => undefined, complain: (text: string) => complaints.push(text) };
    for (const option of ['--ca', '--cert', '--key'])
      expect(await runCommand([command, option, 'any.pem'], context)).toBe(2);
    expect(complaints[1]).toContain(`'${command}' takes no --cert.`);
  });

  it('names a file that it can not use before it asks anybody', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ditto-owner-'));
    const { client } = await makeTestCertificates();
    await writeFile(join(folder, 'cert.pem'), client.cert);
    const complain = async (...args: string[]): Promise<string> => {
      const complaints: string[] = [];
      const context = { environment: {}, print: () => undefined, complain: (text: string) => complaints.push(text) };
      expect(await runCommand(['resync', '--source', 'shop', ...args], context)).toBe(2);
      return complaints.join('');
    };
    expect(await complain('--ca', join(folder, 'none.pem'))).toMatch(/^--ca: .*ENOENT/);
    expect(await complain('--ca', import.meta.filename)).toMatch(/^--ca is not a certificate/);
    expect(await complain('--cert', join(folder, 'cert.pem'))).toMatch(/^--key is missing/);
    await rm(folder, { recursive: true });
  });

  it.each(['restart', 'resync', 'accept-log'])('%s needs the name of a source', async (command) => {
    const complaints: string[] = [];
    const context = { environment: {}, print: () => undefined, complain: (text: string) => complaints.push(text) };
    expect(await runCommand([command], context)).toBe(2);
    expect(complaints[0]).toContain(`'${command}' needs --source NAME`);
  });
});
