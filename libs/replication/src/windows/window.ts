import { compileKeyEncoder, isSameLayout, type Row, type RowImages, type TableLayout } from '#change-events';

/** What the stream noted of a table since a window was opened. */
export class Window {
  readonly id: string;
  readonly layout: TableLayout;
  readonly readSequence: number;
  /** The dispatched set when the window was opened. */
  readonly dispatchedSet: string;
  discardedBecause: string | null = null;
  /** When its rows had been read, by the clock of this process. */
  readAtMs = 0;
  /** What its read may take in memory until that is done, then what the rows take that wait for the stream. */
  readBytes = 0;
  readonly #keyOf: (row: Row) => string;
  readonly #noted = new Set<string>();
  #bytes = 0;
  /** What all windows together may note. */
  readonly maxNotedBytes: number;

  constructor(options: {
    readonly id: string;
    readonly layout: TableLayout;
    readonly readSequence: number;
    readonly dispatchedSet: string;
    readonly maxNotedBytes: number;
  }) {
    this.id = options.id;
    this.layout = options.layout;
    this.readSequence = options.readSequence;
    this.dispatchedSet = options.dispatchedSet;
    this.maxNotedBytes = options.maxNotedBytes;
    this.#keyOf = compileKeyEncoder(options.layout);
  }

  /** Notes the keys of row images from the log; a layout other than the window's discards it. */
  note(layout: TableLayout, images: RowImages | null): void {
    if (images === null || this.discardedBecause !== null) return;
    if (!isSameLayout(layout, this.layout)) {
      this.discard('the table changed its layout');
      return;
    }
    for (let i = 0; i < images.count; i++) {
      const row = images.tryRow(i);
      if (row === null) {
        this.discard('a row of the log can not be decoded');
        return;
      }
      const key = this.#keyOf(row);
      if (this.#noted.has(key)) continue;
      this.#noted.add(key);
      this.#bytes += 2 * key.length + 64;
    }
  }

  discard(reason: string): void {
    this.discardedBecause ??= reason;
    this.#noted.clear();
    this.#bytes = 0;
  }

  /** What the noted keys take in memory. */
  get notedBytes(): number {
    return this.#bytes;
  }

  /** The rows that the log did not touch since the window was opened. */
  untouched(rows: readonly Row[]): Row[] {
    if (this.#noted.size === 0) return rows.slice();
    return rows.filter((row) => !this.#noted.has(this.#keyOf(row)));
  }
}
