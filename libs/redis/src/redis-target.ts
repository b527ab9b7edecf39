import { type ConnectionOptions } from 'node:tls';
import { type ClientTls, expectTlsPeer } from '#kernel';
import { tlsErrors } from './redis-error.ts';

/** They say which database of which address, and weaken nothing. */
const KEPT: readonly string[] = ['db', 'family'];

const DEFAULT_PORT = 6379;

export interface RedisTarget {
  /** Without options, except `db` and `family`. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Of the URL or the section; left out: plain text. */
  readonly tls?: ConnectionOptions;
  /** Names of the options that the URL had. */
  readonly ignored: readonly string[];
}

/**
 * What is given to the driver, which lets any option in the URL prevail over what its caller sets: `?tls=` would switch
 * TLS off, and others the time limits that Ditto's promises rest on. Host, user, password, database number and address family stay.
 * Throws `DITTO_REDIS_TLS_FAILED` for texts that are not certificates or keys.
 */
export function toRedisTarget(url: string, tls: ClientTls | undefined): RedisTarget {
  const parsed = new URL(url);
  const names = [...new Set(parsed.searchParams.keys())];
  const ignored = names.filter((name) => !KEPT.includes(name));
  const kept = new URLSearchParams([...parsed.searchParams].filter(([name]) => KEPT.includes(name))).toString();
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  // what `rediss:` is to the driver, and BullMQ passes it on
  const used = tls ?? (parsed.protocol === 'rediss:' ? {} : undefined);
  return {
    url: url.replace(/[?#].*$/s, '') + (kept === '' ? '' : `?${kept}`),
    host,
    port: parsed.port === '' ? DEFAULT_PORT : Number(parsed.port),
    ...(used && { tls: encryptTo(host, used) }),
    ignored,
  };
}

function encryptTo(host: string, { servername, rejectUnauthorized = true, ...material }: ClientTls): ConnectionOptions {
  tlsErrors.assertUsable(material);
  return { ...material, rejectUnauthorized, ...expectTlsPeer(host, servername) };
}
