import { isSameLayout, type RowImages, SomeImages, type TableLayout } from '#change-events';

/** The key of one row at a time: an index of InnoDB has at most 3,072 bytes, a character in JSON takes at most 6 for each. */
const sharedKey = Buffer.allocUnsafeSlow(64 * 1024);

/** The bytes of its message key, as text: equal for two images of one row however they are held. */
function keyText(images: RowImages, index: number): string {
  return sharedKey.toString('latin1', 0, images.writeKey(index, sharedKey, 0, 'number'));
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

  /** Notes the keys of row images from the log; a layout other than the window's discards it. */
  note(layout: TableLayout, images: RowImages | null): void {
    if (images === null || this.discardedBecause !== null) return;
    if (!isSameLayout(layout, this.layout)) {
      this.discard('the table changed its layout');
      return;
    }
    try {
      for (let i = 0; i < images.count; i++) this.#add(keyText(images, i));
    } catch {
      this.discard('a key of the log can not be decoded');
    }
  }

  #add(key: string): void {
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
    for (let i = 0; i < count; i++) if (!this.#noted.has(keyText(rows, i))) places.push(i);
    return places.length === count ? rows : new SomeImages(rows, places.length, (i) => places[i] as number);
  }
}
