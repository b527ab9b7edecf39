import {
  type GtidAccumulator,
  GtidSet,
  KeyImages,
  type Row,
  type RowImages,
  tableKey,
  type TableLayout,
  type TableName,
} from '#change-events';
import { notedKey, type Window } from './window.ts';

/** What a read gives to its window. */
export interface WindowRead {
  readonly rows: RowImages;
  /** Rows that the source lacks, of which only the key is known; left out by a read that asked for none by key. */
  readonly absent?: readonly Row[];
  /** What they take in memory; the bound of the read where that is not known. */
  readonly bytes?: number;
  /** See `ChunkRead`. */
  readonly high: string;
}

export interface SettledWindow {
  /** Rows, and ends of rows that the source lacks. */
  readonly emittedRows: number;
  /** What they hold in the sinks. */
  readonly heldBytes: number;
  /** Resolves when every sink has confirmed them. */
  readonly confirmed: Promise<void>;
}

/** Somebody who waits for the stream to come to a place. */
interface Passage {
  readonly isPassed: (passed: GtidAccumulator) => boolean;
  readonly pass: () => void;
  readonly fail: (error: unknown) => void;
}

interface WaitingWindow {
  readonly window: Window;
  /** Null once they are of no use any more. */
  found: Found | null;
  readonly high: GtidSet;
  readonly close: (settled: SettledWindow | null) => void;
  readonly fail: (error: unknown) => void;
}

/** What a read found: rows that are there, and rows that are not. */
interface Found {
  readonly rows: RowImages;
  readonly absent: RowImages;
}

type Emit = (window: Window, found: Found) => Pick<SettledWindow, 'heldBytes' | 'confirmed'>;

/** The open windows of one pipeline, by table; used only from the stream's own loop and between its steps. */
export class WindowRegistry {
  readonly #open = new Map<string, Set<Window>>();
  #waiting: WaitingWindow[] = [];
  #passages: Passage[] = [];
  /** Called, and forgotten, when a window is closed. */
  #closings: (() => void)[] = [];

  add(window: Window): void {
    const key = tableKey(window.layout);
    const windows = this.#open.get(key);
    if (windows === undefined) this.#open.set(key, new Set([window]));
    else windows.add(window);
  }

  remove(window: Window): void {
    const key = tableKey(window.layout);
    const windows = this.#open.get(key);
    windows?.delete(window);
    if (windows?.size === 0) this.#open.delete(key);
    const closings = this.#closings;
    this.#closings = [];
    for (const closed of closings) closed();
  }

  hasOpen(table: TableName): boolean {
    return this.#open.has(tableKey(table));
  }

  /** Resolves when the next window, of whatever table, is closed; also when all have failed. */
  waitUntilClosed(): Promise<void> {
    return new Promise((closed) => this.#closings.push(closed));
  }

  /** What open windows hold of rows, and what their reads may still come to (I9). */
  get readBytes(): number {
    let bytes = 0;
    for (const windows of this.#open.values()) for (const window of windows) bytes += window.readBytes;
    return bytes;
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  note(layout: TableLayout, before: RowImages | null, after: RowImages | null): void {
    const open = this.#open.get(tableKey(layout));
    if (open === undefined) return;
    const windows = [...open].filter((window) => window.notes(layout));
    const [first] = windows;
    if (first === undefined) return;
    try {
      for (const images of [before, after])
        for (let i = 0; i < (images?.count ?? 0); i++) {
          const key = notedKey(images as RowImages, i);
          for (const window of windows) window.note(key);
        }
    } catch {
      for (const window of windows) window.discard('a key of the log can not be decoded');
    }
    this.#keepWithin(first.maxNotedBytes);
  }

  /** All windows note within one bound (I9): where they pass it the newest is discarded, so that the oldest can end. */
  #keepWithin(maxBytes: number): void {
    let bytes = 0;
    for (const windows of this.#open.values()) for (const window of windows) bytes += window.notedBytes;
    while (bytes > maxBytes) {
      let newest: Window | null = null;
      for (const windows of this.#open.values())
        for (const window of windows)
          if (window.notedBytes > 0 && window.readSequence >= (newest?.readSequence ?? 0)) newest = window;
      if (newest === null) return;
      bytes -= newest.notedBytes;
      newest.discard('too many rows changed while chunks were read');
    }
  }

  /** Of one table, or with null of every table of the database. */
  discard(database: string, table: string | null, reason: string): void {
    for (const windows of this.#open.values())
      for (const window of windows) {
        const { layout } = window;
        if (layout.database === database && (table === null || layout.table === table)) window.discard(reason);
      }
  }

  /** Resolves when the stream has passed everything that a read saw. */
  waitUntilPassed(read: Pick<WindowRead, 'high'>): Promise<void> {
    const high = GtidSet.parse(read.high);
    return this.waitUntil((passed) => passed.contains(high));
  }

  /** Resolves when `isPassed` is true at the end of a transaction. */
  waitUntil(isPassed: Passage['isPassed']): Promise<void> {
    return new Promise((pass, fail) => {
      this.#passages.push({ isPassed, pass, fail });
    });
  }

  /**
   * Hands the rows of a read to its window. Resolves when the stream has passed everything that the read saw: the window
   * was closed, or, with null, had been discarded; reading again earlier would see what the stream is not at yet.
   */
  await(window: Window, { rows, absent = [], high }: WindowRead): Promise<SettledWindow | null> {
    const saw = GtidSet.parse(high);
    return new Promise((close, fail) => {
      const found = { rows, absent: new KeyImages(window.layout, absent) };
      this.#waiting.push({ window, found, high: saw, close, fail });
    });
  }

  /** Call at each transaction end, and when a read is handed in between transactions. True when less is held of rows. */
  settle(passed: GtidAccumulator, emit: Emit): boolean {
    if (this.#passages.length > 0)
      this.#passages = this.#passages.filter(({ isPassed, pass }) => {
        const isThere = isPassed(passed);
        if (isThere) pass();
        return !isThere;
      });
    if (this.#waiting.length === 0) return false;
    const held = this.readBytes;
    this.#waiting = this.#waiting.filter((waiting) => !this.#close(waiting, passed, emit));
    return this.readBytes < held;
  }

  /** False while the stream is not there yet. */
  #close(waiting: WaitingWindow, passed: GtidAccumulator, emit: Emit): boolean {
    const { window, high, close } = waiting;
    if (window.discardedBecause !== null) {
      waiting.found = null;
      window.readBytes = 0;
    }
    if (!passed.contains(high)) return false;
    const { found } = waiting;
    this.remove(window);
    if (found === null) close(null);
    else {
      const [rows, absent] = [window.untouched(found.rows), window.untouched(found.absent)];
      close({ emittedRows: rows.count + absent.count, ...emit(window, { rows, absent }) });
    }
    return true;
  }

  failAll(error: unknown): void {
    for (const { fail } of [...this.#passages, ...this.#waiting]) fail(error);
    this.#passages = [];
    this.#waiting = [];
    this.#open.clear();
    for (const closed of this.#closings.splice(0)) closed();
  }
}
