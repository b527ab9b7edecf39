import { abortable } from '#kernel';
import { type Row, type TableLayout } from '#change-events';
import { type MirroredKeys } from '../ports/mirrored-keys.ts';
import { reading } from '../tables/table-failures.ts';
import { type TableReadSettings, WindowedRead } from '../windows/windowed-read.ts';

export interface GoneRowsOptions {
  readonly layout: TableLayout;
  readonly mirror: MirroredKeys;
  /** A version above all that was given to the sinks before the table was read again. */
  readonly below: string;
  /** See `MirroredKeys`. */
  readonly tombstonesAbove: string | null;
  /** Most keys of one look-up where a read of the table has failed before; else null. */
  readonly limit: number | null;
  readonly settings: TableReadSettings;
  /** Resolves when all that was given to the sinks until now is confirmed. */
  readonly waitUntilConfirmed: () => Promise<void>;
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
  readonly #options: GoneRowsOptions;
  readonly #limit: number;
  readonly #lookUps: WindowedRead;

  constructor(options: GoneRowsOptions) {
    this.#options = options;
    const { chunkBytes, reader } = options.settings;
    this.#limit = Math.min(KEYS_OF_LOOKUP, options.limit ?? KEYS_OF_LOOKUP);
    this.#lookUps = new WindowedRead({
      ...options.settings,
      layout: options.layout,
      size: {
        firstRows: this.#limit,
        mostRows: this.#limit,
        mostBytes: chunkBytes,
        mostRowBytes: reader.mostRowBytes,
        isCautious: options.limit !== null,
      },
    });
  }

  /**
   * Resolves with true when every delete is confirmed; with false when the table was asked for again.
   * Rejects with a `TableReadError` when keys can't be listed or looked up; what was dealt with until then has a newer
   * version, and is not listed again.
   */
  async end(signal: AbortSignal): Promise<boolean> {
    const { layout, mirror, below, tombstonesAbove, waitUntilConfirmed } = this.#options;
    // a document that is still on its way to the mirror would be listed by nobody
    await abortable(waitUntilConfirmed(), signal);
    const pages = mirror.list({ layout, below, tombstonesAbove, limit: this.#limit })[Symbol.asyncIterator]();
    try {
      for (;;) {
        const page = await reading(pages.next());
        if (page.done === true) return true;
        if (!(await this.#lookUpAll(page.value, signal))) return false;
      }
    } finally {
      await pages.return?.();
    }
  }

  /** False when the table was asked for again. */
  async #lookUpAll(page: readonly Row[], signal: AbortSignal): Promise<boolean> {
    let keys = page;
    while (keys.length > 0) {
      if (!this.#options.isWanted()) return false;
      keys = await this.#lookUp(keys, signal);
    }
    return true;
  }

  /** Looks up as many keys as one read may ask for, and gives those that are still to be looked up. */
  async #lookUp(keys: readonly Row[], signal: AbortSignal): Promise<readonly Row[]> {
    const { layout, settings } = this.#options;
    const { answer, settled } = await this.#lookUps.read(async ({ limit, ...request }) => {
      const asked = keys.slice(0, limit);
      const read = await settings.reader.readKeys({ layout, keys: asked, ...request, signal });
      const { length } = read.unanswered;
      return { ...read, asked: asked.length, answered: asked.length - length, isCut: length > 0 };
    }, signal);
    const { unanswered, asked } = answer;
    return (await this.#lookUps.confirm(settled, signal)) ? [...unanswered, ...keys.slice(asked)] : keys;
  }
}
