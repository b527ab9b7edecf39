import { type Row, type TableLayout } from '#change-events';
import { Backoff, sleep } from '#kernel';
import { abortable } from './abortable.ts';
import { type MirroredKeys } from './ports/mirrored-keys.ts';
import { ReadSize } from './read-size.ts';
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

/** Most keys that are looked up at once: few enough for the optimizer to take each as a range of its own. */
const KEYS_OF_LOOKUP = 200;

/**
 * The end of a re-read: rows that the sinks know and that it did not meet. Whatever is neither read again nor changed by
 * the log since has an older version, so those documents are all that can be gone; each is looked up in a windowed read
 * of its own, and becomes a delete, or a read if it is there.
 */
export class GoneRows {
  private readonly options: GoneRowsOptions;
  private readonly backoff: Backoff;
  private readonly limit: number;
  private readonly size: ReadSize;

  constructor(options: GoneRowsOptions) {
    this.options = options;
    const { chunkBytes, backoff, reader } = options.options;
    this.backoff = new Backoff(backoff);
    this.limit = Math.min(KEYS_OF_LOOKUP, options.limit ?? KEYS_OF_LOOKUP);
    this.size = new ReadSize({
      firstRows: this.limit,
      mostRows: this.limit,
      mostBytes: chunkBytes,
      mostRowBytes: reader.mostRowBytes,
      isCautious: options.limit !== null,
    });
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
    const pages = mirror.list({ layout, below, tombstonesAbove, limit: this.limit })[Symbol.asyncIterator]();
    try {
      for (;;) {
        const page = await reading(pages.next());
        if (page.done === true) return true;
        if (!(await this.lookUpAll(page.value, signal))) return false;
      }
    } finally {
      await pages.return?.();
    }
  }

  /** False when the table was asked for again. */
  private async lookUpAll(page: readonly Row[], signal: AbortSignal): Promise<boolean> {
    let keys = page;
    while (keys.length > 0) {
      if (!this.options.isWanted()) return false;
      const asked = keys.slice(0, this.size.rows);
      const unanswered = await this.lookUp(asked, signal);
      keys = [...unanswered, ...keys.slice(asked.length)];
    }
    return true;
  }

  /** Gives the keys that are to be looked up again. */
  private async lookUp(keys: readonly Row[], signal: AbortSignal): Promise<readonly Row[]> {
    const { layout, options } = this.options;
    const { pipeline, reader, pauseMs } = options;
    if (pauseMs > 0) await sleep(pauseMs, signal);
    const maxBytes = this.size.bytes;
    const window = await pipeline.beginRead(layout, maxBytes, signal);
    const { dispatchedSet } = window;
    const read = await reading(reader.readKeys({ layout, keys, maxBytes, dispatchedSet, signal }), keys.length).catch(
      (error: unknown) => {
        pipeline.abandonWindow(window);
        throw error;
      },
    );
    const { unanswered, bytes } = read;
    this.size.noteRead({ rows: keys.length - unanswered.length, bytes, isCut: unanswered.length > 0 });
    if (unanswered.length === keys.length) {
      pipeline.abandonWindow(window);
      return keys;
    }
    const settled = await abortable(pipeline.closeWindow(window, read), signal);
    if (settled === null) {
      await sleep(this.backoff.nextMs(), signal);
      return keys;
    }
    await abortable(settled.confirmed, signal);
    this.backoff.reset();
    return unanswered;
  }
}
