import { request as requestPlain } from 'node:http';
import { request as requestTls, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import { type TlsMaterial } from '#kernel';

export interface OwnerAnswer {
  readonly status: number;
  readonly body: string;
}

const TIMEOUT_MS = 30_000;

/** Node's `fetch` can't be given an authority or a client certificate. */
export async function postToOwner(url: string, token: string | null, tls: TlsMaterial): Promise<OwnerAnswer> {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const options: RequestOptions = { method: 'POST', headers, signal: AbortSignal.timeout(TIMEOUT_MS), ...tls };
  const ask = url.startsWith('https:') ? requestTls : requestPlain;
  return new Promise((resolve, reject) => {
    const request = ask(url, options, (answer) => {
      text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
    });
    request.on('error', reject).end();
  });
}
