import { crc32 } from 'node:zlib';

/** More is not needed: two transactions with one GTID and one second differ at the beginning. */
const MOST_BYTES = 1024 * 1024;
const SEPARATOR = '+';

/**
 * A short text of what a transaction of MariaDB's log holds, whose GTID events give no commit time but the second: CRC-32
 * of its first row images, and of its statements. How rows are cut into events does not matter, nor do table ids and
 * compression: a replica that writes the same transaction to its own log gets the same rows. Statements it may write in
 * another way (`DROP TABLE IF EXISTS`, `CREATE OR REPLACE`, no COMMIT), so they count on one server only.
 */
export class ContentDigest {
  #rows = 0;
  #size = 0;
  #statements = 0;

  begin(): void {
    this.#rows = this.#size = this.#statements = 0;
  }

  addRows(bytes: Buffer, start: number, end: number): void {
    const size = Math.min(end - start, MOST_BYTES - this.#size);
    if (size <= 0) return;
    this.#rows = crc32(bytes.subarray(start, start + size), this.#rows);
    this.#size += size;
  }

  addStatement(bytes: Buffer, start: number, end: number): void {
    if (!this.isFull) this.#statements = crc32(bytes.subarray(start, end), this.#statements);
  }

  /** What is added now changes nothing any more. */
  get isFull(): boolean {
    return this.#size === MOST_BYTES;
  }

  toString(): string {
    return `${hex(this.#rows)}/${this.#size}${SEPARATOR}${hex(this.#statements)}`;
  }
}

/** Whether two digests can be of one transaction, in the log of one server or in the logs of two. */
export function isSameContent(a: string, b: string, isSameServer: boolean): boolean {
  return isSameServer ? a === b : rowsPart(a) === rowsPart(b);
}

function rowsPart(digest: string): string {
  return digest.slice(0, digest.indexOf(SEPARATOR));
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
