import { Injectable } from '@nestjs/common';
import { type DittoConfig, toRedisOptions } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { RecurringJobs } from '../jobs/recurring-jobs.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { type RepairOutcomes, SourceRepairs } from './source-repairs.ts';

/** A turn of the repairs of each source, every `dws.repairIntervalMs`. */
@Injectable()
export class RepairJobs extends LongWork {
  readonly #jobs: RecurringJobs<{ readonly source: string }, RepairOutcomes>;

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    repairs: SourceRepairs,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    const names = Object.keys(config.sources);
    this.#jobs = new RecurringJobs({
      name: 'repairs',
      redis: toRedisOptions(config.redis),
      prefix: redis.keys.jobs(),
      everyMs: config.dws.repairIntervalMs,
      // a source that does not answer keeps no other waiting
      concurrency: Math.max(1, names.length),
      schedules: new Map(names.map((source) => [source, { source }])),
      run: ({ source }, signal) => repairs.turn(source, signal),
      keptResults: 0,
      signal: shutdown.signal,
      metrics,
      logger: createLogger('repairs'),
    });
  }

  protected override run(): Promise<void> {
    return this.#jobs.run();
  }
}
