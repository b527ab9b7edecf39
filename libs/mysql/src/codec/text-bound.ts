import { type TableLayout } from '#change-events';
import { labelOf } from './json-members.ts';

/** Closing brace, and what writers may put after their end. */
const SLACK = 8;
/** Of a number that is written again: `-1.7976931348623157e+308`. More than `null`, the quotes of a string, or `{"wkb":"====","srid":4294967295}`. */
const MOST_CONSTANT = 48;
/** Most bytes that a byte of text becomes: `\u0000`. A vector at most fifteen (`-1.1754943e-38,`) of four, base64 four of three. */
const FACTOR = 6;

/** How many bytes the JSON of a row takes at most, for row and key: `constant + factor × bytes of its texts`. */
export class TextBound {
  readonly #constant: number;
  readonly #factor: number;
  readonly #keyConstant: number;

  constructor({ columns, key }: TableLayout) {
    const most = (indexes: readonly number[]): number =>
      indexes.reduce(
        (sum, index) => sum + labelOf(columns[index]?.name ?? '', false, true).length + MOST_CONSTANT,
        SLACK,
      );
    this.#keyConstant = most(key);
    this.#constant = Math.max(most([...columns.keys()]), this.#keyConstant);
    // a configured key may name a column more than once
    this.#factor = FACTOR * (key.length === new Set(key).size ? 1 : key.length);
  }

  bytes(textBytes: number): number {
    return this.#constant + this.#factor * textBytes;
  }

  /** Of the key alone, by the bytes of the texts of its columns. */
  keyBytes(textBytes: number): number {
    return this.#keyConstant + FACTOR * textBytes;
  }
}
