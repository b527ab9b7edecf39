import { type Server, type Socket } from 'node:net';
import { type Logger } from '#kernel';
import { LimitedLog } from './limited-log.ts';

/** Also where somebody speaks without TLS (`ERR_SSL_HTTP_REQUEST`), but not who only looks whether the port is open. */
export function logFailedHandshakes(server: Server, logger: Logger): void {
  const log = new LimitedLog({ logger });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, { remoteAddress = '' }: Socket) => {
    const reason = error.code ?? error.message;
    if (reason === 'ECONNRESET') return;
    log.warn('a TLS handshake failed', { reason, address: remoteAddress });
  });
}
