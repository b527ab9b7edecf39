import { type BigintMode } from './json-values.ts';
import { RowImages } from './row-images.ts';
import { type Row } from './table-layout.ts';

/** Some of the images of others, `placeOf` of them, in its order. */
export class SomeImages extends RowImages {
  readonly count: number;
  readonly #images: RowImages;
  readonly #placeOf: (index: number) => number;

  constructor(images: RowImages, count: number, placeOf: (index: number) => number) {
    super();
    this.count = count;
    this.#images = images;
    this.#placeOf = placeOf;
  }

  override row(index: number): Row {
    return this.#images.row(this.#placeOf(index));
  }

  override keyRow(index: number): Row {
    return this.#images.keyRow(this.#placeOf(index));
  }

  override jsonBound(index: number, bigint: BigintMode): number {
    return this.#images.jsonBound(this.#placeOf(index), bigint);
  }

  override writeJson(index: number, target: Buffer, at: number, bigint: BigintMode): number {
    return this.#images.writeJson(this.#placeOf(index), target, at, bigint);
  }

  override keyBound(index: number, bigint: BigintMode): number {
    return this.#images.keyBound(this.#placeOf(index), bigint);
  }

  override writeKey(index: number, target: Buffer, at: number, bigint: BigintMode): number {
    return this.#images.writeKey(this.#placeOf(index), target, at, bigint);
  }
}
