import { type ConnectionOptions } from 'node:tls';

export interface RedisTarget {
  /** Without options. */
  readonly url: string;
  /** Of the URL or the section; left out: plain text. */
  readonly tls?: ConnectionOptions;
  /** Names of the options that the URL had. */
  readonly ignored: readonly string[];
}

/**
 * What is given to the driver, which lets any option in the URL prevail over what its caller sets: `?tls=` would switch
 * TLS off, and others the time limits that Ditto's promises rest on. Host, user, password and database number stay.
 */
export function toRedisTarget(url: string, tls: ConnectionOptions | undefined): RedisTarget {
  const parsed = new URL(url);
  const ignored = [...new Set(parsed.searchParams.keys())];
  // what `rediss:` is to the driver, and BullMQ passes it on
  const used = tls ?? (parsed.protocol === 'rediss:' ? {} : undefined);
  const bare = url.replace(/[?#].*$/s, '');
  return { url: bare, ...(used && { tls: used }), ignored };
}
