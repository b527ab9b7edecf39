import { type RequestListener } from 'node:http';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { type Logger } from '#kernel';
import { findActor } from '../auth/actor.ts';
import { type DittoConfig, toServerTlsOptions } from '#configuration';
import { createLogger } from '../logging/root-logger.ts';
import { type ServiceName } from '../service/platform.module.ts';
import { createForeignError, findForeign } from './foreign-request.ts';
import { HttpConnections } from './http-connections.ts';
import { createHttpServer, type HttpLimits } from './http-server.ts';
import { RequestLog } from './request-log.ts';

const DEFAULT_LIMITS: HttpLimits = {
  connections: 512,
  bodyBytes: 65_536,
  requestMs: 10_000,
  silenceMs: 60_000,
  keepAliveMs: 20_000,
  shutdownGraceMs: 500,
};

/** The HTTP server of a service: its limits, its log, and who may ask. Knows nothing of routes. */
export function createHttpAdapter(
  config: DittoConfig,
  service: ServiceName,
  limits: HttpLimits = DEFAULT_LIMITS,
): FastifyAdapter {
  const logger = createLogger('requests');
  const connections = new HttpConnections({ most: limits.connections, graceMs: limits.shutdownGraceMs });
  const tls = toServerTlsOptions(config[service].http.tls);
  const adapter = new FastifyAdapter({
    bodyLimit: limits.bodyBytes,
    // given one, Fastify opens no other server: for `localhost` it would open a second one that knows no limits
    serverFactory: (handler: RequestListener) => {
      const server = createHttpServer(handler, { limits, tls, logger });
      connections.watch(server);
      return server;
    },
  });
  logRequests(adapter, logger);
  if (config.auth.tokens.length === 0) refuseForeign(adapter, config.auth.hosts);
  trackRequests(adapter, connections);
  return adapter;
}

function logRequests(adapter: FastifyAdapter, logger: Logger): void {
  const log = new RequestLog(logger);
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

function trackRequests(adapter: FastifyAdapter, connections: HttpConnections): void {
  const fastify = adapter.getInstance();
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
