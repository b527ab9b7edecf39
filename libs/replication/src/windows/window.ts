import { isSameLayout, keyText, type RowImages, SomeImages, type TableLayout } from '#change-events';

/** What a window knows a row by: equal for two images of one row however they are held. */
export function notedKey(images: RowImages, index: number): string {
  return keyText(images, index, 'number', 'latin1');
}

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
  }

  /** Whether keys of rows in the log are to be noted; a layout other than the window's discards it. */
  notes(layout: TableLayout): boolean {
    if (this.discardedBecause !== null) return false;
    if (isSameLayout(layout, this.layout)) return true;
    this.discard('the table changed its layout');
    return false;
  }

  note(key: string): void {
    if (this.#noted.has(key)) return;
    this.#noted.add(key);
    this.#bytes += 2 * key.length + 64;
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
  untouched(rows: RowImages): RowImages {
    const { count } = rows;
    if (this.#noted.size === 0 || count === 0) return rows;
    const places: number[] = [];
    for (let i = 0; i < count; i++) if (!this.#noted.has(notedKey(rows, i))) places.push(i);
    return places.length === count ? rows : new SomeImages(rows, places.length, (i) => places[i] as number);
  }
}
