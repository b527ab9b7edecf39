import { request as requestPlain } from 'node:http';
import { request as requestTls, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import { type TlsMaterial } from '#kernel';

export interface ServiceAnswer {
  readonly status: number;
  readonly body: string;
}

const TIMEOUT_MS = 30_000;

export interface ServiceCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  /** Sent as JSON. */
  readonly body?: object;
  readonly token: string | null;
  readonly tls: TlsMaterial;
}

/** Node's `fetch` can't be given an authority or a client certificate. */
export async function callService({ method, url, body, token, tls }: ServiceCall): Promise<ServiceAnswer> {
  const headers = {
    ...(token !== null && { authorization: `Bearer ${token}` }),
    ...(body && { 'content-type': 'application/json' }),
  };
  const options: RequestOptions = { method, headers, signal: AbortSignal.timeout(TIMEOUT_MS), ...tls };
  const ask = url.startsWith('https:') ? requestTls : requestPlain;
  return new Promise((resolve, reject) => {
    const request = ask(url, options, (answer) => {
      text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
    });
    request.on('error', reject).end(body && JSON.stringify(body));
  });
}
