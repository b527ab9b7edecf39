import { decodeKeyValues, encodeKeyValues, type Row, type TableLayout } from '#change-events';
import { Backoff, sleep, toDittoError, type Logger } from '#kernel';
import { abortable } from './abortable.ts';
import { type Pipeline } from './pipeline.ts';
import { type RowReader } from './ports/row-reader.ts';
import { type TableSnapshotProgress } from './ports/stores.ts';
import { type SettledWindow } from './window-registry.ts';

/** How tables are read. */
export interface TableCopySettings {
  readonly pipeline: Pipeline;
  readonly reader: RowReader;
  readonly chunkRows: number;
  /** Chunks shrink so that one holds about this much in the sinks. */
  readonly chunkBytes: number;
  /** Chunks that may be read before the first of them is confirmed. */
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
  readonly readSequence: number;
  readonly settled: Promise<SettledWindow | null>;
}

export interface TableCopyOptions {
  readonly layout: TableLayout;
  readonly options: TableCopySettings;
  readonly progress: () => TableSnapshotProgress;
  /** False once the table was asked for again: what is still unread will be read by the next pass. */
  readonly isWanted: () => boolean;
  readonly record: (lastKey: string | null, rowsRead: number, readSequence: number) => Promise<void>;
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
  private readonly backoff: Backoff;
  private readonly discardBackoff: Backoff;
  private inFlight: ChunkInFlight[] = [];
  private after: Row | null;
  private limit: number;
  private lastSequence = 0;
  /** Chunks that may be in flight: one, until the width of a row is known. */
  private ahead = 1;

  constructor({ layout, options, progress, isWanted, record }: TableCopyOptions) {
    this.layout = layout;
    this.options = options;
    this.progress = progress;
    this.isWanted = isWanted;
    this.record = record;
    this.backoff = new Backoff(options.backoff);
    this.discardBackoff = new Backoff(options.backoff);
    this.after = keyToGoOnFrom(layout, progress().lastKey);
    this.limit = Math.min(options.chunkRows, FIRST_ROWS);
  }

  /** Resolves with the newest read sequence when every row is read and confirmed; with null when it did not come to that. */
  async run(signal: AbortSignal): Promise<number | null> {
    let atEnd = false;
    while (this.isWanted()) {
      if (atEnd && this.inFlight.length === 0) return this.lastSequence;
      if (!atEnd && this.inFlight.length < this.ahead) {
        const chunk = await this.readNext(signal);
        if (chunk === 'layout-changed') break;
        if (chunk === null) continue;
        this.inFlight.push(chunk);
        atEnd = chunk.complete;
        if (!atEnd && this.inFlight.length < this.ahead) continue;
      }
      if (!(await this.recordOldest(signal))) atEnd = false;
    }
    // what is read already is emitted in its time: nothing of this pass comes behind the next one's beginning
    for (const { settled } of this.inFlight) await abortable(settled, signal);
    return null;
  }

  private async readNext(signal: AbortSignal): Promise<ChunkInFlight | 'layout-changed' | null> {
    const { pipeline, reader, pauseMs, logger } = this.options;
    if (pauseMs > 0) await sleep(pauseMs, signal);
    await pipeline.waitForRoom(signal);
    const window = pipeline.openWindow(this.layout);
    const { after, layout, limit } = this;
    try {
      const read = await reader.readChunk({ layout, after, limit, dispatchedSet: window.dispatchedSet, signal });
      const settled = pipeline.closeWindow(window, read);
      settled.catch(() => undefined);
      this.backoff.reset();
      this.after = read.lastKey ?? after;
      const last = read.rows.at(-1);
      const lastKey = last === undefined ? null : encodeKeyValues(layout, last);
      return {
        after,
        lastKey,
        complete: read.complete,
        rows: read.rows.length,
        readSequence: window.readSequence,
        settled,
      };
    } catch (cause) {
      pipeline.abandonWindow(window);
      signal.throwIfAborted();
      const error = toDittoError(cause);
      if (error.code === 'DITTO_SOURCE_LAYOUT_CHANGED') return 'layout-changed';
      if (!error.retriable) throw error;
      const delayMs = this.backoff.nextMs();
      logger.warn('a chunk could not be read, trying again', {
        table: layout.table,
        code: error.code,
        error: error.message,
        delayMs,
      });
      await sleep(delayMs, signal);
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
    this.adaptLimit(chunk.rows, settled.emittedRows);
    const progress = this.progress();
    await this.record(chunk.lastKey ?? progress.lastKey, progress.rowsRead + chunk.rows, chunk.readSequence);
    this.lastSequence = chunk.readSequence;
    return true;
  }

  private async startOver(chunk: ChunkInFlight, signal: AbortSignal): Promise<false> {
    this.options.logger.info('a window was discarded, its chunk is read again', { table: this.layout.table });
    for (const { settled } of this.inFlight) await abortable(settled, signal);
    await sleep(this.discardBackoff.nextMs(), signal);
    this.inFlight = [];
    this.after = chunk.after;
    this.limit = Math.max(16, this.limit >> 1);
    return false;
  }

  /** Grows towards `chunkRows`, unless rows are so wide that a chunk would hold more than `chunkBytes`. */
  private adaptLimit(rows: number, emittedRows: number): void {
    const { chunkRows, chunkBytes, pipeline } = this.options;
    const widest = emittedRows === 0 ? this.limit : Math.max(1, Math.floor(chunkBytes / pipeline.averageReadBytes));
    if (emittedRows > 0) this.ahead = this.options.chunksInFlight;
    if (rows >= this.limit || widest < this.limit)
      this.limit = Math.max(1, Math.min(chunkRows, this.limit * 2, widest));
  }
}
