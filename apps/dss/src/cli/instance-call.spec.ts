import { afterEach, describe, expect, it } from '@jest/globals';
import { type ServiceStatus } from '#dcs-client';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { runCommand } from './run-command.ts';
import { askAnyInstance } from './instance-call.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(status: number, body: string): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    response.writeHead(status).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** DWS instances, the last one reported last, and a DSS. */
function directory(...urls: readonly (string | null)[]) {
  const report = (service: ServiceStatus['service'], url: string | null, reportedAtMs: number): ServiceStatus => ({
    ...{ service, url, reportedAtMs, instance: `${service}-${reportedAtMs}`, startedAtMs: 0, details: {} },
  });
  const reports = urls.map((url, i) => report('dws', url, i));
  return { listServices: () => Promise.resolve([...reports, report('dss', 'http://127.0.0.1:1', 99)]) };
}

const request = {
  ...({ service: 'dws', method: 'GET' } as const),
  ...{ path: '/explain?source=shop', token: 'secret', url: null, tls: {} },
};
const GONE = 'http://127.0.0.1:1';

describe('askAnyInstance', () => {
  it('asks the DWS that reported last, and the next one where it does not answer', async () => {
    const { url, asked } = await listen(200, '{"a":1}');
    expect(await askAnyInstance(directory(GONE, url), request)).toEqual({ done: true, body: '{"a":1}' });
    expect(await askAnyInstance(directory(url, GONE, null), request)).toEqual({ done: true, body: '{"a":1}' });
    expect(asked).toEqual(Array(2).fill('GET /explain?source=shop Bearer secret'));
  });

  it('asks only the one that is given', async () => {
    const { url, asked } = await listen(200, '{}');
    expect((await askAnyInstance(directory(GONE), { ...request, url: `${url}/` })).done).toBe(true);
    expect(asked).toHaveLength(1);
    await expect(askAnyInstance(directory(url), { ...request, url: GONE })).rejects.toMatchObject({
      code: 'DITTO_WORKER_SILENT',
      message: expect.stringContaining(`${GONE} does not answer`),
    });
  });

  it('hands on why it was refused; another would refuse it too', async () => {
    const refusing = await listen(400, '{"code":"DITTO_REQUEST_INVALID","message":"no key","remedy":"Give one."}');
    const other = await listen(200, '{}');
    expect(await askAnyInstance(directory(other.url, refusing.url), request)).toEqual({
      done: false,
      text: 'DITTO_REQUEST_INVALID: no key\n→ Give one.',
    });
    expect(other.asked).toEqual([]);
  });

  it('asks a DSS for what a DSS does', async () => {
    const { url, asked } = await listen(200, '{}');
    const cancel = { ...request, service: 'dss', method: 'DELETE' } as const;
    await expect(askAnyInstance(directory(url), cancel)).rejects.toMatchObject({ code: 'DITTO_DSS_SILENT' });
    expect((await askAnyInstance(directory(), { ...cancel, url })).done).toBe(true);
    expect(asked).toEqual(['DELETE /explain?source=shop Bearer secret']);
    await expect(askAnyInstance(directory(), { ...cancel, url, tls: { ca: 'ca' } })).rejects.toMatchObject({
      code: 'DITTO_DSS_UNENCRYPTED',
    });
  });

  it('says that there is no DWS, and sends no token in plain text where TLS is asked for', async () => {
    await expect(askAnyInstance(directory(), request)).rejects.toMatchObject({ code: 'DITTO_WORKER_SILENT' });
    const { url, asked } = await listen(200, '{}');
    await expect(askAnyInstance(directory(url), { ...request, tls: { ca: 'ca' } })).rejects.toMatchObject({
      code: 'DITTO_WORKER_UNENCRYPTED',
    });
    expect(asked).toEqual([]);
  });
});

it.each([
  [['explain', '--source', 'shop', '--table', 'a.b'], 'needs --source NAME --table DATABASE.TABLE --key JSON'],
  [['explain', '--table', 'a.b', '--key', '{}'], 'needs --source NAME --table DATABASE.TABLE --key JSON'],
  [['move', '--source', 'shop'], 'needs --source NAME --to INSTANCE'],
  [['move', '--to', 'host-2'], 'needs --source NAME --to INSTANCE'],
  [['resync', '--source', 'shop', '--table', 'a.b'], "'resync' takes no --table"],
  [['resync', '--source', 'shop', '--cert-key', 'f'], "'resync' takes no --cert-key"],
  [['switch', '--source', 'shop', '--gtids', 'x:1'], "'switch' takes no --gtids"],
  [['accept-loss', '--source', 'shop', '--server', 'db:1'], "'accept-loss' needs --server HOST:PORT and --gtids SET"],
])('%s is refused', async (args, complaint) => {
  const complaints: string[] = [];
  const context = { environment: {}, print: () => undefined, complain: (text: string) => complaints.push(text) };
  expect(await runCommand(args, context)).toBe(2);
  expect(complaints[0]).toContain(complaint);
});
