import { DittoError } from '#kernel';
import { type KafkaConnectionOptions } from '#kafka';
import { type MongoConnectionOptions } from '#mongo';
import { type MySqlConnectionOptions } from '#mysql';
import { toTlsOptions, type KafkaConfig, type MongoConfig, type SourceEndpointConfig, type StateConfig } from '#platform';
import { type StateDatabaseOptions } from '#state';

export function toStateOptions({ host, port, user, password, database, connections, tls }: StateConfig): StateDatabaseOptions {
  return { host, port, user, password: password.reveal(), database, poolSize: connections, tls: toTlsOptions(tls) };
}

export function toMySqlOptions({ host, port, user, password, tls }: SourceEndpointConfig): MySqlConnectionOptions {
  return {
    host,
    port,
    user,
    password: password.reveal(),
    tls:
      tls === undefined
        ? false
        : {
            rejectUnauthorized: tls.rejectUnauthorized,
            ...(tls.ca !== undefined && { ca: tls.ca }),
            ...(tls.cert !== undefined && { cert: tls.cert }),
            ...(tls.key !== undefined && { key: tls.key.reveal() }),
          },
  };
}

export function toKafkaOptions({ brokers, clientId, tls, sasl, compression, requestTimeoutMs }: KafkaConfig): Omit<KafkaConnectionOptions, 'logger'> {
  return {
    brokers,
    clientId,
    tls: toTlsOptions(tls) ?? null,
    sasl: sasl === undefined ? null : { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password.reveal() },
    compression,
    requestTimeoutMs,
  };
}

export function toMongoOptions({ url, tls }: MongoConfig): Omit<MongoConnectionOptions, 'logger'> {
  return { url: url.reveal(), tls: toTlsOptions(tls) };
}

/** A section that a source's sinks need; the schema has made sure that it is there. */
export function required<T>(section: T | null, name: string): T {
  if (section === null) throw new DittoError('DITTO_CONFIG_INVALID', `The configuration has no section ${name}.`);
  return section;
}
