import { writeString } from './bytes.ts';
import { type BigintMode } from './json-values.ts';
import { compileJsonRowEncoder, compileKeyEncoder, type RowEncoder } from './row-encoder.ts';
import { type Row, type TableLayout } from './table-layout.ts';
import { findWideColumns, isWideRow, rowPieces } from './wide-json.ts';

/** Longest UTF-8 form of one UTF-16 unit, in bytes. */
const MOST_BYTES_OF_UNIT = 3;
/** How much longer the text of a key may be than the text of its row: doubles are written in another form. */
const KEY_SLACK_BYTES = 1024;

/**
 * Row images of one layout, held as their source holds them; values and JSON are made when asked for. Never changed
 * after they were made. Every method but `count` and `tryRow` throws a `DittoError` for an image that can't be decoded
 * exactly.
 */
export abstract class RowImages {
  abstract readonly count: number;

  /** The canonical values of one image; the same array each time. */
  abstract row(index: number): Row;

  /** An array with the canonical values of the key columns; what it has of others is not said. */
  keyRow(index: number): Row {
    return this.row(index);
  }

  /** Null for an image that can't be decoded: for those who need not say so, because a sink is given it as well. */
  tryRow(index: number): Row | null {
    try {
      return this.row(index);
    } catch {
      return null;
    }
  }

  /** Neither `writeJson` nor `writeKey` writes more bytes than this for the image; both throw where the target ends before. */
  abstract jsonBound(index: number, bigint: BigintMode): number;

  /** Writes the JSON object of the image, columns in order, at `at`; returns the end. */
  abstract writeJson(index: number, target: Buffer, at: number, bigint: BigintMode): number;

  /** `writeKey` writes no more bytes than this; often far less than `jsonBound`. Not for a layout without a key. */
  abstract keyBound(index: number, bigint: BigintMode): number;

  /** Writes the JSON object of the key columns in key order: the message key. Not for a layout without a key. */
  abstract writeKey(index: number, target: Buffer, at: number, bigint: BigintMode): number;
}

interface Encoders {
  readonly row: RowEncoder;
  readonly key: RowEncoder | null;
  readonly wideColumns: readonly number[];
}

const encoders: Readonly<Record<BigintMode, WeakMap<TableLayout, Encoders>>> = {
  number: new WeakMap(),
  string: new WeakMap(),
};

function encodersOf(layout: TableLayout, bigint: BigintMode): Encoders {
  let found = encoders[bigint].get(layout);
  if (found === undefined) {
    found = {
      row: compileJsonRowEncoder(layout, { bigint }),
      key: layout.key.length === 0 ? null : compileKeyEncoder(layout, { bigint }),
      wideColumns: findWideColumns(layout),
    };
    encoders[bigint].set(layout, found);
  }
  return found;
}

function keyEncoderOf(layout: TableLayout, bigint: BigintMode): RowEncoder {
  const encode = encodersOf(layout, bigint).key;
  if (encode === null) throw new RangeError(`${layout.database}.${layout.table} has no key`);
  return encode;
}

/** Images that are there as values: what was read with SELECT. */
export class ValueImages extends RowImages {
  readonly count: number;
  protected readonly layout: TableLayout;
  readonly #rows: readonly Row[];
  #textIndex = -1;
  #textMode: BigintMode = 'number';
  #text = '';

  constructor(layout: TableLayout, rows: readonly Row[]) {
    super();
    this.layout = layout;
    this.#rows = rows;
    this.count = rows.length;
  }

  override row(index: number): Row {
    return this.#rows[index] as Row;
  }

  override jsonBound(index: number, bigint: BigintMode): number {
    const pieces = this.widePieces(this.row(index), bigint);
    if (pieces === null) return this.#jsonText(index, bigint).length * MOST_BYTES_OF_UNIT;
    let bytes = KEY_SLACK_BYTES;
    for (const piece of pieces) bytes += Buffer.byteLength(piece);
    return bytes;
  }

  override writeJson(index: number, target: Buffer, at: number, bigint: BigintMode): number {
    const pieces = this.widePieces(this.row(index), bigint);
    if (pieces === null) return writeString(target, at, this.#jsonText(index, bigint));
    let end = at;
    for (const piece of pieces) end = writeString(target, end, piece);
    return end;
  }

  override keyBound(index: number, bigint: BigintMode): number {
    return keyEncoderOf(this.layout, bigint)(this.row(index)).length * MOST_BYTES_OF_UNIT;
  }

  override writeKey(index: number, target: Buffer, at: number, bigint: BigintMode): number {
    return writeString(target, at, keyEncoderOf(this.layout, bigint)(this.row(index)));
  }

  protected encode(row: Row, bigint: BigintMode): string {
    return encodersOf(this.layout, bigint).row(row);
  }

  /** The JSON of a row with a wide value; null for others. */
  protected widePieces(row: Row, bigint: BigintMode): Iterable<string> | null {
    const { wideColumns } = encodersOf(this.layout, bigint);
    return isWideRow(row, wideColumns) ? rowPieces(this.layout, row, bigint) : null;
  }

  /** Bound and bytes are asked for one after the other: the newest text is kept. */
  #jsonText(index: number, bigint: BigintMode): string {
    if (this.#textIndex !== index || this.#textMode !== bigint) {
      this.#text = this.encode(this.row(index), bigint);
      this.#textIndex = index;
      this.#textMode = bigint;
    }
    return this.#text;
  }
}

/**
 * Images of rows of which only the key is known, as `rowOfKey` makes them. Their JSON is the object of the key columns
 * alone: what is absent is not NULL. Only for a layout with a key.
 */
export class KeyImages extends ValueImages {
  protected override encode(row: Row, bigint: BigintMode): string {
    return keyEncoderOf(this.layout, bigint)(row);
  }

  protected override widePieces(): null {
    return null;
  }
}
