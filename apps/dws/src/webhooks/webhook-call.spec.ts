import { afterEach, describe, expect, it } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { callWebhook } from './webhook-call.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/ditto`;
}

const SECRET = 'a secret of sixteen';
const notice = { id: 'i-1', event: 'source.stopped', body: '{"n":"ü"}' };
const never = new AbortController().signal;

describe('callWebhook', () => {
  it('posts the notice, signed with the time', async () => {
    let got: { headers: IncomingHttpHeaders; body: string; method: string | undefined } | null = null;
    const url = await listen((request, response) => {
      void text(request).then((body) => {
        got = { headers: request.headers, body, method: request.method };
        response.writeHead(204).end();
      });
    });
    expect(await callWebhook({ url, secret: SECRET, timeoutMs: 5000 }, notice, 1_770_091_506_789, never)).toBeNull();
    const hash = createHmac('sha256', SECRET).update('1770091506.{"n":"ü"}').digest('hex');
    expect(got).toMatchObject({
      method: 'POST',
      body: '{"n":"ü"}',
      headers: {
        'content-type': 'application/json',
        'ditto-id': 'i-1',
        'ditto-event': 'source.stopped',
        'ditto-signature': `t=1770091506,v1=${hash}`,
      },
    });
  });

  it('says why the receiver has not taken it: another status, a redirect, silence, nobody there', async () => {
    const answers = (status: number, headers = {}) =>
      listen((_request, response) => response.writeHead(status, headers).end('text'));
    const call = (url: string, timeoutMs = 5000) => callWebhook({ url, secret: SECRET, timeoutMs }, notice, 0, never);
    expect(await call(await answers(503))).toBe('it answered 503');
    expect(await call(await answers(302, { location: 'http://127.0.0.1:1/' }))).toBe('it answered 302');
    expect(await call(await listen(() => undefined), 100)).toMatch(/timeout/);
    const gone = await answers(200);
    servers.pop()?.close();
    expect(await call(gone)).toMatch(/ECONNREFUSED/);
  });

  it.each(['http://user:a-password@127.0.0.1:1/ditto', 'http://a-password:wrong/'])(
    'does not say its address: %s',
    async (url) => {
      const reason = await callWebhook({ url, secret: SECRET, timeoutMs: 5000 }, notice, 0, never);
      expect(reason).not.toBeNull();
      expect(reason).not.toContain('a-password');
    },
  );
});
