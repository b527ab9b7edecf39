import { type RedisConfig, type StateConfig, toTlsOptions } from '#platform';
import { type RedisOptions } from '#redis';
import { type StateDatabaseOptions } from '#state';

export function toRedisOptions({ url, keyPrefix, tls }: RedisConfig): RedisOptions {
  return { url: url.reveal(), keyPrefix, tls: toTlsOptions(tls) };
}

export function toStateOptions({
  host,
  port,
  user,
  password,
  database,
  connections,
  tls,
}: StateConfig): StateDatabaseOptions {
  return { host, port, user, password: password.reveal(), database, poolSize: connections, tls: toTlsOptions(tls) };
}
