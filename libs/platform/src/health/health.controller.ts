import {
  Controller,
  Get,
  HttpStatus,
  type OnApplicationBootstrap,
  Res,
  ServiceUnavailableException,
} from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import {
  type HealthCheckResult,
  HealthCheckService,
  type HealthIndicatorResult,
  HealthIndicatorService,
} from '@nestjs/terminus';
import { DittoError, toDittoError, withTimeout } from '#kernel';
import { Public } from '../auth/access.ts';
import { Shutdown } from '../service/shutdown.ts';
import { ReadinessIndicator } from './readiness-indicator.ts';
import { SharedCheck } from './shared-check.ts';

const CHECK_TIMEOUT_MS = 2000;
/** Probes need no token, so those who ask must not decide how often the servers are asked. */
const KEEP_MS = 1000;

@ApiTags('health')
@Public()
@Controller('health')
export class HealthController implements OnApplicationBootstrap {
  readonly #health: HealthCheckService;
  readonly #results: HealthIndicatorService;
  readonly #discovery: DiscoveryService;
  readonly #shutdown: Shutdown;
  readonly #checked = new SharedCheck(() => this.#check(), KEEP_MS);
  #indicators: readonly ReadinessIndicator[] = [];

  constructor(
    health: HealthCheckService,
    results: HealthIndicatorService,
    discovery: DiscoveryService,
    shutdown: Shutdown,
  ) {
    this.#health = health;
    this.#results = results;
    this.#discovery = discovery;
    this.#shutdown = shutdown;
  }

  onApplicationBootstrap(): void {
    const instances = this.#discovery.getProviders().map(({ instance }: { instance: unknown }) => instance);
    this.#indicators = [...new Set(instances.filter((instance) => instance instanceof ReadinessIndicator))];
  }

  /** The process answers; asks no other server, so that their failure never restarts this one. */
  @Get('live')
  @ApiOperation({ summary: 'Whether the process is alive' })
  live(): { readonly status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('ready')
  @ApiOperation({ summary: 'Whether the service can do its work; 503 when it can not or is shutting down' })
  async ready(@Res({ passthrough: true }) reply: { status(code: number): unknown }): Promise<HealthCheckResult> {
    const result = await this.#result();
    if (result.status !== 'ok') reply.status(HttpStatus.SERVICE_UNAVAILABLE);
    return result;
  }

  async #result(): Promise<HealthCheckResult> {
    const isStopping = () => this.#shutdown.signal.aborted;
    const stopping = { status: 'shutting_down', info: {}, error: {}, details: {} } as const;
    if (isStopping()) return stopping;
    const result = await this.#checked.run();
    return isStopping() ? stopping : result;
  }

  async #check(): Promise<HealthCheckResult> {
    try {
      return await this.#health.check(this.#indicators.map((indicator) => () => this.#ask(indicator)));
    } catch (error) {
      if (error instanceof ServiceUnavailableException) return error.getResponse() as HealthCheckResult;
      throw error;
    }
  }

  async #ask(indicator: ReadinessIndicator): Promise<HealthIndicatorResult> {
    const session = this.#results.check(indicator.name);
    const late = () =>
      new DittoError('DITTO_HEALTH_TIMEOUT', `no answer within ${CHECK_TIMEOUT_MS} ms`, {
        retriable: true,
        remedy: 'Look at the server that this indicator is about.',
      });
    try {
      return session.up(await withTimeout(indicator.check(), CHECK_TIMEOUT_MS, late));
    } catch (error) {
      const { code, message, remedy } = toDittoError(error);
      return session.down({ code, message, remedy });
    }
  }
}
