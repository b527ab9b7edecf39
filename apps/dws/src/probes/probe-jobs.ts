import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { type DittoConfig, toRedisOptions } from '#configuration';
import { createLogger, InjectConfig, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { RecurringJobs } from '../jobs/recurring-jobs.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { type EndpointAddress, EndpointProber, formatEndpoint } from './endpoint-prober.ts';

/** A probe of each endpoint of each source, every `dws.probeIntervalMs`. */
@Injectable()
export class ProbeJobs implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #jobs: RecurringJobs<EndpointAddress, object>;
  readonly #shutdown: Shutdown;

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    prober: EndpointProber,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    this.#shutdown = shutdown;
    this.#jobs = new RecurringJobs({
      name: 'probes',
      redis: toRedisOptions(config.redis),
      prefix: redis.keys.jobs(),
      everyMs: config.dws.probeIntervalMs,
      concurrency: config.dws.concurrency,
      schedules: listEndpoints(config),
      run: async (address) => ({ reachable: (await prober.probe(address)).reachable }),
      keptResults: 0,
      signal: shutdown.signal,
      metrics,
      logger: createLogger('probes'),
    });
  }

  onApplicationBootstrap(): void {
    this.#jobs.start();
  }

  async onModuleDestroy(): Promise<void> {
    if (!this.#shutdown.signal.aborted) this.#shutdown.begin('the application closes');
    await this.#jobs.stop();
  }
}

function listEndpoints({ sources }: DittoConfig): ReadonlyMap<string, EndpointAddress> {
  return new Map(
    Object.values(sources).flatMap(({ name, endpoints }) =>
      endpoints.map((address) => {
        const endpoint = formatEndpoint(address);
        return [`${name}/${encodeURIComponent(endpoint)}`, { source: name, endpoint }] as const;
      }),
    ),
  );
}
