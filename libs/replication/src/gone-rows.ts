import { type Row, type TableLayout } from '#change-events';
import { Backoff, sleep } from '#kernel';
import { abortable } from './abortable.ts';
import { type MirroredKeys } from './ports/mirrored-keys.ts';
import { type TableCopySettings } from './table-copy.ts';
import { reading } from './table-failures.ts';

export interface GoneRowsOptions {
  readonly layout: TableLayout;
  readonly mirror: MirroredKeys;
  /** A version above all that was given to the sinks before the table was read again. */
  readonly below: string;
  /** See `MirroredKeys`. */
  readonly tombstonesAbove: string | null;
  /** Most keys of one look-up where a read of the table has failed before; else null. */
  readonly limit: number | null;
  readonly options: TableCopySettings;
  /** False once the table was asked for again: what is left will be dealt with by the next pass. */
  readonly isWanted: () => boolean;
}

/** Keys that are looked up at once: few enough for the optimizer to take each as a range of its own. */
const KEYS_OF_LOOKUP = 200;

/**
 * The end of a re-read: rows that the sinks know and that it did not meet. Whatever is neither read again nor changed by
 * the log since has an older version, so those documents are all that can be gone; each is looked up in a windowed read
 * of its own, and becomes a delete, or a read if it is there.
 */
export class GoneRows {
  private readonly options: GoneRowsOptions;
  private readonly backoff: Backoff;

  constructor(options: GoneRowsOptions) {
    this.options = options;
    this.backoff = new Backoff(options.options.backoff);
  }

  /**
   * Resolves with true when every delete is confirmed; with false when the table was asked for again.
   * Rejects with a `TableReadError` when keys can't be listed or looked up; what was dealt with until then has a newer
   * version, and is not listed again.
   */
  async end(signal: AbortSignal): Promise<boolean> {
    const { layout, mirror, below, tombstonesAbove } = this.options;
    // a document that is still on its way to the mirror would be listed by nobody
    await abortable(this.options.options.pipeline.waitUntilConfirmed(), signal);
    const limit = Math.min(KEYS_OF_LOOKUP, this.options.limit ?? KEYS_OF_LOOKUP);
    const pages = mirror.list({ layout, below, tombstonesAbove, limit })[Symbol.asyncIterator]();
    try {
      for (;;) {
        const page = await reading(pages.next());
        if (page.done === true) return true;
        if (!(await this.lookUp(page.value, signal))) return false;
      }
    } finally {
      await pages.return?.();
    }
  }

  /** False when the table was asked for again. */
  private async lookUp(keys: readonly Row[], signal: AbortSignal): Promise<boolean> {
    const { layout, options, isWanted } = this.options;
    const { pipeline, reader, pauseMs } = options;
    while (isWanted()) {
      if (pauseMs > 0) await sleep(pauseMs, signal);
      await pipeline.waitForRoom(signal);
      const window = pipeline.openWindow(layout);
      const read = await reading(
        reader.readKeys({ layout, keys, dispatchedSet: window.dispatchedSet, signal }),
        keys.length,
      ).catch((error: unknown) => {
        pipeline.abandonWindow(window);
        throw error;
      });
      const settled = await abortable(pipeline.closeWindow(window, read), signal);
      if (settled === null) {
        await sleep(this.backoff.nextMs(), signal);
        continue;
      }
      await abortable(settled.confirmed, signal);
      this.backoff.reset();
      return true;
    }
    return false;
  }
}
