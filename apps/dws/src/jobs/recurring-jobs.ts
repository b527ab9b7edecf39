import { once } from 'node:events';
import { type Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import { type DittoError, findReason, isAbort, type Logger, sleep, toDittoError, withTimeout } from '#kernel';
import {
  delayReconnect,
  explainTrouble,
  isFromRedis,
  isFromReplica,
  type RedisOptions,
  type RedisTarget,
  toRedisError,
  toRedisTarget,
  unavailable,
} from '#redis';
import { type JobMetrics } from '../metrics/job-metrics.ts';

/** Schedules that Redis has lost, with its data or with a worker that died between two steps, are put back so soon. */
const KEEP_SCHEDULES_MS = 10_000;
const ANSWER_TIMEOUT_MS = 2000;
const STOP_TIMEOUT_MS = 5000;
/** A job that failed for a reason that passes is run again so soon, for as long as its schedule does not bring the next. */
const RETRY_JOB_MS = 5000;
/** How long is rested after Redis has refused something. */
const RETRY_MS = 1000;
/** A connection that says nothing for so long while a command is under way is made again. */
const SILENCE_MS = 4000;
/** The worker waits for a job up to ten seconds at a time (BullMQ's `maximumBlockTimeout`), and silence means nothing then. */
const WORKER_SILENCE_MS = 14_000;

export interface RecurringJobsOptions<Data extends object, Result extends object> {
  /** Of the queue, the same in all workers. */
  readonly name: string;
  readonly redis: RedisOptions;
  /** What the names of all queues begin with. */
  readonly prefix: string;
  /** How often each job comes; null for jobs that come when they are brought. */
  readonly everyMs: number | null;
  /** Jobs of this queue that this process runs at the same time. */
  readonly concurrency: number;
  /** What each job works on, by its id, which has no colon in it. */
  readonly schedules: ReadonlyMap<string, Data>;
  /** Must be repeatable: a job whose worker died runs again on another. */
  readonly run: (data: Data, signal: AbortSignal) => Promise<Result>;
  /** How many ended jobs Redis keeps, with their results. */
  readonly keptResults: number;
  readonly signal: AbortSignal;
  /** How the metrics call a job; the queue's name by default. */
  readonly metricOf?: (data: Data) => string;
  readonly metrics: JobMetrics;
  readonly logger: Logger;
}

/** A job that ended, or failed and will be tried again, on whichever worker. Times are milliseconds since 1970. */
export interface EndedJob<Data, Result> {
  readonly data: Data;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly result: Result | null;
  /** Null when it has a result. */
  readonly error: string | null;
}

/**
 * Jobs that come again and again, shared by all workers: each turn of a schedule is run by one of them. A job that fails
 * is logged and counted. One of a schedule is run again in a few seconds when its error is retriable, else with its
 * schedule; one that was brought, when it is brought again. While Redis is away nothing runs, and it continues when Redis is
 * back. A schedule that the configuration of this process no longer has is removed when its job comes up.
 *
 * A turn of a schedule costs some ten commands of Redis, whether there is anything to do or not. Where a look at the state
 * database says whether there is, jobs have no schedule: whoever has looked brings them.
 */
export class RecurringJobs<Data extends object, Result extends object> {
  readonly #options: RecurringJobsOptions<Data, Result>;
  readonly #queue: Queue;
  readonly #worker: Worker;
  readonly #failing = new Set<string>();
  /** Brought jobs that run in this process. */
  readonly #running = new Set<string>();
  #keeping: Promise<void> = Promise.resolve();
  readonly #target: RedisTarget;
  /** Why the last connection could not be made; null once Redis has answered. */
  #trouble: DittoError | null = null;
  #answers = 0;
  #lastTrouble = '';

  constructor(options: RecurringJobsOptions<Data, Result>) {
    const { name, prefix, redis, concurrency } = options;
    this.#options = options;
    // the driver would take options out of the URL over these
    this.#target = toRedisTarget(redis.url, redis.tls);
    const { url, tls } = this.#target;
    const connection = {
      url,
      ...(tls && { tls }),
      retryStrategy: delayReconnect,
      reconnectOnError: isFromReplica,
    };
    this.#queue = new Queue(name, {
      prefix,
      connection: { ...connection, socketTimeout: SILENCE_MS, maxRetriesPerRequest: 1 },
    });
    this.#worker = new Worker(name, (job: Job) => this.#process(job), {
      prefix,
      connection: { ...connection, socketTimeout: WORKER_SILENCE_MS, maxRetriesPerRequest: null },
      concurrency,
      autorun: false,
      runRetryDelay: RETRY_MS,
    });
    this.#queue.on('error', (error) => void this.#explain(error));
    this.#worker.on('error', (error) => void this.#explain(error));
  }

  /** Until the signal. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    this.start();
    if (!signal.aborted) await once(signal, 'abort');
    await this.stop();
  }

  start(): void {
    const { everyMs } = this.#options;
    if (everyMs !== null) this.#keeping = this.#keepSchedules(everyMs);
    // what ends it is reported by the event 'error'; without Redis it holds
    this.#worker.run().catch((error: unknown) => this.#complain(error));
  }

  /**
   * Has jobs run that were not brought within `notWithinMs`, by whichever worker: a job whose worker died comes again after
   * that. What Redis does not take is logged, and must be brought again.
   */
  async bring(ids: readonly string[], notWithinMs: number): Promise<void> {
    const { name, schedules, signal } = this.#options;
    const jobs = ids.flatMap((id) => {
      const data = schedules.get(id);
      const deduplication = { id, ttl: notWithinMs };
      const opts = { deduplication, stackTraceLimit: 1, removeOnComplete: true, removeOnFail: true };
      return data === undefined ? [] : [{ name, data, opts }];
    });
    if (jobs.length === 0 || signal.aborted) return;
    try {
      await this.#ask(() => this.#queue.addBulk(jobs));
      this.#lastTrouble = '';
    } catch (error) {
      this.#complain(error);
    }
  }

  /** The newest first; an error of Redis when it does not answer. */
  async listEnded(): Promise<readonly EndedJob<Data, Result>[]> {
    const completed = await this.#ask(() => this.#queue.getJobs(['completed'], 0, -1));
    // a job that waits to be tried again is among those that wait for their turn
    const others = await this.#ask(() => this.#queue.getJobs(['failed', 'delayed'], 0, -1));
    const failed = others.filter((job) => (job.failedReason as string | undefined) !== undefined);
    const describe = (job: Job, outcome: Pick<EndedJob<Data, Result>, 'result' | 'error'>) => {
      const startedAtMs = job.processedOn ?? job.timestamp;
      return { data: job.data as Data, startedAtMs, endedAtMs: job.finishedOn ?? startedAtMs, ...outcome };
    };
    return [
      ...completed.map((job) => describe(job, { result: job.returnvalue as Result | null, error: null })),
      ...failed.map((job) => describe(job, { result: null, error: job.failedReason })),
    ].sort((a, b) => b.endedAtMs - a.endedAtMs);
  }

  /** Resolves when the jobs that run here have ended. Redis is not waited for longer than five seconds. */
  async stop(): Promise<void> {
    const late = (): Error =>
      unavailable(`the queue ${this.#options.name} could not be left within ${STOP_TIMEOUT_MS} ms`);
    const left = async (ended: Promise<unknown>): Promise<void> => {
      await withTimeout(ended, STOP_TIMEOUT_MS, late).catch((error: unknown) => this.#complain(error));
    };
    await left(Promise.all([this.#worker.close(), this.#keeping]));
    await left(this.#queue.close());
  }

  async #keepSchedules(everyMs: number): Promise<void> {
    const { schedules, signal } = this.#options;
    while (!signal.aborted) {
      let restMs = KEEP_SCHEDULES_MS;
      try {
        for (const [id, data] of schedules) await this.#schedule(id, data, everyMs);
        this.#lastTrouble = '';
      } catch (error) {
        this.#complain(error);
        restMs = RETRY_MS;
      }
      await sleep(restMs, signal).catch((error: unknown) => {
        if (!isAbort(error)) throw error;
      });
    }
  }

  /** Repeatable: a schedule that is there keeps its next turn. */
  async #schedule(id: string, data: Data, every: number): Promise<void> {
    const { name, keptResults, signal } = this.#options;
    const kept = keptResults === 0 ? true : { count: keptResults };
    const opts = {
      attempts: Math.max(1, Math.floor(every / RETRY_JOB_MS)),
      backoff: { type: 'fixed', delay: RETRY_JOB_MS },
      stackTraceLimit: 1,
      removeOnComplete: kept,
      removeOnFail: kept,
    };
    if (!signal.aborted) await this.#ask(() => this.#queue.upsertJobScheduler(id, { every }, { name, data, opts }));
  }

  async #process(job: Job): Promise<Result | null> {
    const { schedules, everyMs } = this.#options;
    const id = (everyMs === null ? job.deduplicationId : job.repeatJobKey) ?? '';
    const data = schedules.get(id);
    if (data === undefined) return this.#remove(id);
    if (everyMs !== null) return this.#run(job, id, data);
    // what the one that is under way does not see any more is brought again
    if (this.#running.has(id)) return null;
    this.#running.add(id);
    try {
      return await this.#run(job, id, data);
    } finally {
      this.#running.delete(id);
    }
  }

  /** A job that is brought is only passed over: the worker that has brought it may have a newer configuration. */
  async #remove(id: string): Promise<null> {
    const { name, everyMs, logger } = this.#options;
    if (everyMs === null) return null;
    logger.info('a schedule that the configuration does not have is removed', { queue: name, schedule: id });
    await this.#queue.removeJobScheduler(id);
    return null;
  }

  async #run(job: Job, id: string, data: Data): Promise<Result> {
    const { run, everyMs, signal, metrics, metricOf = () => this.#options.name } = this.#options;
    const name = metricOf(data);
    const startedAt = performance.now();
    try {
      signal.throwIfAborted();
      const result = await run(data, signal);
      metrics.ended(name, 'done', performance.now() - startedAt);
      if (this.#failing.delete(id)) this.#options.logger.info('a job succeeds again', { queue: name, schedule: id });
      return result;
    } catch (error) {
      metrics.ended(name, 'failed', performance.now() - startedAt);
      this.#reportFailure(id, error);
      if (isAbort(error)) throw new Error('the worker was stopped', { cause: error });
      const { code, message, retriable } = toDittoError(error);
      const reason = `${code}: ${message}`;
      const isNextDue = Date.now() >= (job.opts.prevMillis ?? job.timestamp) + (everyMs ?? 0);
      throw retriable && !isNextDue ? new Error(reason, { cause: error }) : new UnrecoverableError(reason);
    }
  }

  /** A schedule that fails at each turn is reported once. */
  #reportFailure(id: string, error: unknown): void {
    const { name, logger } = this.#options;
    if (isAbort(error) || this.#failing.has(id)) return;
    this.#failing.add(id);
    const { code, message, remedy } = toDittoError(error);
    logger.warn('a job failed; it is tried again', {
      queue: name,
      schedule: id,
      code,
      error: message,
      remedy,
    });
  }

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    const late = (): DittoError => unavailable(`the job queue said nothing for ${ANSWER_TIMEOUT_MS} ms`);
    try {
      const answer = await withTimeout(work(), ANSWER_TIMEOUT_MS, late);
      this.#trouble = null;
      this.#answers++;
      return answer;
    } catch (error) {
      const classified = toRedisError(error);
      throw classified.code === 'DITTO_REDIS_UNAVAILABLE' ? (this.#trouble ?? classified) : classified;
    }
  }

  /** Of an event of the queue. To explain it takes a while, in which Redis may have answered. */
  async #explain(error: Error): Promise<void> {
    if (!isFromRedis(error)) {
      this.#tell({ error: findReason(error) });
      return;
    }
    const answers = this.#answers;
    const trouble = await explainTrouble(this.#target, error);
    if (answers === this.#answers) this.#trouble = trouble;
    this.#complain(trouble);
  }

  #complain(trouble: unknown): void {
    const { code, message: error, remedy } = toRedisError(trouble);
    this.#tell({ code, error, remedy });
  }

  #tell(trouble: { readonly code?: string; readonly error: string; readonly remedy?: string | null }): void {
    const { name: queue, logger } = this.#options;
    if (trouble.error !== this.#lastTrouble) logger.warn('trouble with the job queue', { queue, ...trouble });
    this.#lastTrouble = trouble.error;
  }
}
