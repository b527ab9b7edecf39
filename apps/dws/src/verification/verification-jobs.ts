import { Injectable } from '@nestjs/common';
import { type DittoConfig, toRedisOptions } from '#configuration';
import { isAbort, sleep } from '#kernel';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection } from '#redis';
import { StateDatabase } from '#state';
import { type DueChunk, VerificationRunStore } from '#verification';
import { ChunkQueue } from './chunk-queue.ts';
import { ChunkRunner } from './chunk-runner.ts';
import { RecurringRuns } from './recurring-runs.ts';

const MOST_DUE = 500;
/** So often it is looked whether a run is to begin, and schedules that Redis has lost are put back. */
const BEGIN_MS = 10_000;

/** Names what is due to the workers, and works. */
@Injectable()
export class VerificationJobs extends LongWork {
  readonly #state: StateDatabase;
  readonly #runs: VerificationRunStore;
  readonly #queue: ChunkQueue;
  readonly #recurring: RecurringRuns;
  readonly #schedule: string | undefined;
  readonly #logger = createLogger('verification');

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    runs: VerificationRunStore,
    state: StateDatabase,
    runner: ChunkRunner,
    recurring: RecurringRuns,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#state = state;
    this.#runs = runs;
    this.#recurring = recurring;
    this.#schedule = config.verification.schedule;
    this.#queue = new ChunkQueue({
      redis: toRedisOptions(config.redis),
      prefix: redis.keys.jobs(),
      concurrency: config.verification.concurrency,
      run: (chunkId) => runner.run(chunkId, (due) => this.announce(due)),
      onTurn: async (source, turn) => this.announce(await recurring.takeTurn(source, turn)),
      logger: this.#logger,
    });
  }

  /** Chunks whose moment has come: after Redis was flushed, a worker was killed, or a chunk was given back. */
  async announceDue(): Promise<void> {
    this.announce(await this.#runs.listDue(Date.now(), MOST_DUE));
  }

  /** Chunks that may begin: at once, not at the next look. */
  announce(due: readonly DueChunk[]): void {
    if (due.length > 0) void this.#queue.add(due);
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    await this.#state.whenOpened(signal);
    this.#queue.start();
    while (!signal.aborted) {
      await this.#begin();
      await sleep(BEGIN_MS, signal).catch((error: unknown) => {
        if (!isAbort(error)) throw error;
      });
    }
    await this.#queue.stop();
  }

  async #begin(): Promise<void> {
    await this.#queue.keepSchedules(this.#recurring.sources, this.#schedule);
    this.announce(await this.#recurring.continueAll(Date.now()));
  }
}
