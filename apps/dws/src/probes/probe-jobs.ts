import { Injectable } from '@nestjs/common';
import { type DittoConfig, formatEndpoint, toRedisOptions } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { RecurringJobs } from '../jobs/recurring-jobs.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { type EndpointAddress, EndpointProber } from './endpoint-prober.ts';

/** A probe of each endpoint of each source, every `dws.probeIntervalMs`. */
@Injectable()
export class ProbeJobs extends LongWork {
  readonly #jobs: RecurringJobs<EndpointAddress, object>;

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    prober: EndpointProber,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
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

  protected override run(): Promise<void> {
    return this.#jobs.run();
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
