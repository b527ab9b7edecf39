import { type ConnectionOptions } from 'mysql2';
import { type ClientTls, connectForTls } from '#kernel';
import { tlsErrors } from './errors/driver-errors.ts';

/** TLS to a server. `false`: none. */
export type TlsOptions = false | ClientTls;

/** How to reach one MySQL server. */
export interface MySqlConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly tls?: TlsOptions;
  readonly connectTimeoutMs?: number;
  /**
   * When no byte of an answer comes for so long, the server is asked on another connection whether it still works on the
   * query; if it does not, or can't be asked, the connection is dropped.
   */
  readonly silenceMs?: number;
}

/** After so long without a byte a dead host is looked for, every second, ten times. */
const KEEP_ALIVE_DELAY_MS = 5_000;
export const DEFAULT_QUERY_SILENCE_MS = 10_000;
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

/** What the driver calls the host is, with TLS, the name for SNI; where to connect to is the stream's. */
function encryptedBy(tls: Exclude<TlsOptions, false>, { host, port }: MySqlConnectionOptions): ConnectionOptions {
  tlsErrors.assertUsable(tls);
  const { servername, rejectUnauthorized = true, ...material } = tls;
  return {
    host: servername ?? host,
    stream: () => connectForTls({ host, port, servername, keepAliveDelayMs: KEEP_ALIVE_DELAY_MS }),
    ssl: { ...material, rejectUnauthorized, verifyIdentity: rejectUnauthorized },
  };
}

/**
 * mysql2's options: exact values as text, no dates, numbers in one form. Throws `DITTO_SOURCE_TLS_FAILED` for texts that
 * are not certificates or keys.
 */
export function driverOptions(options: MySqlConnectionOptions): ConnectionOptions {
  return {
    host: options.host,
    port: options.port,
    user: options.user,
    password: options.password,
    charset: 'utf8mb4',
    connectTimeout: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    dateStrings: true,
    jsonStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: false,
    decimalNumbers: false,
    timezone: 'Z',
    // a stack trace that is taken for each query, in case it fails, costs more than a small query itself
    trace: false,
    enableKeepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    ...(options.tls ? encryptedBy(options.tls, options) : {}),
  };
}

/** `mysql://user:password@host:port` to options; for tools and tests. */
export function connectionOptionsFromUrl(url: string): MySqlConnectionOptions {
  const parsed = new URL(url);
  return {
    host: parsed.hostname,
    port: parsed.port === '' ? 3306 : Number(parsed.port),
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
  };
}
