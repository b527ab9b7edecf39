import { type Checkpoint } from '#change-events';
import { type DittoError, sleep, toDittoError, type Logger } from '#kernel';
import { type CheckpointStore, type Grant } from '../ports/stores.ts';

export interface CheckpointSaverOptions {
  readonly grant: Grant;
  readonly store: CheckpointStore;
  readonly intervalMs: number;
  readonly checkpoint: () => Checkpoint;
  readonly logger: Logger;
}

/**
 * Writes a pipeline's checkpoint to one store, at most once in `intervalMs` and only when it moved. A store that can't
 * be reached is tried again at the next turn: the checkpoint that is there stays true. A fenced write is the end:
 * somebody else owns the source (I5).
 */
export class CheckpointSaver {
  /** Milliseconds since 1970 of the last success; 0 before. */
  savedAtMs = 0;
  failures = 0;
  readonly #options: CheckpointSaverOptions;
  #written = '';
  #takenAtMs = 0;

  constructor(options: CheckpointSaverOptions) {
    this.#options = options;
  }

  /**
   * Resolves when `signal` is aborted, and begins no write then: the caller that ends it knows whether the source is
   * still its own. Rejects when a write was refused for good.
   */
  async run(signal: AbortSignal): Promise<void> {
    const isDue = (): Promise<boolean> =>
      sleep(this.#options.intervalMs, signal).then(
        () => !signal.aborted,
        () => false,
      );
    while (await isDue())
      try {
        await this.save();
      } catch (cause) {
        this.#note(toDittoError(cause));
      }
  }

  /** Writes the checkpoint now unless it is what was written last. */
  async save(): Promise<void> {
    const taken = this.#options.checkpoint();
    // grows with each, whatever the clock does: a store sees by it which of two is the later one (checkpointRank)
    const checkpoint = { ...taken, savedAtMs: Math.max(taken.savedAtMs, this.#takenAtMs + 1) };
    const { position, dispatchedSet, undecidedSet, version } = checkpoint;
    const state = `${position.gtidSet}|${position.file}|${position.offset}|${dispatchedSet}|${undecidedSet}|${version}`;
    if (state === this.#written) return;
    this.#takenAtMs = checkpoint.savedAtMs;
    await this.#options.store.save(this.#options.grant, checkpoint);
    this.#written = state;
    this.savedAtMs = checkpoint.savedAtMs;
    this.failures = 0;
  }

  #note(error: DittoError): void {
    if (!error.retriable) throw error;
    this.failures++;
    if (this.failures === 1)
      this.#options.logger.warn('the checkpoint could not be written, trying again', {
        code: error.code,
        error: error.message,
      });
  }
}
