import { Injectable } from '@nestjs/common';
import { type DittoConfig, toRedisOptions } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { StateDatabase } from '#state';
import { RecurringJobs } from '../jobs/recurring-jobs.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { HistorySweeper, type RemovedHistory } from './history-sweeper.ts';

/** A sweep of the state database, every `dws.sweepIntervalMs`, by one worker at a time. */
@Injectable()
export class HistoryJobs extends LongWork {
  readonly #state: StateDatabase;
  readonly #jobs: RecurringJobs<object, RemovedHistory>;

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    sweeper: HistorySweeper,
    state: StateDatabase,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#state = state;
    this.#jobs = new RecurringJobs({
      name: 'history',
      redis: toRedisOptions(config.redis),
      prefix: redis.keys.jobs(),
      everyMs: config.dws.sweepIntervalMs,
      concurrency: 1,
      schedules: new Map([['state', {}]]),
      run: (_data, signal) => sweeper.sweep(signal),
      keptResults: 0,
      signal: shutdown.signal,
      metrics,
      logger: createLogger('sweeps'),
    });
  }

  /** A job that fails at the start would be tried again after an interval only. */
  protected override async run(signal: AbortSignal): Promise<void> {
    await this.#state.whenOpened(signal);
    await this.#jobs.run();
  }
}
