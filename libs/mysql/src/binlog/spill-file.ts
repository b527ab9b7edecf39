import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { DittoError } from '#kernel';

export const BLOCK_BYTES = 64 * 1024;

/**
 * Blocks of bytes on disk, for what must wait longer than memory allows. The file has no name from its first moment on,
 * so that nothing is left of it however the process ends; freed blocks are used again. Made at the first write.
 */
export class SpillFile {
  readonly #folder: string;
  #file: number | null = null;
  #blocks = 0;
  readonly #free: number[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Blocks that hold something. */
  get usedBlocks(): number {
    return this.#blocks - this.#free.length;
  }

  /** Writes at most `BLOCK_BYTES`; returns the block's number. */
  write(bytes: Buffer): number {
    try {
      this.#file ??= openUnnamed(this.#folder);
      const block = this.#free.pop() ?? this.#blocks++;
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.#file, bytes, done, bytes.length - done, block * BLOCK_BYTES + done);
      return block;
    } catch (cause) {
      throw unusable(this.#folder, cause);
    }
  }

  /** Reads the first `length` bytes of a block and frees it. */
  take(block: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length);
    try {
      const read = this.#file === null ? 0 : readSync(this.#file, bytes, 0, length, block * BLOCK_BYTES);
      if (read !== length) throw new RangeError(`${read} bytes of a block of ${length}`);
    } catch (cause) {
      throw unusable(this.#folder, cause);
    }
    this.free(block);
    return bytes;
  }

  free(block: number): void {
    this.#free.push(block);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}

function openUnnamed(folder: string): number {
  const path = join(folder, `ditto-${randomUUID()}`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return file;
}

function unusable(folder: string, cause: unknown): DittoError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new DittoError(
    'DITTO_SOURCE_SPILL_FAILED',
    `what waits for the outcome of a transaction can't be kept in ${folder}: ${detail}`,
    {
      retriable: true,
      remedy: `Make room in ${folder}, or set TMPDIR to a folder that has some.`,
      context: { folder },
      cause,
    },
  );
}
