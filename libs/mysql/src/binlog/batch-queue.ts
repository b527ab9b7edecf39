import { type SourceBatch, type SourceItem } from '#replication';

/** Items are handed out at the end of the network chunk that they came in, or at this many bytes. */
const BATCH_BYTES = 256 * 1024;

export interface BatchQueueOptions {
  /** Beyond this `onFull` is called; at half of it `onRoom`. */
  readonly maxBytes: number;
  readonly onFull: () => void;
  readonly onRoom: () => void;
}

/** What has been read and not yet taken: one writer, one reader, bounded by asking the writer to pause. */
export class BatchQueue {
  readonly #options: BatchQueueOptions;
  #batches: SourceBatch[] = [];
  #items: SourceItem[] = [];
  #itemBytes = 0;
  #queuedBytes = 0;
  #isFull = false;
  #isFlushPlanned = false;
  #end: { readonly error: Error | null } | null = null;
  #wake: (() => void) | null = null;

  constructor(options: BatchQueueOptions) {
    this.#options = options;
  }

  /** True from `onFull` to `onRoom`. */
  get isFull(): boolean {
    return this.#isFull;
  }

  push(item: SourceItem): void {
    if (this.#end !== null) return;
    this.#items.push(item);
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.#notify();
    });
  }

  /** Counts the bytes of the event that was just read, items or not. */
  count(bytes: number): void {
    this.#itemBytes += bytes;
    if (this.#itemBytes >= BATCH_BYTES) this.#cut();
    if (this.#isFull || this.#heldBytes() <= this.#options.maxBytes) return;
    this.#isFull = true;
    this.#options.onFull();
  }

  /** Nothing is pushed after this. What was pushed before is still handed out, then the end or the error. */
  finish(error: Error | null): void {
    this.#end ??= { error };
    this.#notify();
  }

  /** Ends the sequence at once; what was not taken is dropped. */
  discard(): void {
    this.#batches = [];
    this.#items = [];
    this.finish(null);
  }

  /** The next batch; null at the end. Rejects with the error that ended the stream. */
  async next(): Promise<SourceBatch | null> {
    for (;;) {
      if (this.#batches.length === 0 && this.#items.length > 0) this.#cut();
      const batch = this.#batches.shift();
      if (batch !== undefined) {
        this.#queuedBytes -= batch.bytes;
        this.#makeRoom();
        return batch;
      }
      if (this.#end !== null) {
        if (this.#end.error !== null) throw this.#end.error;
        return null;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Events without items hold nothing, and nobody would ever take them out. */
  #heldBytes(): number {
    return this.#queuedBytes + (this.#items.length === 0 ? 0 : this.#itemBytes);
  }

  #makeRoom(): void {
    if (!this.#isFull || this.#heldBytes() > this.#options.maxBytes / 2) return;
    this.#isFull = false;
    this.#options.onRoom();
  }

  #cut(): void {
    if (this.#items.length === 0) {
      // events without items (tables that are not included) need no memory
      this.#itemBytes = 0;
      return;
    }
    this.#batches.push({ items: this.#items, bytes: this.#itemBytes });
    this.#queuedBytes += this.#itemBytes;
    this.#items = [];
    this.#itemBytes = 0;
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
