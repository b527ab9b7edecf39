import { decodeKeyValues, encodeKeyValues, type Row, type TableLayout } from '#change-events';
import { Backoff, sleep, type Logger } from '#kernel';
import { abortable } from './abortable.ts';
import { type Pipeline } from './pipeline.ts';
import { type RowReader } from './ports/row-reader.ts';
import { type TableSnapshotProgress } from './ports/stores.ts';
import { ReadSize } from './read-size.ts';
import { TableReadError } from './table-failures.ts';
import { type SettledWindow } from './window-registry.ts';

/** How tables are read. */
export interface TableCopySettings {
  readonly pipeline: Pipeline;
  readonly reader: RowReader;
  readonly chunkRows: number;
  /** What a read may take in memory; chunks shrink so that one holds about as much in the sinks. */
  readonly chunkBytes: number;
  /** Chunks that may be read before the first of them is confirmed, of all tables that are being read. */
  readonly chunksInFlight: number;
  readonly pauseMs: number;
  readonly backoff: { readonly initialMs: number; readonly maxMs: number };
  readonly logger: Logger;
}

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
  readonly options: TableCopySettings;
  readonly progress: () => TableSnapshotProgress;
  /** False once the table was asked for again: what is still unread will be read by the next pass. */
  readonly isWanted: () => boolean;
  /** Rows of the first chunk where a read of the table has failed before; else null. */
  readonly limit: number | null;
  /** Chunks of this table that may be in flight now. */
  readonly mostChunks: () => number;
  readonly record: (lastKey: string | null, rowsRead: number) => Promise<void>;
}

/** Rows of the first chunk: nobody knows how wide they are. */
const FIRST_ROWS = 64;

/** The key that progress keeps; null, the beginning, when it is none of this layout: the table has another key now. */
function keyToGoOnFrom(layout: TableLayout, lastKey: string | null): Row | null {
  if (lastKey === null) return null;
  try {
    return decodeKeyValues(layout, lastKey);
  } catch {
    return null;
  }
}

/** One pass over one table: reads chunks ahead, records them in key order as they are confirmed. */
export class TableCopy {
  private readonly layout: TableLayout;
  private readonly options: TableCopySettings;
  private readonly progress: () => TableSnapshotProgress;
  private readonly isWanted: () => boolean;
  private readonly record: TableCopyOptions['record'];
  private readonly discardBackoff: Backoff;
  private readonly mostChunks: () => number;
  private inFlight: ChunkInFlight[] = [];
  private after: Row | null;
  private readonly size: ReadSize;
  private isWidthKnown = false;
  /** Ends this pass once what was read before it is recorded. */
  private failure: TableReadError | null = null;

  constructor({ layout, options, progress, isWanted, limit, mostChunks, record }: TableCopyOptions) {
    this.layout = layout;
    this.options = options;
    this.progress = progress;
    this.isWanted = isWanted;
    this.mostChunks = mostChunks;
    this.record = record;
    this.discardBackoff = new Backoff(options.backoff);
    this.after = keyToGoOnFrom(layout, progress().lastKey);
    this.size = new ReadSize({
      firstRows: limit ?? FIRST_ROWS,
      mostRows: options.chunkRows,
      mostBytes: options.chunkBytes,
      mostRowBytes: options.reader.mostRowBytes,
      isCautious: limit !== null,
    });
  }

  /**
   * Resolves with true when every row is read and confirmed; with false when the table was asked for
   * again. Rejects with a `TableReadError` when it can't be read: what was read before is recorded then.
   */
  async run(signal: AbortSignal): Promise<boolean> {
    let isReadOut = false;
    while (this.isWanted()) {
      if (isReadOut && this.inFlight.length === 0) {
        if (this.failure !== null) throw this.failure;
        return true;
      }
      if (!isReadOut && this.inFlight.length < this.ahead) {
        const chunk = await this.readNext(signal);
        if (chunk !== null) this.inFlight.push(chunk);
        isReadOut = chunk === null || chunk.complete;
        if (this.inFlight.length === 0 || (!isReadOut && this.inFlight.length < this.ahead)) continue;
      }
      if (!(await this.recordOldest(signal))) isReadOut = false;
    }
    // what is read already is emitted in its time: nothing of this pass comes behind the next one's beginning
    for (const { settled } of this.inFlight) await abortable(settled, signal);
    return false;
  }

  /** Chunks that may be in flight: one, until the width of a row is known. */
  private get ahead(): number {
    return this.isWidthKnown ? this.mostChunks() : 1;
  }

  /** Null when it failed. */
  private async readNext(signal: AbortSignal): Promise<ChunkInFlight | null> {
    for (;;) {
      const chunk = await this.read(signal);
      if (chunk !== 'too wide') return chunk;
    }
  }

  private async read(signal: AbortSignal): Promise<ChunkInFlight | 'too wide' | null> {
    const { pipeline, reader, pauseMs } = this.options;
    if (pauseMs > 0) await sleep(pauseMs, signal);
    const { after, layout, size } = this;
    const { rows: limit, bytes: maxBytes } = size;
    const window = await pipeline.beginRead(layout, maxBytes, signal);
    const { dispatchedSet } = window;
    try {
      const read = await reader.readChunk({ layout, after, limit, maxBytes, dispatchedSet, signal });
      const { rows, complete, bytes } = read;
      const isCut = !complete && rows.length < limit;
      size.noteRead({ rows: rows.length, bytes, isCut });
      if (isCut && rows.length === 0) {
        pipeline.abandonWindow(window);
        return 'too wide';
      }
      const settled = pipeline.closeWindow(window, read);
      settled.catch(() => undefined);
      this.after = read.lastKey ?? after;
      const last = rows.at(-1);
      const lastKey = last === undefined ? null : encodeKeyValues(layout, last);
      return { after, lastKey, complete, rows: rows.length, settled };
    } catch (cause) {
      pipeline.abandonWindow(window);
      signal.throwIfAborted();
      this.failure = new TableReadError(cause, limit);
      return null;
    }
  }

  /** Waits for the oldest chunk; false when it must be read again (and with it all that came after). */
  private async recordOldest(signal: AbortSignal): Promise<boolean> {
    const [chunk, ...rest] = this.inFlight as [ChunkInFlight, ...ChunkInFlight[]];
    const settled = await abortable(chunk.settled, signal);
    if (settled === null) return this.startOver(chunk, signal);
    await abortable(settled.confirmed, signal);
    this.inFlight = rest;
    this.discardBackoff.reset();
    if (settled.emittedRows > 0) this.isWidthKnown = true;
    this.size.noteHeld(settled.emittedRows, settled.heldBytes);
    const progress = this.progress();
    await this.record(chunk.lastKey ?? progress.lastKey, progress.rowsRead + chunk.rows);
    return true;
  }

  private async startOver(chunk: ChunkInFlight, signal: AbortSignal): Promise<false> {
    this.options.logger.info('a window was discarded, its chunk is read again', { table: this.layout.table });
    for (const { settled } of this.inFlight) await abortable(settled, signal);
    await sleep(this.discardBackoff.nextMs(), signal);
    this.inFlight = [];
    this.failure = null;
    this.after = chunk.after;
    this.size.noteDiscarded();
    return false;
  }
}
