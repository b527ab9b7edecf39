import { Injectable } from '@nestjs/common';
import { type DittoConfig, toRedisOptions } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { type EndedJob, RecurringJobs } from '../jobs/recurring-jobs.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { MirrorSweeper, type SweepOutcome } from './mirror-sweeper.ts';

interface SweepData {
  readonly source: string;
}

export type EndedSweep = EndedJob<SweepData, SweepOutcome>;

const KEPT_SWEEPS_PER_SOURCE = 24;

/** A sweep of each source with a mirror, every `dws.sweepIntervalMs`. */
@Injectable()
export class SweepJobs extends LongWork {
  readonly #jobs: RecurringJobs<SweepData, SweepOutcome>;

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    sweeper: MirrorSweeper,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    const mirrored = Object.values(config.sources).filter(({ sinks }) => sinks.includes('mongo'));
    this.#jobs = new RecurringJobs({
      name: 'sweeps',
      redis: toRedisOptions(config.redis),
      prefix: redis.keys.jobs(),
      everyMs: config.dws.sweepIntervalMs,
      concurrency: 1,
      schedules: new Map(mirrored.map(({ name }) => [name, { source: name }])),
      run: ({ source }, signal) => sweeper.sweep(source, signal),
      keptResults: KEPT_SWEEPS_PER_SOURCE * Math.max(1, mirrored.length),
      signal: shutdown.signal,
      metrics,
      logger: createLogger('sweeps'),
    });
  }

  /** The last ones of all workers, the newest first. */
  async listEnded(): Promise<readonly EndedSweep[]> {
    return this.#jobs.listEnded();
  }

  protected override run(): Promise<void> {
    return this.#jobs.run();
  }
}
