import { isLoopback } from '#configuration';
import { RequestError } from './request-error.ts';

export interface RequestOrigin {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * Why a request may come from a web page of somebody else, which a browser on this machine has open; null when it does
 * not. Such a page can send requests to loopback, and by a name of its own that resolves to loopback (DNS rebinding) also
 * read the answers. A browser names the page in `Origin` and `Sec-Fetch-Site`, and the name that it asked for in `Host`.
 *
 * @param names by which the service may be asked for, in addition to those of loopback
 */
export function findForeign({ method, headers }: RequestOrigin, names: readonly string[]): string | null {
  const { host, origin } = headers;
  const site = headers['sec-fetch-site'];
  // browsers always name it; probes that speak HTTP/1.0 do not
  if (host !== undefined && (typeof host !== 'string' || !isOwnName(host, names)))
    return 'the header Host names another host';
  if (origin !== undefined && (host === undefined || (origin !== `http://${host}` && origin !== `https://${host}`)))
    return 'the header Origin names another origin';
  // a link to the service in another page is fine: what it shows, that page can't read
  const isVisit = headers['sec-fetch-mode'] === 'navigate' && ['GET', 'HEAD'].includes(method);
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isVisit)
    return 'the header Sec-Fetch-Site says that a page of another origin sends it';
  return null;
}

export function createForeignError(reason: string): RequestError {
  return new RequestError(403, 'DITTO_REQUEST_FOREIGN', `The request may come from a foreign web page: ${reason}`, {
    remedy:
      'Ask for the service by localhost or 127.0.0.1. To reach it by another name without a token, add that name to auth.hosts; with auth.tokens any name will do.',
  });
}

function isOwnName(host: string, names: readonly string[]): boolean {
  const name = hostNameOf(host);
  return isLoopback(name) || name.endsWith('.localhost') || names.includes(name);
}

/** Without the port, and without the brackets of an IPv6 address. */
function hostNameOf(host: string): string {
  const end = host.startsWith('[') ? host.indexOf(']') : host.indexOf(':');
  return host.slice(host.startsWith('[') ? 1 : 0, end < 0 ? host.length : end).toLowerCase();
}
