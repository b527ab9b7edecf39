import { type Server } from 'node:net';
import { type MicroserviceOptions, Transport } from '@nestjs/microservices';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { TokenRegistry } from '../auth/token-registry.ts';
import { type DittoConfig, toServerTlsOptions } from '#configuration';
import { logFailedHandshakes } from '../logging/failed-handshakes.ts';
import { createLogger } from '../logging/root-logger.ts';
import { Metrics } from '../metrics/metrics.ts';
import { RpcConnections } from './rpc-connections.ts';

export type RpcListener = DittoConfig['dcs']['rpc'] & { readonly patienceMs?: number };

/** Serves `@MessagePattern` handlers by Nest's TCP transport, within limits that hold before anybody is known. */
export function connectRpc(app: NestFastifyApplication, listener: RpcListener): void {
  const { host, port, tls, maxMessageBytes, maxConnections, patienceMs = 10_000 } = listener;
  const refused = app
    .get(Metrics)
    .counter('rpc_refused_total', 'Connections to the RPC server that were closed, by the reason', ['reason']);
  const tokens = app.get(TokenRegistry);
  const logger = createLogger('rpc');
  const connections = new RpcConnections({
    limits: { maxMessageBytes, maxConnections, patienceMs, maxUnreadBytes: 4 * maxMessageBytes },
    logger,
    isKnown: (token) => tokens.isEmpty || tokens.find(token) !== null,
    onRefusal: (reason) => refused.inc({ reason }),
  });
  const tlsOptions = toServerTlsOptions(tls);
  const microservice = app.connectMicroservice<MicroserviceOptions>(
    {
      transport: Transport.TCP,
      options: {
        host,
        port,
        socketClass: connections.socketClass(),
        ...(tlsOptions && { tlsOptions }),
      },
    },
    { inheritAppConfig: true },
  );
  const server = microservice.unwrap<Server>();
  connections.watch(server);
  if (tlsOptions) logFailedHandshakes(server, logger);
}
