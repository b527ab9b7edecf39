import { abortable } from '#kernel';
import {
  decodeKeyValues,
  encodeKeyValues,
  type Row,
  rowOfKey,
  type RowSelection,
  type TableLayout,
} from '#change-events';
import { TableReadError } from '../tables/table-failures.ts';
import { type SettledWindow } from '../windows/window-registry.ts';
import { type TableReadSettings, WindowedRead } from '../windows/windowed-read.ts';

interface ChunkInFlight {
  readonly after: Row | null;
  /** As progress keeps it; null when the chunk had no row. */
  readonly lastKey: string | null;
  readonly rows: number;
  readonly settled: Promise<SettledWindow | null>;
}

/** Chunks that are confirmed, as one. */
interface Confirmed {
  readonly chunks: number;
  readonly lastKey: string | null;
  readonly rows: number;
  readonly emitted: number;
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
  /** Chunks of this table that may be in flight now: read, or being read, and not recorded. */
  readonly mostChunks: () => number;
  /**
   * Chunks are confirmed: the key of their last row, null when they had none, how many rows they had and how many were
   * emitted. Resolves when that is durable; not called again before.
   */
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

const NOTHING_CONFIRMED: Confirmed = { chunks: 0, lastKey: null, rows: 0, emitted: 0 };

/**
 * One pass over one table, or some of its rows. Three things go on side by side, each of them one at a time: the next
 * chunk is read; the oldest one that is read waits for the stream and the sinks; what they have confirmed is recorded, in
 * key order. None waits for another but for what it needs of it: a chunk counts as in flight until it is recorded, and no
 * more than `mostChunks` are, so that a crash has no more of them read again.
 */
export class TableCopy {
  readonly #options: TableCopyOptions;
  readonly #chunks: WindowedRead;
  #after: Row | null;
  #isReadOut = false;
  /** Read and not confirmed, the oldest first. */
  #inFlight: ChunkInFlight[] = [];
  /** Confirmed and not being recorded. */
  #confirmed = NOTHING_CONFIRMED;
  #recording = 0;
  /** Its window was discarded: it must be read again, and with it all that came after. */
  #discarded: ChunkInFlight | null = null;
  /** Ends this pass once what was read before it is recorded. */
  #failure: TableReadError | null = null;
  readonly #work = new Map<(signal: AbortSignal) => Promise<void>, Promise<void>>();

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
    const ended = new AbortController();
    const stop = AbortSignal.any([signal, ended.signal]);
    try {
      while (this.#options.isWanted()) {
        this.#startWork(stop);
        if (this.#work.size === 0) {
          if (this.#failure !== null) throw this.#failure;
          return true;
        }
        await Promise.race(this.#work.values());
      }
      // what is read already is emitted in its time: nothing of this pass comes after the next one's beginning
      await this.#work.get(this.#readNext);
      await this.#waitUntilSettled(signal);
      await Promise.all(this.#work.values());
      return false;
    } finally {
      ended.abort(new Error('the pass over the table has ended'));
      await Promise.allSettled(this.#work.values());
    }
  }

  #startWork(signal: AbortSignal): void {
    if (this.#confirmed.chunks > 0) this.#start(this.#record, signal);
    if (this.#discarded !== null) {
      if (!this.#work.has(this.#readNext)) this.#start(this.#startOver, signal);
      return;
    }
    if (this.#inFlight.length > 0) this.#start(this.#confirmOldest, signal);
    if (!this.#isReadOut && this.#chunksInFlight < this.#ahead) this.#start(this.#readNext, signal);
  }

  #start(step: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): void {
    if (this.#work.has(step)) return;
    this.#work.set(
      step,
      step(signal).finally(() => this.#work.delete(step)),
    );
  }

  get #chunksInFlight(): number {
    return this.#inFlight.length + this.#confirmed.chunks + this.#recording;
  }

  /** Chunks that may be in flight: one, until the width of a row is known. */
  get #ahead(): number {
    return this.#chunks.isWidthKnown ? this.#options.mostChunks() : 1;
  }

  readonly #readNext = async (signal: AbortSignal): Promise<void> => {
    const { layout, settings, selection } = this.#options;
    const after = this.#after;
    const which = { layout, after, ...(selection && { selection }) };
    try {
      const { answer, settled } = await this.#chunks.read(async (request) => {
        const chunk = await settings.reader.readImages({ ...which, ...request, signal });
        const answered = chunk.rows.count;
        return { ...chunk, answered, isCut: !chunk.complete && answered < request.limit };
      }, signal);
      const { lastKey, complete, answered: rows } = answer;
      const recordedKey = lastKey === null ? null : encodeKeyValues(layout, rowOfKey(layout, lastKey));
      this.#after = lastKey ?? after;
      this.#isReadOut = complete;
      this.#inFlight.push({ after, lastKey: recordedKey, rows, settled });
    } catch (error) {
      if (!(error instanceof TableReadError)) throw error;
      this.#failure = error;
      this.#isReadOut = true;
    }
  };

  readonly #confirmOldest = async (signal: AbortSignal): Promise<void> => {
    const [chunk] = this.#inFlight as [ChunkInFlight, ...ChunkInFlight[]];
    if (!(await this.#chunks.confirm(chunk.settled, signal))) {
      this.#discarded = chunk;
      return;
    }
    const emitted = (await chunk.settled)?.emittedRows ?? 0;
    this.#inFlight.shift();
    const { chunks, lastKey, rows, emitted: before } = this.#confirmed;
    this.#confirmed = {
      chunks: chunks + 1,
      lastKey: chunk.lastKey ?? lastKey,
      rows: rows + chunk.rows,
      emitted: before + emitted,
    };
  };

  readonly #record = async (): Promise<void> => {
    const { chunks, lastKey, rows, emitted } = this.#confirmed;
    this.#confirmed = NOTHING_CONFIRMED;
    this.#recording = chunks;
    await this.#options.record(lastKey, rows, emitted);
    this.#recording = 0;
  };

  readonly #startOver = async (signal: AbortSignal): Promise<void> => {
    const { layout, settings } = this.#options;
    settings.logger.info('a window was discarded, its chunk is read again', { table: layout.table });
    await this.#waitUntilSettled(signal);
    this.#after = (this.#discarded as ChunkInFlight).after;
    this.#inFlight = [];
    this.#discarded = null;
    this.#failure = null;
    this.#isReadOut = false;
  };

  async #waitUntilSettled(signal: AbortSignal): Promise<void> {
    // all at once: one that is confirmed meanwhile leaves the list
    await abortable(Promise.all(this.#inFlight.map(({ settled }) => settled)), signal);
  }
}
