import { GtidSet, type GtidAccumulator, type Row, type RowImages, type TableLayout } from '#change-events';
import { type Window } from './window.ts';
import { type ChunkRead } from './ports/row-reader.ts';

export interface SettledWindow {
  readonly emittedRows: number;
  /** Resolves when every sink has confirmed them. */
  readonly confirmed: Promise<void>;
}

interface WaitingWindow {
  readonly window: Window;
  readonly rows: readonly Row[];
  readonly high: GtidSet;
  readonly close: (settled: SettledWindow | null) => void;
  readonly fail: (error: unknown) => void;
}

function tableKey(database: string, table: string): string {
  return `${database}\0${table}`;
}

/** The open windows of one pipeline, by table; used only from the stream's own loop and between its steps. */
export class WindowRegistry {
  private readonly open = new Map<string, Set<Window>>();
  private waiting: WaitingWindow[] = [];

  add(window: Window): void {
    const key = tableKey(window.layout.database, window.layout.table);
    const windows = this.open.get(key);
    if (windows === undefined) this.open.set(key, new Set([window]));
    else windows.add(window);
  }

  remove(window: Window): void {
    const key = tableKey(window.layout.database, window.layout.table);
    const windows = this.open.get(key);
    windows?.delete(window);
    if (windows?.size === 0) this.open.delete(key);
  }

  get isEmpty(): boolean {
    return this.open.size === 0;
  }

  note(layout: TableLayout, before: RowImages | null, after: RowImages | null): void {
    const windows = this.open.get(tableKey(layout.database, layout.table));
    if (windows === undefined) return;
    for (const window of windows) {
      window.note(layout, before);
      window.note(layout, after);
    }
  }

  discard(database: string, table: string, reason: string): void {
    for (const window of this.open.get(tableKey(database, table)) ?? []) window.discard(reason);
  }

  /** Hands the rows of a read to its window; resolves when `settle` closed it, with null when it was discarded. */
  await(window: Window, read: ChunkRead): Promise<SettledWindow | null> {
    return new Promise((close, fail) => {
      this.waiting.push({ window, rows: read.rows, high: GtidSet.parse(read.high), close, fail });
    });
  }

  /** Call at each transaction end, and when a read is handed in between transactions. */
  settle(streamed: GtidAccumulator, emit: (window: Window, rows: readonly Row[]) => Promise<void>): void {
    if (this.waiting.length === 0) return;
    this.waiting = this.waiting.filter((waiting) => {
      const { window } = waiting;
      const discarded = window.discardedBecause !== null;
      if (!discarded && !streamed.contains(waiting.high)) return true;
      this.remove(window);
      if (discarded) waiting.close(null);
      else {
        const rows = window.untouched(waiting.rows);
        waiting.close({ emittedRows: rows.length, confirmed: emit(window, rows) });
      }
      return false;
    });
  }

  failAll(error: unknown): void {
    for (const waiting of this.waiting) waiting.fail(error);
    this.waiting = [];
    this.open.clear();
  }
}
