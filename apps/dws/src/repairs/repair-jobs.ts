import { Injectable } from '@nestjs/common';
import { type DittoConfig, toRedisOptions } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { StateDatabase } from '#state';
import { RecurringJobs } from '../jobs/recurring-jobs.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { type RepairOutcomes, SourceRepairs } from './source-repairs.ts';

/** A turn of the repairs of each source, every `dws.repairIntervalMs`. */
@Injectable()
export class RepairJobs extends LongWork {
  readonly #state: StateDatabase;
  readonly #jobs: RecurringJobs<{ readonly source: string }, RepairOutcomes>;

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    repairs: SourceRepairs,
    state: StateDatabase,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#state = state;
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

  /** A job that fails at the start would be tried again after an interval only. */
  protected override async run(signal: AbortSignal): Promise<void> {
    await this.#state.whenOpened(signal);
    await this.#jobs.run();
  }
}
