import { isAscii } from 'node:buffer';
import { type CanonicalValue, type TableLayout, TextRows } from '#change-events';
import { assertUtf8, UndecodableTextError } from '../values/charset.ts';
import { layoutChanged, textInvalid } from './read-errors.ts';

/** Rows of a SELECT, with the errors of a reader. */
export class SelectedTexts extends TextRows {
  readonly #layout: TableLayout;

  constructor(layout: TableLayout, ...rows: ConstructorParameters<typeof TextRows>) {
    super(...rows);
    this.#layout = layout;
  }

  override value(index: number, column: number): CanonicalValue {
    try {
      return super.value(index, column);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  /** Throws for the first row with a value in one of these columns that is not UTF-8. */
  assertUtf8(columns: readonly number[]): void {
    if (columns.length === 0) return;
    for (let index = 0; index < this.count; index++) if (!this.#isAscii(index)) this.#assertRow(index, columns);
  }

  /** What a value's bytes take in the row, of all columns. */
  textBytes(index: number): number {
    const { places, columns } = this;
    const first = 2 * index * columns.length;
    let bytes = 0;
    for (let at = first; at < first + 2 * columns.length; at += 2)
      bytes += (places[at + 1] as number) - (places[at] as number);
    return bytes;
  }

  valueBytes(index: number, column: number): number {
    const at = 2 * (index * this.columns.length + column);
    return (this.places[at + 1] as number) - (this.places[at] as number);
  }

  /** All of its bytes, the lengths between the values too: most rows are. */
  #isAscii(index: number): boolean {
    const { places, columns, buffers } = this;
    const first = 2 * index * columns.length;
    const end = places[first + 2 * columns.length - 1] as number;
    const start = places[first] as number;
    return start >= 0 && end >= 0 && isAscii((buffers[index] as Buffer).subarray(start, end));
  }

  #assertRow(index: number, columns: readonly number[]): void {
    const { places, buffers } = this;
    for (const column of columns) {
      const at = 2 * (index * this.columns.length + column);
      const start = places[at] as number;
      if (start === -1) continue;
      try {
        assertUtf8(buffers[index] as Buffer, start, places[at + 1] as number);
      } catch (error) {
        throw this.#refusal(error);
      }
    }
  }

  #refusal(error: unknown): Error {
    return error instanceof UndecodableTextError
      ? textInvalid(this.#layout, error)
      : layoutChanged(this.#layout, error);
  }
}
