import { type BigintMode } from '#change-events';
import { type ImageColumn } from '../layout/stream-layout.ts';
import { type PhysicalColumn } from '../layout/wire-types.ts';
import { compileImageSkip, type ImageSkip } from './image-skip.ts';
import { compileKeyWriter, compileRowWriter, type ImageWriter } from './image-writer.ts';
import { JsonBound } from './json-bound.ts';
import { compileRowDecoder, type RowDecoder } from './row-decoder.ts';

/** Bytes to JSON without JavaScript values between. */
export interface ImageWriters {
  readonly row: ImageWriter;
  /** Null for a table without a key. */
  readonly key: ImageWriter | null;
}

/**
 * Everything that is compiled for the full row images of a layout, each part when it is first needed. `skip` comes
 * first for every image: it proves the lengths that the other parts trust. Excluded columns lie in the images and are
 * passed over by their length; nothing looks into them.
 */
export class RowCodec {
  readonly skip: ImageSkip;
  readonly bound: JsonBound;
  /** By column of the image: its index in the rows, -1 where it is passed over. */
  readonly places: readonly number[];
  readonly #columns: readonly ImageColumn[];
  readonly #key: readonly number[];
  #decode: RowDecoder | null = null;
  #number: ImageWriters | null = null;
  #string: ImageWriters | null = null;

  /** `key`: indexes of `columns`. */
  constructor(columns: readonly ImageColumn[], key: readonly number[]) {
    this.#columns = columns;
    this.#key = key;
    this.skip = compileImageSkip(columns.map(({ physical }) => physical));
    this.bound = new JsonBound(columns, key);
    let count = 0;
    this.places = columns.map(({ column }) => (column === null ? -1 : count++));
  }

  /** Whether these columns lie in their images as the columns of this codec do; their layouts must be equal. */
  reads(columns: readonly ImageColumn[]): boolean {
    return (
      columns.length === this.#columns.length &&
      columns.every(({ physical, column }, i) => {
        const own = this.#columns[i];
        return own !== undefined && (column === null) === (own.column === null) && isSame(physical, own.physical);
      })
    );
  }

  get decode(): RowDecoder {
    return (this.#decode ??= compileRowDecoder(this.#columns));
  }

  writers(bigint: BigintMode): ImageWriters {
    if (bigint === 'number') return (this.#number ??= this.#compileWriters(bigint));
    return (this.#string ??= this.#compileWriters(bigint));
  }

  #compileWriters(bigint: BigintMode): ImageWriters {
    const options = { bigint };
    return {
      row: compileRowWriter(this.#columns, options),
      key: this.#key.length === 0 ? null : compileKeyWriter(this.#columns, this.#key, options),
    };
  }
}

function isSame(a: PhysicalColumn, b: PhysicalColumn): boolean {
  return (
    a.type === b.type &&
    a.size === b.size &&
    a.maxLength === b.maxLength &&
    a.precision === b.precision &&
    a.scale === b.scale
  );
}
