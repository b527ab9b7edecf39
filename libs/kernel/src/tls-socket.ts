import { connect, type Socket } from 'node:net';

export interface TlsSocketOptions {
  readonly host: string;
  readonly port: number;
  /** The name or address that the certificate has to have, when it is not `host`. */
  readonly servername?: string | undefined;
  readonly keepAliveDelayMs?: number;
}

/**
 * A connection for a driver that speaks plain text first and then begins TLS on it, without saying whom it expects. Node
 * then compares the certificate with the name that the socket was connected by (`internal/tls/wrap.js`), which it notes
 * for names only: for an address it would expect, and accept, a certificate for `localhost`.
 */
export function connectForTls({ host, port, servername, keepAliveDelayMs }: TlsSocketOptions): Socket {
  const socket = connect({ host, port, noDelay: true });
  if (keepAliveDelayMs !== undefined) socket.once('connect', () => socket.setKeepAlive(true, keepAliveDelayMs));
  Object.defineProperty(socket, '_host', { value: servername ?? host });
  return socket;
}
