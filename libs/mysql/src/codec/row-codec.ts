import { type BigintMode } from '#change-events';
import { type DecodableColumn } from '../layout/stream-layout.ts';
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
 * first for every image: it proves the lengths that the other parts trust.
 */
export class RowCodec {
  readonly skip: ImageSkip;
  readonly bound: JsonBound;
  readonly #columns: readonly DecodableColumn[];
  readonly #key: readonly number[];
  #decode: RowDecoder | null = null;
  #number: ImageWriters | null = null;
  #string: ImageWriters | null = null;

  constructor(columns: readonly DecodableColumn[], key: readonly number[]) {
    this.#columns = columns;
    this.#key = key;
    this.skip = compileImageSkip(columns.map(({ physical }) => physical));
    this.bound = new JsonBound(columns, key);
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
