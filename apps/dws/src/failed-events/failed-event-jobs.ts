import { Injectable } from '@nestjs/common';
import { type DittoConfig, toRedisOptions } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { StateDatabase } from '#state';
import { RecurringJobs } from '../jobs/recurring-jobs.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { FailedEventRetries, type RetryTurn } from './failed-event-retries.ts';

/** Retries of the failed events of each source, every `dws.retryIntervalMs`. */
@Injectable()
export class FailedEventJobs extends LongWork {
  readonly #state: StateDatabase;
  readonly #jobs: RecurringJobs<{ readonly source: string }, RetryTurn>;

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    retries: FailedEventRetries,
    state: StateDatabase,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#state = state;
    const names = Object.keys(config.sources);
    this.#jobs = new RecurringJobs({
      name: 'failed-events',
      redis: toRedisOptions(config.redis),
      prefix: redis.keys.jobs(),
      everyMs: config.dws.retryIntervalMs,
      concurrency: 1,
      schedules: new Map(names.map((source) => [source, { source }])),
      run: ({ source }, signal) => retries.turn(source, signal),
      keptResults: 0,
      signal: shutdown.signal,
      metrics,
      logger: createLogger('failed-events'),
    });
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    await this.#state.whenOpened(signal);
    await this.#jobs.run();
  }
}
