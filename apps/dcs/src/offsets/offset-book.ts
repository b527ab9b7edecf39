import { Injectable } from '@nestjs/common';
import { type Checkpoint, compareCheckpoints, mergeCheckpoints, type StoredCheckpoint } from '#change-events';
import { DittoError, isAbort, toDittoError } from '#kernel';
import { createLogger, Metrics, RequestError } from '#platform';
import { type PutOutcome, RedisOffsets } from '#redis';
import { type Grant } from '#replication';
import { createFencedError, StateCheckpointStore, StateFencing } from '#state';

/** Where each source is: hot in Redis, and whatever Redis has lost, from the state database. */
@Injectable()
export class OffsetBook {
  readonly #hot: RedisOffsets;
  readonly #durable: StateCheckpointStore;
  readonly #fencing: StateFencing;
  readonly #logger = createLogger('offsets');
  readonly #puts;
  readonly #restored;

  constructor(hot: RedisOffsets, durable: StateCheckpointStore, fencing: StateFencing, metrics: Metrics) {
    this.#hot = hot;
    this.#durable = durable;
    this.#fencing = fencing;
    this.#puts = metrics.counter('offset_puts_total', 'Checkpoints given to DCS, by what became of them', [
      'source',
      'outcome',
    ]);
    this.#restored = metrics.counter('offsets_restored_total', 'Offsets put back in Redis from the state database', [
      'source',
    ]);
  }

  /**
   * I5: accepts only the newest token of the source. Where Redis does not know it, having lost its data, the state
   * database is asked; while that is down the put is rejected with its retriable error.
   */
  async put(grant: Grant, checkpoint: Checkpoint): Promise<'stored' | 'late'> {
    const { source, token } = grant;
    if (checkpoint.source !== source)
      throw new RequestError(
        422,
        'DITTO_REQUEST_INVALID',
        `A grant of source ${source} can't put the checkpoint of source ${checkpoint.source}`,
      );
    let { outcome, newestToken } = await this.#hot.put(grant, checkpoint);
    if (outcome === 'unverified') {
      const verified = await this.#fencing.currentToken(source);
      ({ outcome, newestToken } = await this.#hot.put(grant, checkpoint, verified));
    }
    this.#count(source, outcome);
    if (outcome === 'stored' || outcome === 'late') return outcome;
    throw createFencedError(source, token, newestToken);
  }

  /**
   * Null only when neither has one. While the state database is down, what Redis has is given, and its absence is an
   * error.
   */
  async get(source: string): Promise<StoredCheckpoint | null> {
    const hot = await this.#hot.get(source);
    try {
      return await this.#newest(hot, await this.#durable.load(source));
    } catch (error) {
      if (!hot) throw error;
      this.#warn(error);
      return hot;
    }
  }

  /** What of it can be known now: without the state database, what Redis has. */
  async list(): Promise<readonly StoredCheckpoint[]> {
    const hot = new Map((await this.#hot.list()).map((offset) => [offset.checkpoint.source, offset]));
    const durable = await this.#listDurable();
    for (const stored of durable) {
      const newest = await this.#newest(hot.get(stored.checkpoint.source) ?? null, stored);
      if (newest) hot.set(stored.checkpoint.source, newest);
    }
    return [...hot.values()].sort((a, b) => (a.checkpoint.source < b.checkpoint.source ? -1 : 1));
  }

  async #listDurable(): Promise<readonly StoredCheckpoint[]> {
    try {
      return await this.#durable.listStored();
    } catch (error) {
      this.#warn(error);
      return [];
    }
  }

  async #newest(hot: StoredCheckpoint | null, stored: StoredCheckpoint | null): Promise<StoredCheckpoint | null> {
    const merged = mergeCheckpoints(hot, stored);
    if (!stored || (hot && compareCheckpoints(hot, stored) >= 0)) return merged;
    await this.#hot.restore(stored);
    if (!hot)
      this.#logger.info('an offset that Redis had lost came back from the state database', {
        source: stored.checkpoint.source,
      });
    this.#restored.inc({ source: stored.checkpoint.source });
    return merged;
  }

  #count(source: string, outcome: PutOutcome): void {
    this.#puts.inc({ source, outcome: outcome === 'unverified' ? 'fenced' : outcome });
  }

  #warn(error: unknown): void {
    if (isAbort(error)) return;
    const { code, message } = toDittoError(error);
    this.#logger.warn('offsets are given without the state database', { code, error: message });
  }
}

/** For a source that neither store knows. */
export function createUnknownSourceError(source: string): DittoError {
  return new RequestError(404, 'DITTO_OFFSET_UNKNOWN', `No offset of source ${source} is known`, {
    remedy: 'Check the name; a source has an offset once its pipeline has started.',
    context: { source },
  });
}
