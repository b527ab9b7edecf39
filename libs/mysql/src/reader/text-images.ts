import {
  type BigintMode,
  type CanonicalValue,
  type Row,
  RowImages,
  type TableLayout,
  ValueImages,
} from '#change-events';
import { sourceView, targetView } from '../codec/buffer-views.ts';
import { type TextCodec } from '../codec/text-codec.ts';
import { type SelectedTexts } from './selected-texts.ts';

/** Rows beyond this are measured exactly: their bound would be many times what they take. */
const MEASURED_BYTES = 64 * 1024;

/** Rows of a SELECT where the network has put them. All of them can be decoded; what need not be is not. */
export class TextImages extends RowImages {
  readonly count: number;
  /** What is held beside the texts, about: strings of two bytes for each unit. */
  readonly keptBytes: number;
  readonly #layout: TableLayout;
  readonly #texts: SelectedTexts;
  readonly #codec: TextCodec;
  /** Of the columns that `codec` keeps, row by row. */
  readonly #kept: (string | null)[] = [];
  #rows: Row[] | null = null;
  #largeIndex = -1;
  #large: ValueImages | null = null;

  /** Throws for rows that can't be decoded: who emits a read can not ask for it again. */
  constructor(layout: TableLayout, texts: SelectedTexts, codec: TextCodec) {
    super();
    this.#layout = layout;
    this.#texts = texts;
    this.#codec = codec;
    this.count = texts.count;
    texts.assertUtf8(codec.texts);
    let units = 0;
    if (codec.kept.length > 0)
      for (let index = 0; index < this.count; index++)
        for (const column of codec.kept) {
          const value = texts.value(index, column) as string | null;
          this.#kept.push(value);
          units += value?.length ?? 0;
        }
    this.keptBytes = 2 * units;
  }

  override row(index: number): Row {
    this.#rows ??= [];
    return (this.#rows[index] ??= this.#decode(index));
  }

  override keyRow(index: number): Row {
    const { columns, key } = this.#layout;
    const row = new Array<CanonicalValue>(columns.length).fill(null);
    for (const column of key) row[column] = this.#value(index, column);
    return row;
  }

  override jsonBound(index: number, bigint: BigintMode): number {
    const bytes = this.#bytes(index);
    return bytes > MEASURED_BYTES ? this.#measured(index).jsonBound(0, bigint) : this.#codec.bound.bytes(bytes);
  }

  override writeJson(index: number, target: Buffer, at: number, bigint: BigintMode): number {
    if (this.#bytes(index) > MEASURED_BYTES) return this.#measured(index).writeJson(0, target, at, bigint);
    const bytes = this.#texts.buffers[index] as Buffer;
    const write = this.#codec.writers(bigint).row;
    return write(this.#texts, index, this.#kept, bytes, sourceView(bytes), target, targetView(target), at);
  }

  override keyBound(index: number): number {
    let bytes = 0;
    for (const column of this.#layout.key)
      bytes += this.#texts.valueBytes(index, column) + (this.#keptOf(index, column)?.length ?? 0);
    return this.#codec.bound.keyBytes(bytes);
  }

  override writeKey(index: number, target: Buffer, at: number, bigint: BigintMode): number {
    const write = this.#codec.writers(bigint).key;
    if (write === null) throw new RangeError(`${this.#layout.database}.${this.#layout.table} has no key`);
    const bytes = this.#texts.buffers[index] as Buffer;
    return write(this.#texts, index, this.#kept, bytes, sourceView(bytes), target, targetView(target), at);
  }

  #decode(index: number): Row {
    return this.#layout.columns.map((_, column) => this.#value(index, column));
  }

  #value(index: number, column: number): CanonicalValue {
    const kept = this.#keptOf(index, column);
    return kept === undefined ? this.#texts.value(index, column) : kept;
  }

  /** Undefined for a column that is not kept. */
  #keptOf(index: number, column: number): string | null | undefined {
    const { kept, keptAt } = this.#codec;
    const at = keptAt[column] as number;
    return at === -1 ? undefined : this.#kept[index * kept.length + at];
  }

  /** Of the texts, and of what is kept of them in another form. */
  #bytes(index: number): number {
    let bytes = this.#texts.textBytes(index);
    const { length } = this.#codec.kept;
    for (let i = index * length; i < (index + 1) * length; i++) bytes += this.#kept[i]?.length ?? 0;
    return bytes;
  }

  /** Large rows are held as values too, once for all sinks. */
  #measured(index: number): ValueImages {
    if (this.#large === null || this.#largeIndex !== index) {
      this.#large = new ValueImages(this.#layout, [this.row(index)]);
      this.#largeIndex = index;
    }
    return this.#large;
  }
}
