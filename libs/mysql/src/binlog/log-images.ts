import { type BigintMode, type Row, RowImages, type TableLayout, ValueImages } from '#change-events';
import { DittoError, RESYNC } from '#kernel';
import { sourceView, targetView } from '../codec/buffer-views.ts';
import { type RowCodec } from '../codec/row-codec.ts';
import { UndecodableTextError } from '../values/charset.ts';
import { JsonDiffError } from '../values/json-diff.ts';
import { type LogPlace, withPlace } from './stream-stops.ts';

/** The row images of one rows event where they lie: images of an update come in pairs, before and after. */
export interface EventImages {
  /** Must stay as they are: values are read when they are asked for. */
  readonly bytes: Buffer;
  /** Where each image starts, and at last where the newest ends. */
  readonly offsets: readonly number[];
  readonly layout: TableLayout;
  readonly codec: RowCodec;
  readonly place: LogPlace;
}

/** Images beyond this are measured exactly: their bound would be many times what they take. */
const MEASURED_BYTES = 64 * 1024;

/** Every image of an event, or every second one; nothing is decoded before it is asked for. */
export class LogImages extends RowImages {
  readonly count: number;
  readonly #event: EventImages;
  readonly #first: number;
  readonly #stride: number;
  #rows: Row[] | null = null;
  #largeIndex = -1;
  #large: ValueImages | null = null;

  constructor(event: EventImages, first: 0 | 1, stride: 1 | 2) {
    super();
    this.#event = event;
    this.#first = first;
    this.#stride = stride;
    this.count = (event.offsets.length - 1) / stride;
  }

  override row(index: number): Row {
    this.#rows ??= [];
    return (this.#rows[index] ??= this.#decode(index));
  }

  override jsonBound(index: number, bigint: BigintMode): number {
    const { codec } = this.#event;
    const bytes = this.#bytes(index);
    if (bytes > MEASURED_BYTES) return this.#measured(index).jsonBound(0, bigint);
    return codec.bound.bytes(bytes);
  }

  override writeJson(index: number, target: Buffer, at: number, bigint: BigintMode): number {
    if (this.#bytes(index) > MEASURED_BYTES) return this.#measured(index).writeJson(0, target, at, bigint);
    const { bytes, offsets, codec } = this.#event;
    const start = offsets[this.#first + index * this.#stride] as number;
    try {
      return codec.writers(bigint).row(bytes, sourceView(bytes), start, target, targetView(target), at);
    } catch (error) {
      throw this.#undecodable(error);
    }
  }

  override keyBound(index: number): number {
    return this.#event.codec.bound.keyBytes(this.#bytes(index));
  }

  override writeKey(index: number, target: Buffer, at: number, bigint: BigintMode): number {
    const { bytes, offsets, codec, layout } = this.#event;
    const write = codec.writers(bigint).key;
    if (write === null) throw new RangeError(`${layout.database}.${layout.table} has no key`);
    const start = offsets[this.#first + index * this.#stride] as number;
    try {
      return write(bytes, sourceView(bytes), start, target, targetView(target), at);
    } catch (error) {
      throw this.#undecodable(error);
    }
  }

  #bytes(index: number): number {
    const { offsets } = this.#event;
    const i = this.#first + index * this.#stride;
    return (offsets[i + 1] as number) - (offsets[i] as number);
  }

  #decode(index: number): Row {
    const { bytes, offsets, codec } = this.#event;
    try {
      return codec.decode(bytes, offsets[this.#first + index * this.#stride] as number);
    } catch (error) {
      throw this.#undecodable(error);
    }
  }

  /** One large image at a time is held as values too. */
  #measured(index: number): ValueImages {
    if (this.#large === null || this.#largeIndex !== index) {
      this.#large = new ValueImages(this.#event.layout, [this.row(index)]);
      this.#largeIndex = index;
    }
    return this.#large;
  }

  #undecodable(cause: unknown): DittoError {
    const { layout, place } = this.#event;
    return withPlace(cause instanceof DittoError ? cause : undecodable(layout, cause), place);
  }
}

/** What becomes of an error while a row is decoded. */
export function undecodable({ database, table }: TableLayout, cause: unknown): DittoError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  const { code, remedy } = undecodableCode(cause);
  return new DittoError(code, `a row of ${database}.${table} can't be decoded: ${detail}`, {
    remedy: `${remedy}; then ${RESYNC}.`,
    context: { database, table },
    cause,
  });
}

function undecodableCode(cause: unknown): { code: string; remedy: string } {
  if (cause instanceof JsonDiffError)
    return { code: 'DITTO_SOURCE_PARTIAL_JSON', remedy: "SET PERSIST binlog_row_value_options = ''" };
  const code = cause instanceof UndecodableTextError ? 'DITTO_SOURCE_TEXT_INVALID' : 'DITTO_SOURCE_ROW_UNDECODABLE';
  return { code, remedy: 'Exclude the column or the table, or correct the value on the source' };
}
