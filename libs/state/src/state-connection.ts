import { type ConnectionOptions } from 'mysql2';
import { type ClientTls, connectForTls, TlsErrors } from '#kernel';

/** How to reach the server of the state database. */
export interface StateServerOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  /** Left out: plain text. */
  readonly tls?: ClientTls | undefined;
  readonly connectTimeoutMs?: number;
}

export const tlsErrors = new TlsErrors({
  code: 'DITTO_STATE_TLS_FAILED',
  server: 'The state database',
  option: 'state.tls',
});

const CONNECT_TIMEOUT_MS = 5_000;
/** After so long without a byte a dead host is looked for. */
const KEEP_ALIVE_DELAY_MS = 5_000;

/**
 * For every connection to the state database. Throws `DITTO_STATE_TLS_FAILED` for texts that are not certificates or
 * keys.
 */
export function toDriverOptions(options: StateServerOptions): ConnectionOptions {
  const { host, port, user, password = '', tls, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  const server = { host, port, user, password, connectTimeout: connectTimeoutMs };
  if (tls === undefined) return server;
  const { servername, rejectUnauthorized = true, ...material } = tls;
  tlsErrors.assertUsable(material);
  return {
    ...server,
    // what the driver calls the host is, with TLS, the name for SNI; where to connect to is the stream's
    host: servername ?? host,
    stream: () => connectForTls({ host, port, servername, keepAliveDelayMs: KEEP_ALIVE_DELAY_MS }),
    ssl: { ...material, rejectUnauthorized, verifyIdentity: rejectUnauthorized },
  };
}
