/** Smallest buffer that is handed out. */
const LEAST_BYTES = 16 * 1024;

/**
 * Buffers that are used again: record batches come and go by the hundred each second, and what is dropped instead
 * stays in memory until the next collection of garbage.
 */
export class BufferPool {
  readonly #maxHeldBytes: number;
  readonly #free = new Map<number, Buffer[]>();
  #heldBytes = 0;

  constructor(maxHeldBytes: number) {
    this.#maxHeldBytes = maxHeldBytes;
  }

  /** At least `bytes` long; its content is undefined. */
  take(bytes: number): Buffer {
    let size = LEAST_BYTES;
    while (size < bytes) size *= 2;
    const buffer = this.#free.get(size)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size);
    this.#heldBytes -= size;
    return buffer;
  }

  /** For a buffer that came from `take` and that nobody reads or writes any more. */
  give(buffer: Buffer): void {
    const size = buffer.length;
    if (this.#heldBytes + size > this.#maxHeldBytes) return;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
    this.#heldBytes += size;
  }
}
