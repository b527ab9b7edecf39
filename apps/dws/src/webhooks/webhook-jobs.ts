import { Injectable } from '@nestjs/common';
import { type DittoConfig, toRedisOptions } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { StateDatabase } from '#state';
import { RecurringJobs } from '../jobs/recurring-jobs.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { WebhookDeliveries } from './webhook-deliveries.ts';

const EVERY_MS = 2000;

/** Delivers notices; each is claimed by one worker before it is sent. Nothing is looked for while no webhook is configured. */
@Injectable()
export class WebhookJobs extends LongWork {
  readonly #state: StateDatabase;
  readonly #jobs: RecurringJobs<object, { readonly delivered: number }> | null;

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    deliveries: WebhookDeliveries,
    state: StateDatabase,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#state = state;
    this.#jobs =
      config.webhooks.length === 0
        ? null
        : new RecurringJobs({
            name: 'webhooks',
            redis: toRedisOptions(config.redis),
            prefix: redis.keys.jobs(),
            everyMs: EVERY_MS,
            concurrency: 1,
            schedules: new Map([['deliveries', {}]]),
            run: (_data, signal) => deliveries.deliver(signal),
            keptResults: 0,
            signal: shutdown.signal,
            metrics,
            logger: createLogger('webhooks'),
          });
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    if (this.#jobs === null) return;
    await this.#state.whenOpened(signal);
    await this.#jobs.run();
  }
}
