import { type Server, type Socket } from 'node:net';
import { type Logger } from '#kernel';
import { isLoopback } from '#configuration';
import { LimitedLog } from './limited-log.ts';

/** As the health check of the image. */
const WITHOUT_CERTIFICATE = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';

/** Also where somebody speaks without TLS (`ERR_SSL_HTTP_REQUEST`), but not who only looks whether the port is open. */
export function logFailedHandshakes(server: Server, logger: Logger): void {
  const log = new LimitedLog({ logger });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, { remoteAddress = '' }: Socket) => {
    const reason = error.code ?? error.message;
    if (reason === 'ECONNRESET' || (reason === WITHOUT_CERTIFICATE && isLoopback(remoteAddress))) return;
    log.warn('a TLS handshake failed', { reason, address: remoteAddress });
  });
}
