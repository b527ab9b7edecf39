import { abortable } from '#kernel';
import { decodeKeyValues, encodeKeyValues, type Row, type RowSelection, type TableLayout } from '#change-events';
import { TableReadError } from '../tables/table-failures.ts';
import { type SettledWindow } from '../windows/window-registry.ts';
import { type TableReadSettings, WindowedRead } from '../windows/windowed-read.ts';

interface ChunkInFlight {
  readonly after: Row | null;
  /** As progress keeps it; null when the chunk had no row. */
  readonly lastKey: string | null;
  readonly complete: boolean;
  readonly rows: number;
  readonly settled: Promise<SettledWindow | null>;
}

export interface TableCopyOptions {
  readonly layout: TableLayout;
  readonly settings: TableReadSettings;
  /** Which rows; all when left out. */
  readonly selection?: RowSelection;
  /** Where to continue: the key of the last row that was recorded, as progress keeps it; null: the beginning. */
  readonly after: string | null;
  /** False once the table was asked for again: what is still unread will be read by the next pass. */
  readonly isWanted: () => boolean;
  /** Rows of the first chunk where a read of the table has failed before; else null. */
  readonly limit: number | null;
  /** Chunks of this table that may be in flight now. */
  readonly mostChunks: () => number;
  /** A chunk is confirmed: the key of its last row, null when it had none, how many rows it had and how many were emitted. */
  readonly record: (lastKey: string | null, rows: number, emitted: number) => Promise<void>;
}

/** Rows of the first chunk: nobody knows how wide they are. */
const FIRST_ROWS = 64;

/** The key that progress keeps; null, the beginning, when it is not one of this layout: the table has another key now. */
function keyToGoOnFrom(layout: TableLayout, lastKey: string | null): Row | null {
  if (lastKey === null) return null;
  try {
    return decodeKeyValues(layout, lastKey);
  } catch {
    return null;
  }
}

/** One pass over one table, or some of its rows: reads chunks ahead, records them in key order as they are confirmed. */
export class TableCopy {
  readonly #options: TableCopyOptions;
  readonly #chunks: WindowedRead;
  #inFlight: ChunkInFlight[] = [];
  #after: Row | null;
  /** Ends this pass once what was read before it is recorded. */
  #failure: TableReadError | null = null;

  constructor(copy: TableCopyOptions) {
    const { layout, settings, after, limit } = copy;
    this.#options = copy;
    this.#after = keyToGoOnFrom(layout, after);
    this.#chunks = new WindowedRead({
      ...settings,
      layout,
      size: {
        firstRows: limit ?? FIRST_ROWS,
        mostRows: settings.chunkRows,
        mostBytes: settings.chunkBytes,
        mostRowBytes: settings.reader.mostRowBytes,
        isCautious: limit !== null,
      },
    });
  }

  /**
   * Resolves with true when every row is read and confirmed; with false when the table was asked for
   * again. Rejects with a `TableReadError` when it can't be read: what was read before is recorded then.
   */
  async run(signal: AbortSignal): Promise<boolean> {
    let isReadOut = false;
    while (this.#options.isWanted()) {
      if (isReadOut && this.#inFlight.length === 0) {
        if (this.#failure !== null) throw this.#failure;
        return true;
      }
      if (!isReadOut && this.#inFlight.length < this.#ahead) {
        const chunk = await this.#readNext(signal);
        if (chunk !== null) this.#inFlight.push(chunk);
        isReadOut = chunk === null || chunk.complete;
        if (this.#inFlight.length === 0 || (!isReadOut && this.#inFlight.length < this.#ahead)) continue;
      }
      if (!(await this.#recordOldest(signal))) isReadOut = false;
    }
    // what is read already is emitted in its time: nothing of this pass comes after the next one's beginning
    for (const { settled } of this.#inFlight) await abortable(settled, signal);
    return false;
  }

  /** Chunks that may be in flight: one, until the width of a row is known. */
  get #ahead(): number {
    return this.#chunks.isWidthKnown ? this.#options.mostChunks() : 1;
  }

  /** Null when it failed. */
  async #readNext(signal: AbortSignal): Promise<ChunkInFlight | null> {
    const { layout, settings, selection } = this.#options;
    const after = this.#after;
    const which = { layout, after, ...(selection && { selection }) };
    try {
      const { answer, settled } = await this.#chunks.read(async (request) => {
        const chunk = await settings.reader.readChunk({ ...which, ...request, signal });
        const { rows, complete } = chunk;
        const last = rows.at(-1);
        const recordedKey = last === undefined ? null : encodeKeyValues(layout, last);
        return { ...chunk, recordedKey, answered: rows.length, isCut: !complete && rows.length < request.limit };
      }, signal);
      this.#after = answer.lastKey ?? after;
      const { recordedKey: lastKey, complete, answered: rows } = answer;
      return { after, lastKey, complete, rows, settled };
    } catch (error) {
      if (!(error instanceof TableReadError)) throw error;
      this.#failure = error;
      return null;
    }
  }

  /** Waits for the oldest chunk; false when it must be read again (and with it all that came after). */
  async #recordOldest(signal: AbortSignal): Promise<boolean> {
    const [chunk, ...rest] = this.#inFlight as [ChunkInFlight, ...ChunkInFlight[]];
    if (!(await this.#chunks.confirm(chunk.settled, signal))) return this.#startOver(chunk, signal);
    this.#inFlight = rest;
    await this.#options.record(chunk.lastKey, chunk.rows, (await chunk.settled)?.emittedRows ?? 0);
    return true;
  }

  async #startOver(chunk: ChunkInFlight, signal: AbortSignal): Promise<false> {
    const { layout, settings } = this.#options;
    settings.logger.info('a window was discarded, its chunk is read again', { table: layout.table });
    for (const { settled } of this.#inFlight) await abortable(settled, signal);
    this.#inFlight = [];
    this.#failure = null;
    this.#after = chunk.after;
    return false;
  }
}
