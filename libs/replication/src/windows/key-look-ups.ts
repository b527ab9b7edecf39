import { type Row, type TableLayout, ValueImages } from '#change-events';
import { type TableReadSettings, WindowedRead } from './windowed-read.ts';

export interface KeyLookUpsOptions {
  readonly layout: TableLayout;
  /** Most keys of one look-up where a read of the table has failed before; else null. */
  readonly limit: number | null;
  readonly settings: TableReadSettings;
  /** Once it says no, no further key is looked up. */
  readonly isWanted: () => boolean;
}

export interface LookUpCounts {
  readonly read: number;
  readonly emitted: number;
  readonly gone: number;
}

/** Most keys that are looked up at once: few enough for the optimizer to take each as a range of its own. */
const KEYS_OF_LOOKUP = 200;

/** Looks up rows by key in windowed reads: each becomes a read, or a delete if it is not there. */
export class KeyLookUps {
  /** Most keys that are looked up at once. */
  readonly limit: number;
  readonly #options: KeyLookUpsOptions;
  readonly #reads: WindowedRead;

  constructor(options: KeyLookUpsOptions) {
    this.#options = options;
    const { chunkBytes, reader } = options.settings;
    this.limit = Math.min(KEYS_OF_LOOKUP, options.limit ?? KEYS_OF_LOOKUP);
    this.#reads = new WindowedRead({
      ...options.settings,
      layout: options.layout,
      size: {
        firstRows: this.limit,
        mostRows: this.limit,
        mostBytes: chunkBytes,
        mostRowBytes: reader.mostRowBytes,
        isCautious: options.limit !== null,
      },
    });
  }

  /** Resolves when all of it is confirmed; with null when it is not wanted any more. Rejects as `WindowedRead`. */
  async lookUp(asked: readonly Row[], signal: AbortSignal): Promise<LookUpCounts | null> {
    let keys = asked;
    const counts = { read: 0, emitted: 0, gone: 0 };
    while (keys.length > 0) {
      if (!this.#options.isWanted()) return null;
      keys = await this.#lookUpSome(keys, counts, signal);
    }
    return counts;
  }

  /** Looks up as many keys as one read may ask for, and gives those that are still to be looked up. */
  async #lookUpSome(
    keys: readonly Row[],
    counts: { -readonly [Count in keyof LookUpCounts]: number },
    signal: AbortSignal,
  ): Promise<readonly Row[]> {
    const { layout, settings } = this.#options;
    const { answer, settled } = await this.#reads.read(async ({ limit, ...request }) => {
      const asked = keys.slice(0, limit);
      const read = await settings.reader.readKeys({ layout, keys: asked, ...request, signal });
      const { length } = read.unanswered;
      return {
        ...read,
        rows: new ValueImages(layout, read.rows),
        asked: asked.length,
        answered: asked.length - length,
        isCut: length > 0,
      };
    }, signal);
    if (!(await this.#reads.confirm(settled, signal))) return keys;
    counts.read += answer.rows.count;
    counts.gone += answer.absent.length;
    counts.emitted += (await settled)?.emittedRows ?? 0;
    return [...answer.unanswered, ...keys.slice(answer.asked)];
  }
}
