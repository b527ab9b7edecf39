import { abortable } from '#kernel';
import { type MirroredKeys } from '../ports/mirrored-keys.ts';
import { reading } from '../tables/table-failures.ts';
import { KeyLookUps, type KeyLookUpsOptions } from '../windows/key-look-ups.ts';

export interface GoneRowsOptions extends KeyLookUpsOptions {
  readonly mirror: Pick<MirroredKeys, 'list'>;
  /** Rows with a version up to this one are not in doubt; '' where all are. */
  readonly above: string;
  /** A version above all that was given to the sinks before the table was read again. */
  readonly below: string;
  /** See `MirroredKeys`. */
  readonly tombstonesAbove: string | null;
  /** Resolves when all that was given to the sinks until now is confirmed. */
  readonly waitUntilConfirmed: () => Promise<void>;
}

/**
 * The end of a re-read: rows that the sinks know and that it did not meet. Whatever is neither read again nor changed by
 * the log since has an older version, so those documents are all that can be gone; each is looked up in a windowed read
 * of its own, and becomes a delete, or a read if it is there.
 */
export class GoneRows {
  readonly #options: GoneRowsOptions;
  readonly #lookUps: KeyLookUps;

  constructor(options: GoneRowsOptions) {
    this.#options = options;
    this.#lookUps = new KeyLookUps(options);
  }

  /**
   * Resolves with true when every delete is confirmed; with false when the table was asked for again.
   * Rejects with a `TableReadError` when keys can't be listed or looked up; what was dealt with until then has a newer
   * version, and is not listed again.
   */
  async end(signal: AbortSignal): Promise<boolean> {
    const { layout, mirror, above, below, tombstonesAbove, waitUntilConfirmed } = this.#options;
    // a document that is still on its way to the mirror would be listed by nobody
    await abortable(waitUntilConfirmed(), signal);
    const pages = mirror
      .list({ layout, above, below, tombstonesAbove, limit: this.#lookUps.limit })
      [Symbol.asyncIterator]();
    try {
      for (;;) {
        const page = await reading(pages.next());
        if (page.done === true) return true;
        if ((await this.#lookUps.lookUp(page.value, signal)) === null) return false;
      }
    } finally {
      await pages.return?.();
    }
  }
}
