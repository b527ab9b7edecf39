export interface ReadSizeOptions {
  /** Rows of the first read: nobody knows how wide they are. */
  readonly firstRows: number;
  readonly mostRows: number;
  /** What a read may take in memory. */
  readonly mostBytes: number;
  /** See `RowReader`. */
  readonly mostRowBytes: number;
  /** Whether larger reads have failed: the next ones grow by little. */
  readonly isCautious: boolean;
}

/** Rows of some width fill this share of the bound, so that a few wider ones among them do not end the read. */
const FILLED = 1 / 2;
/** Smaller bounds save nothing. */
const LEAST_BYTES = 1024 * 1024;
/** Windows that are discarded make reads smaller down to this. */
const LEAST_ROWS_AFTER_DISCARD = 16;

/**
 * How much the next read of a table asks for: as many rows as the width of those read last leaves room for, growing step
 * by step, and a bound of bytes that holds if they are wider (I9). Rows wider than the bound are read one by one.
 */
export class ReadSize {
  readonly #options: ReadSizeOptions;
  #limit: number;
  /** What a row took at the last read, on average; null before the first one. */
  #width: number | null = null;
  /** What a row of the last read held in the sinks, on average; null until rows were given to them. */
  #heldWidth: number | null = null;
  #isAlone = false;

  constructor(options: ReadSizeOptions) {
    this.#options = options;
    this.#limit = Math.max(1, Math.min(options.mostRows, options.firstRows));
  }

  get rows(): number {
    return this.#limit;
  }

  get isHeldWidthKnown(): boolean {
    return this.#heldWidth !== null;
  }

  get bytes(): number {
    const { mostBytes, mostRowBytes } = this.#options;
    if (this.#isAlone) return mostRowBytes;
    if (this.#width === null) return mostBytes;
    return Math.min(mostBytes, Math.max(LEAST_BYTES, Math.ceil((this.#limit * this.#width) / FILLED)));
  }

  /** `rows`: those that the read gave, and those that it found to be gone; `isCut`: whether the bound ended it. */
  noteRead({ rows, bytes, isCut }: { readonly rows: number; readonly bytes: number; readonly isCut: boolean }): void {
    if (rows === 0) {
      if (!isCut) return;
      this.#isAlone = true;
      this.#limit = 1;
      return;
    }
    this.#width = bytes / rows;
    this.#isAlone = this.#width > this.#options.mostBytes;
    this.#bind(isCut ? Math.min(this.#limit, rows) : rows < this.#limit ? this.#limit : this.#more);
  }

  /** Rows of a read held so many bytes in the sinks. */
  noteHeld(rows: number, bytes: number): void {
    if (rows === 0) return;
    this.#heldWidth = bytes / rows;
    this.#bind(this.#limit);
  }

  noteDiscarded(): void {
    this.#limit = Math.min(this.#limit, Math.max(LEAST_ROWS_AFTER_DISCARD, this.#limit >> 1));
  }

  get #more(): number {
    return this.#options.isCautious ? this.#limit + Math.ceil(this.#limit / 16) : this.#limit * 2;
  }

  #bind(wanted: number): void {
    const { mostRows, mostBytes } = this.#options;
    const width = this.#width;
    const heldWidth = this.#heldWidth;
    const byWidth = Math.floor((mostBytes * FILLED) / Math.max(1, width ?? 0));
    const byHeld = Math.floor(mostBytes / Math.max(1, heldWidth ?? 0));
    this.#limit = Math.max(1, Math.min(mostRows, wanted, byWidth, byHeld));
  }
}
