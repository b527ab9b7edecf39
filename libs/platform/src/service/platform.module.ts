import { type DynamicModule, Global, Inject, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, DiscoveryModule } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { AuthGuard, ListenAddress } from '../auth/auth.guard.ts';
import { TokenRegistry } from '../auth/token-registry.ts';
import { type DittoConfig } from '#configuration';
import { HealthController } from '../health/health.controller.ts';
import { ProblemFilter } from '../http/problem.filter.ts';
import { LoggingModule } from '../logging/logging.module.ts';
import { MetricsController } from '../metrics/metrics.controller.ts';
import { createMetrics, Metrics } from '../metrics/metrics.ts';
import { Shutdown } from './shutdown.ts';

export type ServiceName = 'dss' | 'dcs' | 'dws';

/** Injection token of the `DittoConfig`. */
export const CONFIG = Symbol('DittoConfig');

/** `@InjectConfig() config: DittoConfig` */
export const InjectConfig = () => Inject(CONFIG);

/** What every service has; its providers (`CONFIG`, `Metrics`, `Shutdown`, `TokenRegistry`) can be injected everywhere. */
@Global()
@Module({})
export class PlatformModule {
  static register(service: ServiceName, config: DittoConfig): DynamicModule {
    return {
      module: PlatformModule,
      imports: [LoggingModule.register(), TerminusModule.forRoot({ logger: false }), DiscoveryModule],
      controllers: [HealthController, MetricsController],
      providers: [
        { provide: CONFIG, useValue: config },
        { provide: ListenAddress, useValue: { host: config[service].http.host } satisfies ListenAddress },
        { provide: TokenRegistry, useValue: new TokenRegistry(config.auth) },
        { provide: Metrics, useFactory: () => createMetrics(service) },
        { provide: APP_GUARD, useClass: AuthGuard },
        { provide: APP_FILTER, useClass: ProblemFilter },
        Shutdown,
      ],
      exports: [CONFIG, Metrics, Shutdown, TokenRegistry],
    };
  }
}
