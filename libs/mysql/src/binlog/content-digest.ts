import { crc32 } from 'node:zlib';

/** More tells nothing that is needed: two transactions with one GTID and one second differ at the beginning. */
const MOST_BYTES = 1024 * 1024;

/**
 * A short text of what a transaction of MariaDB's log holds, whose GTID events tell no commit time but the second: CRC-32
 * of the first row images and statement texts. How rows are cut into events does not matter, nor do table ids and
 * compression: a replica that writes the same transaction to its own log gets the same digest.
 */
export class ContentDigest {
  #crc = 0;
  #size = 0;

  begin(): void {
    this.#crc = 0;
    this.#size = 0;
  }

  add(bytes: Buffer, start: number, end: number): void {
    const size = Math.min(end - start, MOST_BYTES - this.#size);
    if (size <= 0) return;
    this.#crc = crc32(bytes.subarray(start, start + size), this.#crc);
    this.#size += size;
  }

  /** What is added now changes nothing any more. */
  get isFull(): boolean {
    return this.#size === MOST_BYTES;
  }

  toString(): string {
    return `${this.#crc.toString(16).padStart(8, '0')}/${this.#size}`;
  }
}
