import { randomUUID } from 'node:crypto';
import { DittoError, isAbort, toDittoError, withTimeout } from '#kernel';
import { type RedisRecentPlaces } from '#redis';
import { type RecentGap } from '../metrics/recent-metrics.ts';
import { type MirrorLook } from './mirror-look.ts';

/** Versions: above the one, and up to the other. */
export interface VersionRange {
  readonly above: string;
  readonly upTo: string;
}

export interface MirrorTurnsOptions {
  readonly places: Pick<RedisRecentPlaces, 'beginTurn' | 'endTurn' | 'load' | 'save'>;
  /** Up to which version all changes of the source are in the mirror. */
  readonly readCheckpoint: (source: string, signal: AbortSignal) => Promise<string>;
  readonly look: (source: string, range: VersionRange, signal: AbortSignal) => Promise<MirrorLook>;
  readonly onGap: (source: string, reason: RecentGap) => void;
  /** Milliseconds, of a clock that is never set. */
  readonly nowMs?: () => number;
}

/** A turn that MongoDB does not answer is given up; a worker that is killed leaves its turn to the others soon after. */
const TURN_MS = 10_000;
const TURN_KEPT_MS = 15_000;
/** Another worker may have had the turns since, so an error that was not met again is not kept for longer. */
const TROUBLE_KEPT_MS = 60_000;

/** The turns of this worker: each looks at what is new since the turn before, whoever had that. */
export class MirrorTurns {
  readonly #options: MirrorTurnsOptions;
  readonly #nowMs: () => number;
  readonly #troubles = new Map<string, { readonly reason: string; readonly atMs: number }>();
  /** Sources whose place was known before. */
  readonly #placed = new Set<string>();

  constructor(options: MirrorTurnsOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** Why the last turn of the source failed; null when it did not, and when that was long ago. */
  holdingBecause(source: string): string | null {
    const trouble = this.#troubles.get(source);
    return trouble !== undefined && this.#nowMs() < trouble.atMs + TROUBLE_KEPT_MS ? trouble.reason : null;
  }

  /** Does nothing while another one has the turn of the source: the queue brings the next one when this one begins. */
  async run(source: string, signal: AbortSignal): Promise<{ readonly keys: number }> {
    const { places } = this.#options;
    const owner = randomUUID();
    try {
      if (!(await places.beginTurn(source, owner, TURN_KEPT_MS))) return { keys: 0 };
      try {
        const keys = await this.#take(source, owner, signal);
        this.#troubles.delete(source);
        return { keys };
      } finally {
        // where Redis does not answer the turn ends by itself
        await places.endTurn(source, owner).catch(() => undefined);
      }
    } catch (error) {
      if (!isAbort(error)) {
        const { code, message } = toDittoError(error);
        this.#troubles.set(source, { reason: `${code}: ${message}`, atMs: this.#nowMs() });
      }
      throw error;
    }
  }

  async #take(source: string, owner: string, signal: AbortSignal): Promise<number> {
    const { places, readCheckpoint, look, onGap } = this.#options;
    const upTo = await readCheckpoint(source, signal);
    const above = await places.load(source);
    if (above !== null) this.#placed.add(source);
    else if (this.#placed.delete(source)) onGap(source, 'place lost');
    let keys = 0;
    // a lineage that is raised makes higher versions; a lower one is of a stream that began again, and its place is kept
    // once the higher one is forgotten
    if (above !== null && above < upTo) {
      const looked = await withTimeout(look(source, { above, upTo }, signal), TURN_MS, () => noAnswer(source));
      if (!looked.isWhole) onGap(source, 'too many');
      keys = looked.keys;
    }
    if (await places.save(source, owner, upTo)) this.#placed.add(source);
    return keys;
  }
}

function noAnswer(source: string): DittoError {
  const message = `the mirror of ${source} was not looked through within ${TURN_MS} ms`;
  return new DittoError('DITTO_MONGO_UNAVAILABLE', message, { retriable: true });
}
