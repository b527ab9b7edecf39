import { type ClientTls, DittoError } from '#kernel';
import { type DittoConfig, type RedisConfig, type SourceEndpointConfig, type StateConfig } from './schema.ts';
import { toTlsOptions } from './tls-options.ts';

/**
 * Sections of the configuration in the shapes that the adapters take; plain data, so that this lib knows no adapter. The
 * results hold secrets as text: hand them to an adapter only. Secrets and certificates from files are read again: make
 * new options for connections that are opened later.
 */

export function toMySqlOptions({ host, port, user, password, tls }: SourceEndpointConfig) {
  return { host, port, user, password: password.revealNewest(), tls: toTlsOptions(tls) ?? (false as const) };
}

export function toRedisOptions({ url, keyPrefix, tls }: RedisConfig) {
  return { url: url.revealNewest(), keyPrefix, tls: toTlsOptions(tls) };
}

export function toStateOptions({ host, port, user, password, database, connections, tls }: StateConfig) {
  return {
    host,
    port,
    user,
    password: password.revealNewest(),
    database,
    poolSize: connections,
    tls: toTlsOptions(tls),
  };
}

/** How DSS and DWS reach DCS, all but the token. */
export function toDcsOptions({ endpoints, timeoutMs, tls }: DittoConfig['dcs']): {
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  readonly timeoutMs: number;
  readonly tls: ClientTls | undefined;
} {
  return { endpoints, timeoutMs, tls: toTlsOptions(tls) };
}

/** A section that a source's sinks need; the schema has made sure that it is there. */
export function requireSection<T>(section: T | null | undefined, name: string): T {
  if (section === null || section === undefined)
    throw new DittoError('DITTO_CONFIG_INVALID', `The configuration has no section ${name}.`, {
      remedy: 'docs/configuration.md explains each section.',
    });
  return section;
}
