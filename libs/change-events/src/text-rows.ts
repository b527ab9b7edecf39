import { type CanonicalValue, type Row } from './table-layout.ts';

/** Rows of a read in the form in which they came. Canonical values are made when they are asked for, and not kept. */
export abstract class ReadRows {
  abstract readonly count: number;

  /** Throws a `DittoError` for a row that can't be decoded exactly. */
  abstract row(index: number): Row;
}

/** Rows that came as values. */
export class ValueRows extends ReadRows {
  readonly count: number;
  readonly #rows: readonly Row[];

  constructor(rows: readonly Row[]) {
    super();
    this.#rows = rows;
    this.count = rows.length;
  }

  override row(index: number): Row {
    return this.#rows[index] as Row;
  }
}

/** What the bytes of a column's values are. */
export interface TextColumn {
  readonly decode: (bytes: Buffer, start: number, end: number) => CanonicalValue;
  /**
   * Whether the bytes are MySQL's own text of the value: digits, UTF-8 (not proven to be that), a date and a time with a
   * space between, or the bytes of what is no text. False: only `decode` knows what they mean.
   */
  readonly isPlain: boolean;
}

/** Where the values of rows are, row by row, in column order. */
export interface TextPlaces {
  /** Of each row the buffer that it lies in; must stay as it is. */
  readonly buffers: readonly Buffer[];
  /** Of each value where it begins in that buffer, -1 for NULL, and where it ends. */
  readonly places: Int32Array;
}

/** Rows as texts, where the network has put them. */
export class TextRows extends ReadRows implements TextPlaces {
  readonly count: number;
  readonly columns: readonly TextColumn[];
  readonly buffers: readonly Buffer[];
  readonly places: Int32Array;

  constructor(columns: readonly TextColumn[], { buffers, places }: TextPlaces) {
    super();
    this.columns = columns;
    this.buffers = buffers;
    this.places = places;
    this.count = buffers.length;
  }

  override row(index: number): Row {
    return this.columns.map((_, column) => this.value(index, column));
  }

  value(index: number, column: number): CanonicalValue {
    const at = 2 * (index * this.columns.length + column);
    const start = this.places[at] as number;
    if (start === -1) return null;
    return (this.columns[column] as TextColumn).decode(
      this.buffers[index] as Buffer,
      start,
      this.places[at + 1] as number,
    );
  }
}
