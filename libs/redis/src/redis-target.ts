import { type ConnectionOptions } from 'node:tls';

/** They say which database of which address, and weaken nothing. */
const KEPT: readonly string[] = ['db', 'family'];

export interface RedisTarget {
  /** Without options, except `db` and `family`. */
  readonly url: string;
  /** Of the URL or the section; left out: plain text. */
  readonly tls?: ConnectionOptions;
  /** Names of the options that the URL had. */
  readonly ignored: readonly string[];
}

/**
 * What is given to the driver, which lets any option in the URL prevail over what its caller sets: `?tls=` would switch
 * TLS off, and others the time limits that Ditto's promises rest on. Host, user, password, database number and address family stay.
 */
export function toRedisTarget(url: string, tls: ConnectionOptions | undefined): RedisTarget {
  const parsed = new URL(url);
  const names = [...new Set(parsed.searchParams.keys())];
  const ignored = names.filter((name) => !KEPT.includes(name));
  // what `rediss:` is to the driver, and BullMQ passes it on
  const used = tls ?? (parsed.protocol === 'rediss:' ? {} : undefined);
  const kept = new URLSearchParams([...parsed.searchParams].filter(([name]) => KEPT.includes(name))).toString();
  const bare = url.replace(/[?#].*$/s, '') + (kept === '' ? '' : `?${kept}`);
  return { url: bare, ...(used && { tls: used }), ignored };
}
