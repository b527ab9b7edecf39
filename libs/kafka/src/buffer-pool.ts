import { dropWide } from '#kernel';

/** Smallest buffer that is handed out: thousands of partitions may have an open batch of one row. */
const LEAST_BYTES = 1024;

/**
 * Buffers that are used again: record batches come and go by the hundred each second, and what is dropped instead
 * stays in memory until the next collection of garbage.
 */
export class BufferPool {
  readonly #mostFreeBytes: number;
  readonly #free = new Map<number, Buffer[]>();
  #freeBytes = 0;
  #takenBytes = 0;

  /** @param mostFreeBytes what is kept of buffers that nobody uses */
  constructor(mostFreeBytes: number) {
    this.#mostFreeBytes = mostFreeBytes;
  }

  /** Whole buffers that were taken and not given back, however little is written into them. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** At least `bytes` long; its content is undefined. */
  take(bytes: number): Buffer {
    let size = LEAST_BYTES;
    while (size < bytes) size *= 2;
    this.#takenBytes += size;
    const buffer = this.#free.get(size)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size);
    this.#freeBytes -= size;
    return buffer;
  }

  /** For a buffer that came from `take` and that nobody reads or writes any more. */
  give(buffer: Buffer): void {
    const size = buffer.length;
    this.#takenBytes -= size;
    if (this.#freeBytes + size > this.#mostFreeBytes) {
      void dropWide(size);
      return;
    }
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
    this.#freeBytes += size;
  }
}
