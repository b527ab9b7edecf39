import { type Job, Queue, Worker } from 'bullmq';
import { findReason, type Logger, withTimeout } from '#kernel';
import {
  delayReconnect,
  explainTrouble,
  isFromRedis,
  isFromReplica,
  type RedisOptions,
  toRedisError,
  toRedisTarget,
  unavailable,
} from '#redis';
import { type DueChunk } from '#verification';

const NAME = 'verification';
const ANSWER_TIMEOUT_MS = 2000;
const STOP_TIMEOUT_MS = 5000;
/** A connection that says nothing for so long while a command is under way is made again. */
const SILENCE_MS = 4000;
/** The worker waits for a job up to ten seconds at a time (BullMQ's `maximumBlockTimeout`), and silence means nothing then. */
const WORKER_SILENCE_MS = 14_000;
const RETRY_MS = 1000;

export interface ChunkQueueOptions {
  readonly redis: RedisOptions;
  readonly prefix: string;
  readonly concurrency: number;
  /** Never rejects. */
  readonly run: (chunkId: string) => Promise<void>;
  /** A turn of the schedule: `turn` is the same when it is run again. */
  readonly onTurn: (source: string, turn: string) => Promise<void>;
  readonly logger: Logger;
}

type VerificationJob = { readonly chunkId: string } | { readonly source: string };

/**
 * Spreads chunks over the workers. What is due is in the state database; the queue may be lost, or name a chunk twice.
 */
export class ChunkQueue {
  readonly #options: ChunkQueueOptions;
  readonly #queue: Queue<VerificationJob>;
  readonly #worker: Worker<VerificationJob>;
  #lastTrouble = '';

  constructor(options: ChunkQueueOptions) {
    const { redis, prefix, concurrency } = options;
    this.#options = options;
    const { url, tls } = toRedisTarget(redis.url, redis.tls);
    const connection = { url, ...(tls && { tls }), retryStrategy: delayReconnect, reconnectOnError: isFromReplica };
    this.#queue = new Queue(NAME, {
      prefix,
      connection: { ...connection, socketTimeout: SILENCE_MS, maxRetriesPerRequest: 1 },
    });
    this.#worker = new Worker(NAME, (job: Job<VerificationJob>) => this.#process(job), {
      prefix,
      connection: { ...connection, socketTimeout: WORKER_SILENCE_MS, maxRetriesPerRequest: null },
      concurrency,
      autorun: false,
      runRetryDelay: RETRY_MS,
    });
    const explain = async (error: Error): Promise<void> => {
      const trouble = isFromRedis(error) ? await explainTrouble(toRedisTarget(redis.url, redis.tls), error) : error;
      this.#complain(trouble);
    };
    this.#queue.on('error', (error) => void explain(error));
    this.#worker.on('error', (error) => void explain(error));
  }

  start(): void {
    // what ends it is reported by the event 'error'; without Redis it holds
    this.#worker.run().catch((error: unknown) => this.#complain(error));
  }

  /** Names chunks to the workers; one that is named already is named once. A failure is logged: they are named again. */
  async add(due: readonly DueChunk[]): Promise<void> {
    const now = Date.now();
    const jobs = due.map(({ id, attempts, notBeforeMs }) => ({
      name: NAME,
      data: { chunkId: id },
      opts: {
        // of the attempt, so that what a killed worker still holds does not keep the chunk from others
        jobId: `chunk-${id}-${attempts}`,
        delay: Math.max(0, notBeforeMs - now),
        removeOnComplete: true,
        removeOnFail: true,
      },
    }));
    try {
      await this.#ask(this.#queue.addBulk(jobs));
      this.#lastTrouble = '';
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Repeatable: a schedule that is there keeps its next turn. Sources without one lose theirs. */
  async keepSchedules(sources: readonly string[], pattern: string | undefined): Promise<void> {
    const opts = { removeOnComplete: true, removeOnFail: true };
    try {
      for (const source of sources)
        await this.#ask<unknown>(
          pattern === undefined
            ? this.#queue.removeJobScheduler(source)
            : this.#queue.upsertJobScheduler(source, { pattern, tz: 'UTC' }, { name: NAME, data: { source }, opts }),
        );
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Resolves when the chunks that run here have ended. Redis is not waited for longer than five seconds. */
  async stop(): Promise<void> {
    const late = (): Error => unavailable(`the queue ${NAME} could not be left within ${STOP_TIMEOUT_MS} ms`);
    for (const part of [this.#worker, this.#queue])
      await withTimeout(part.close(), STOP_TIMEOUT_MS, late).catch((error: unknown) => this.#complain(error));
  }

  #process({ data, id }: Job<VerificationJob>): Promise<void> {
    const { run, onTurn } = this.#options;
    return 'chunkId' in data ? run(data.chunkId) : onTurn(data.source, id ?? '');
  }

  #ask<T>(answer: Promise<T>): Promise<T> {
    return withTimeout(answer, ANSWER_TIMEOUT_MS, () =>
      unavailable(`the job queue said nothing for ${ANSWER_TIMEOUT_MS} ms`),
    );
  }

  #complain(trouble: unknown): void {
    const reason = findReason(trouble);
    if (reason === this.#lastTrouble) return;
    this.#lastTrouble = reason;
    const { code, message: error, remedy } = toRedisError(trouble);
    this.#options.logger.warn('trouble with the job queue', { queue: NAME, code, error, remedy });
  }
}
