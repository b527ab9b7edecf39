import { FastifyAdapter } from '@nestjs/platform-fastify';
import { findActor } from '../auth/actor.ts';
import { type DittoConfig } from '../config/index.ts';
import { createLogger } from '../logging/root-logger.ts';
import { createForeignError, findForeign } from './foreign-request.ts';
import { HttpConnections } from './http-connections.ts';
import { RequestLog } from './request-log.ts';

/** What requests may cost before anybody knows who sends them. */
export interface HttpLimits {
  readonly connections: number;
  readonly bodyBytes: number;
  /** From the connection, or the first byte of a later request, to the end of the request. */
  readonly requestMs: number;
  /** Without a byte in either direction. */
  readonly silenceMs: number;
  readonly keepAliveMs: number;
  /** For answers that are under way at the shutdown. */
  readonly shutdownGraceMs: number;
}

const defaultLimits: HttpLimits = {
  connections: 512,
  bodyBytes: 65_536,
  requestMs: 10_000,
  silenceMs: 60_000,
  keepAliveMs: 20_000,
  shutdownGraceMs: 500,
};

/** The HTTP server of a service: its limits, its log, and who may ask. Knows nothing of routes. */
export function createHttpAdapter(config: DittoConfig, limits: HttpLimits = defaultLimits): FastifyAdapter {
  const { requestMs, keepAliveMs, silenceMs, bodyBytes } = limits;
  const adapter = new FastifyAdapter({
    bodyLimit: bodyBytes,
    requestTimeout: requestMs,
    connectionTimeout: silenceMs,
    keepAliveTimeout: keepAliveMs,
    http: { headersTimeout: requestMs, connectionsCheckingInterval: Math.min(requestMs, 1000) },
  });
  logRequests(adapter);
  if (config.auth.tokens.length === 0) refuseForeign(adapter, config.auth.hosts);
  trackConnections(adapter, limits);
  return adapter;
}

function logRequests(adapter: FastifyAdapter): void {
  const log = new RequestLog(createLogger('requests'));
  adapter.getInstance().addHook('onResponse', (request, reply, done) => {
    log.note({
      method: request.method,
      route: request.is404 ? null : (request.routeOptions.url ?? null),
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      actor: findActor(request)?.name ?? null,
      address: request.raw.socket.remoteAddress,
    });
    done();
  });
}

/** Without tokens a request has nothing that a foreign page could not send. */
function refuseForeign(adapter: FastifyAdapter, names: readonly string[]): void {
  adapter.getInstance().addHook('onRequest', (request, _reply, done) => {
    const reason = findForeign(request, names);
    if (reason === null) done();
    else done(createForeignError(reason));
  });
}

function trackConnections(adapter: FastifyAdapter, { connections: most, shutdownGraceMs: graceMs }: HttpLimits): void {
  const connections = new HttpConnections({ most, graceMs });
  const fastify = adapter.getInstance();
  connections.watch(fastify.server);
  fastify.addHook('preHandler', (request, _reply, done) => {
    connections.begin(request.raw.socket);
    done();
  });
  fastify.addHook('onResponse', (request, _reply, done) => {
    connections.end(request.raw.socket);
    done();
  });
  fastify.addHook('preClose', (done) => {
    connections.close();
    done();
  });
}
