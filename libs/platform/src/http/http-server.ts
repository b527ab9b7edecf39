import { createServer as createPlainServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type TlsOptions } from 'node:tls';
import { type Logger } from '#kernel';
import { logFailedHandshakes } from '../logging/failed-handshakes.ts';

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
