import { createServer as createPlainServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type Socket } from 'node:net';
import { type TlsOptions } from 'node:tls';
import { type Logger } from '#kernel';
import { isLoopback } from '../config/index.ts';
import { LimitedLog } from '../logging/limited-log.ts';

/** What requests may cost before anybody knows who sends them. */
export interface HttpLimits {
  readonly connections: number;
  readonly bodyBytes: number;
  /** From the connection, or the first byte of a later request, to the end of the request; with TLS, its handshake may take as long before. */
  readonly requestMs: number;
  /** Without a byte in either direction. */
  readonly silenceMs: number;
  readonly keepAliveMs: number;
  /** For answers that are under way at the shutdown. */
  readonly shutdownGraceMs: number;
}

/** As the health check of the image. */
const withoutCertificate = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';

export interface HttpServerOptions {
  readonly limits: HttpLimits;
  /** Undefined: plain HTTP. */
  readonly tls: TlsOptions | undefined;
  readonly logger: Logger;
}

/** With TLS or without: the same limits. */
export function createHttpServer(handler: RequestListener, { limits, tls, logger }: HttpServerOptions): Server {
  const { requestMs, keepAliveMs, silenceMs } = limits;
  const options = {
    requestTimeout: requestMs,
    headersTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: Math.min(requestMs, 1000),
  };
  const server = tls
    ? createTlsServer({ ...options, ...tls, handshakeTimeout: requestMs }, handler)
    : createPlainServer(options, handler);
  server.setTimeout(silenceMs);
  if (tls) logFailedHandshakes(server, logger);
  return server;
}

/** Also where somebody sends plain HTTP (`ERR_SSL_HTTP_REQUEST`), but not who only looks whether the port is open. */
function logFailedHandshakes(server: Server, logger: Logger): void {
  const log = new LimitedLog({ logger });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, { remoteAddress = '' }: Socket) => {
    const reason = error.code ?? error.message;
    if (reason === 'ECONNRESET' || (reason === withoutCertificate && isLoopback(remoteAddress))) return;
    log.warn('a TLS handshake failed', { reason, address: remoteAddress });
  });
}
