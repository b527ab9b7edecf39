import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { DittoError } from '#kernel';
import { type DittoConfig, isLoopback } from '#configuration';
import { createHttpAdapter } from '../http/http-adapter.ts';
import { NestLogger } from '../logging/nest-logger.ts';
import { connectRpc, type RpcListener } from '../rpc/rpc-listener.ts';
import { readPackageVersion } from './package-version.ts';
import { PlatformModule, type ServiceName } from './platform.module.ts';

export interface ServiceOptions {
  readonly name: ServiceName;
  /** One sentence, shown on the page of the REST API. */
  readonly description: string;
  /** The composition root of the service. */
  readonly createModule: (config: DittoConfig) => Type | DynamicModule;
  /** Where to serve `@MessagePattern` handlers by Nest's TCP transport; none by default. */
  readonly rpc?: RpcListener;
}

@Module({})
class ServiceModule {}

/** The application's module within the platform's, for `NestFactory` and `Test.createTestingModule({ imports: […] })`. */
export function createServiceModule(options: ServiceOptions, config: DittoConfig): DynamicModule {
  return {
    module: ServiceModule,
    imports: [PlatformModule.register(options.name, config), options.createModule(config)],
  };
}

/** Everything but listening. Refuses to be reachable by others without a token. */
export async function createService(options: ServiceOptions, config: DittoConfig): Promise<NestFastifyApplication> {
  assertGuarded(config, [config[options.name].http.host, ...(options.rpc ? [options.rpc.host] : [])]);
  const app = await NestFactory.create<NestFastifyApplication>(
    createServiceModule(options, config),
    createHttpAdapter(config, options.name),
    {
      abortOnError: false,
      bufferLogs: true,
    },
  );
  configureService(app, options, config);
  return app;
}

/** Logger, RPC listener and API pages, for an application from `createServiceModule`. */
export function configureService(app: NestFastifyApplication, options: ServiceOptions, config: DittoConfig): void {
  app.useLogger(app.get(NestLogger));
  if (options.rpc) connectRpc(app, options.rpc);
  const builder = new DocumentBuilder()
    .setTitle(`Ditto ${options.name.toUpperCase()}`)
    .setDescription(options.description)
    .setVersion(readPackageVersion())
    .addBearerAuth();
  if (config.auth.tokens.length > 0) builder.addSecurityRequirements('bearer');
  const document = () => SwaggerModule.createDocument(app, builder.build());
  SwaggerModule.setup('docs', app, document, { jsonDocumentUrl: 'docs-json' });
}

function assertGuarded(config: DittoConfig, hosts: readonly string[]): void {
  const open = config.auth.tokens.length > 0 ? undefined : hosts.find((host) => !isLoopback(host));
  if (open === undefined) return;
  throw new DittoError('DITTO_AUTH_UNGUARDED', `Others could reach ${open}, but no token is configured`, {
    remedy: 'Add auth.tokens to the configuration, or listen on 127.0.0.1.',
    context: { host: open },
  });
}
