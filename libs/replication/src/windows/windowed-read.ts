import { type TableLayout } from '#change-events';
import { abortable, Backoff, type Logger, sleep } from '#kernel';
import { type RowReader } from '../ports/row-reader.ts';
import { ReadSize, type ReadSizeOptions } from './read-size.ts';
import { reading } from '../tables/table-failures.ts';
import { type SettledWindow, type WindowRead } from './window-registry.ts';
import { type Window } from './window.ts';

/** Where reads of rows join the stream. Whoever has opened a window closes or abandons it. */
export interface ReadStream {
  /**
   * Opens a window on a table with a key, for a read of at most so many bytes, when what is held, by the sinks and by
   * reads, leaves room for it; from here on the table's changes are noted. Rejects with the signal's reason; when the
   * pipeline stops, only by that.
   */
  open(layout: TableLayout, bytes: number, signal: AbortSignal): Promise<Window>;
  /**
   * Emits the rows of a read that the log did not touch, in the stream's own order. Resolves with their number when
   * they are given to the sinks, and a promise of their confirmation; with null when the window was discarded and the
   * rows must be read again. Rejects, and has abandoned the window, when the pipeline stops.
   */
  close(window: Window, read: WindowRead): Promise<SettledWindow | null>;
  /** Nothing is emitted. May be called twice. */
  abandon(window: Window): void;
}

/** How tables are read. */
export interface TableReadSettings {
  readonly reads: ReadStream;
  readonly reader: RowReader;
  readonly chunkRows: number;
  /** What a read may take in memory; chunks shrink so that one holds about as much in the sinks. */
  readonly chunkBytes: number;
  readonly pauseMs: number;
  readonly backoff: { readonly initialMs: number; readonly maxMs: number };
  readonly logger: Logger;
}

/** What a read may ask for. */
export interface ReadRequest {
  /** Most rows, or keys. */
  readonly limit: number;
  readonly maxBytes: number;
  /** What the server must have executed before it is read. */
  readonly dispatchedSet: string;
}

export interface ReadAnswer extends WindowRead {
  /** What its rows take in memory. */
  readonly bytes: number;
  /** How many rows, or keys, it answers. */
  readonly answered: number;
  /** Whether the bound of bytes ended it. */
  readonly isCut: boolean;
}

export interface WindowedReadOptions {
  readonly layout: TableLayout;
  readonly reads: ReadStream;
  readonly size: ReadSizeOptions;
  readonly pauseMs: number;
  readonly backoff: { readonly initialMs: number; readonly maxMs: number };
}

/**
 * Reads of one table, one after the other, each within a window of its own: pauses, waits for room, opens, reads, and
 * closes. How much the next one asks for follows from what the last ones took.
 */
export class WindowedRead {
  readonly #options: WindowedReadOptions;
  readonly #size: ReadSize;
  readonly #backoff: Backoff;

  constructor(options: WindowedReadOptions) {
    this.#options = options;
    this.#size = new ReadSize(options.size);
    this.#backoff = new Backoff(options.backoff);
  }

  /** Whether it is known what rows take in the sinks. */
  get isWidthKnown(): boolean {
    return this.#size.isHeldWidthKnown;
  }

  /**
   * Asks until the bound lets something through. Give what is settled to `confirm`. Rejects with a `TableReadError` when
   * the table can't be read, with the signal's reason, and when the pipeline stops.
   */
  async read<Answer extends ReadAnswer>(
    ask: (request: ReadRequest) => Promise<Answer>,
    signal: AbortSignal,
  ): Promise<{ readonly answer: Answer; readonly settled: Promise<SettledWindow | null> }> {
    const { layout, reads, pauseMs } = this.#options;
    for (;;) {
      if (pauseMs > 0) await sleep(pauseMs, signal);
      const { rows: limit, bytes: maxBytes } = this.#size;
      const window = await reads.open(layout, maxBytes, signal);
      const { dispatchedSet } = window;
      const answer = await reading(ask({ limit, maxBytes, dispatchedSet }), limit).catch((error: unknown) => {
        reads.abandon(window);
        signal.throwIfAborted();
        throw error;
      });
      const { answered, bytes, isCut } = answer;
      this.#size.noteRead({ rows: answered, bytes, isCut });
      if (!isCut || answered > 0) {
        const settled = reads.close(window, answer);
        settled.catch(() => undefined);
        return { answer, settled };
      }
      reads.abandon(window);
    }
  }

  /**
   * Resolves with true when what was read is confirmed; with false, after a pause, when the window was discarded and it
   * must be read again.
   */
  async confirm(settled: Promise<SettledWindow | null>, signal: AbortSignal): Promise<boolean> {
    const window = await abortable(settled, signal);
    if (window === null) {
      this.#size.noteDiscarded();
      await sleep(this.#backoff.nextMs(), signal);
      return false;
    }
    await abortable(window.confirmed, signal);
    this.#backoff.reset();
    this.#size.noteHeld(window.emittedRows, window.heldBytes);
    return true;
  }
}
