import { Injectable } from '@nestjs/common';
import { type DittoConfig, toRedisOptions } from '#configuration';
import { isAbort, sleep, toDittoError } from '#kernel';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { type DueWork, StateDatabase, StateDueWork } from '#state';
import { FailedEventRetries } from '../failed-events/failed-event-retries.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { SourceRepairs } from '../repairs/source-repairs.ts';
import { VerificationJobs } from '../verification/verification-jobs.ts';
import { WebhookDeliveries } from '../webhooks/webhook-deliveries.ts';
import { RecurringJobs } from './recurring-jobs.ts';

/** A connection to the state database that rests for longer is made again, which costs more than a look. */
const LOOK_MS = 1_000;
const WEBHOOKS_MS = 2_000;

interface DueJob {
  readonly kind: 'repairs' | 'failed-events' | 'webhooks';
  /** Empty for webhooks. */
  readonly source: string;
}

/**
 * Work that the state database knows: repairs, retries of failed events, notices for webhooks, chunks of verifications.
 * Every worker looks once a second, by one statement for all of it, and gives to the queue what is due; any worker does it.
 */
@Injectable()
export class DueJobs extends LongWork {
  readonly #config: DittoConfig;
  readonly #state: StateDatabase;
  readonly #work: StateDueWork;
  readonly #verification: VerificationJobs;
  readonly #jobs: RecurringJobs<DueJob, object>;
  readonly #logger = createLogger('jobs');
  #trouble = '';

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    state: StateDatabase,
    repairs: SourceRepairs,
    retries: FailedEventRetries,
    deliveries: WebhookDeliveries,
    verification: VerificationJobs,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#config = config;
    this.#state = state;
    this.#work = new StateDueWork(state);
    this.#verification = verification;
    const run = {
      repairs: ({ source }: DueJob, signal: AbortSignal): Promise<object> => repairs.turn(source, signal),
      'failed-events': ({ source }: DueJob, signal: AbortSignal): Promise<object> => retries.turn(source, signal),
      webhooks: (_: DueJob, signal: AbortSignal): Promise<object> => deliveries.deliver(signal),
    };
    const jobs = listJobs(config);
    this.#jobs = new RecurringJobs({
      name: 'due',
      redis: toRedisOptions(config.redis),
      prefix: redis.keys.jobs(),
      everyMs: null,
      // each at once: a source or a receiver that does not answer keeps no other waiting
      concurrency: jobs.length,
      schedules: new Map(jobs.map((job) => [idOf(job), job])),
      run: (job, signal) => run[job.kind](job, signal),
      keptResults: 0,
      signal: shutdown.signal,
      metricOf: ({ kind }) => kind,
      metrics,
      logger: this.#logger,
    });
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    await this.#state.whenOpened(signal);
    this.#jobs.start();
    const { repairIntervalMs, retryIntervalMs } = this.#config.dws;
    const everyMs = Math.min(LOOK_MS, repairIntervalMs, retryIntervalMs);
    while (!signal.aborted) {
      await this.#look();
      await sleep(everyMs, signal).catch((error: unknown) => {
        if (!isAbort(error)) throw error;
      });
    }
    await this.#jobs.stop();
  }

  async #look(): Promise<void> {
    try {
      const due = await this.#work.look(Date.now());
      await Promise.all([this.#bring(due), due.chunks && this.#verification.announceDue()]);
      this.#trouble = '';
    } catch (error) {
      const { code, message, remedy } = toDittoError(error);
      if (message !== this.#trouble)
        this.#logger.warn('what is due can not be looked up', { code, error: message, remedy });
      this.#trouble = message;
    }
  }

  async #bring({ repairs, failedEvents, notices }: DueWork): Promise<void> {
    const { repairIntervalMs, retryIntervalMs } = this.#config.dws;
    const idsOf = (kind: DueJob['kind'], sources: readonly string[]): string[] =>
      sources.map((source) => idOf({ kind, source }));
    await this.#jobs.bring(idsOf('repairs', repairs), repairIntervalMs);
    await this.#jobs.bring(idsOf('failed-events', failedEvents), retryIntervalMs);
    await this.#jobs.bring(idsOf('webhooks', notices ? [''] : []), WEBHOOKS_MS);
  }
}

/** Nothing is sent while no webhook is configured. */
function listJobs({ sources, webhooks }: DittoConfig): readonly DueJob[] {
  const kinds = ['repairs', 'failed-events'] as const;
  const ofSources = Object.keys(sources).flatMap((source) => kinds.map((kind) => ({ kind, source })));
  return [...ofSources, ...(webhooks.length === 0 ? [] : [{ kind: 'webhooks', source: '' } as const])];
}

function idOf({ kind, source }: DueJob): string {
  return `${kind}/${source}`;
}
