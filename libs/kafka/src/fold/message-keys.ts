import {
  type BigintMode,
  compileKeyEncoder,
  decodeJsonKey,
  type Row,
  type RowEncoder,
  type TableLayout,
} from '#change-events';

/** Keys of rows as the messages of a topic have them. */
export class MessageKeys {
  readonly #bigint: BigintMode;
  readonly #encoders = new WeakMap<TableLayout, RowEncoder>();

  /** `bigint`: as the source's messages have it. */
  constructor(bigint: BigintMode) {
    this.#bigint = bigint;
  }

  encode(layout: TableLayout, key: Row): Buffer {
    const encode = this.#encoders.get(layout) ?? compileKeyEncoder(layout, { bigint: this.#bigint });
    this.#encoders.set(layout, encode);
    return Buffer.from(encode(key));
  }

  /** Null for what is no key of the layout, or not written as Ditto writes it. */
  decode(layout: TableLayout, bytes: Buffer): Row | null {
    const key = decodeJsonKey(layout, bytes, this.#bigint);
    return key !== null && bytes.equals(this.encode(layout, key)) ? key : null;
  }
}
