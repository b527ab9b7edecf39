import { mongo } from 'mongoose';

const FIRST_OF_NAME = 0x20;

/**
 * A value that the driver sends as it was stored, to the last byte: of any type, also a text that is not UTF-8, or what
 * an object of JavaScript can't hold (fields in another order, one name twice).
 *
 * The driver has no such class. It lets object ids write themselves, after their type and their name; this one takes the
 * type back. Names here are operators. It is no part of the driver's public interface: the driver is pinned, and tests
 * fail when it changes.
 */
export class RawValue extends mongo.ObjectId {
  readonly #type: number;
  readonly #bytes: Uint8Array;

  constructor(type: number, bytes: Uint8Array) {
    super();
    this.#type = type;
    this.#bytes = bytes;
  }

  serializeInto(target: Uint8Array, at: number): number {
    let typeAt = at - 2;
    while ((target[typeAt] as number) >= FIRST_OF_NAME) typeAt--;
    target[typeAt] = this.#type;
    target.set(this.#bytes, at);
    return this.#bytes.length;
  }
}
