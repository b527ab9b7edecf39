import { type BatchQueue } from './batch-queue.ts';
import { type EventReader } from './event-reader.ts';
import { EventAssembler, eventSize, type EventPieces, type NestedEvents } from './nested-events.ts';

export interface EventFeedOptions {
  readonly reader: EventReader;
  readonly queue: BatchQueue;
  /** No event comes between the two. */
  readonly pause: () => void;
  readonly resume: () => void;
  /** Called once, unless `take` throws; no event may be given after it. */
  readonly onError: (error: unknown) => void;
}

/**
 * Gives the reader its events in their order: those of the dump, and after an event that represents others those,
 * while the dump waits. What can be read at once is, without a turn of the event loop; the rest as the queue has room.
 */
export class EventFeed {
  readonly #options: EventFeedOptions;
  /** Nested events being read, those inside others last. Not empty after an error either. */
  readonly #open: EventPieces[] = [];
  #wake: (() => void) | null = null;
  #isClosed = false;

  constructor(options: EventFeedOptions) {
    this.#options = options;
  }

  /** The dump waits for nested events. */
  get isReadingNested(): boolean {
    return this.#open.length > 0;
  }

  /** Called before the first event: whether events have checksums before a format description says it. */
  start(hasChecksums: boolean): void {
    this.#options.reader.expectChecksums(hasChecksums);
  }

  /** Reads an event of the dump. Throws what the reader throws. */
  take(bytes: Buffer, start: number, end: number): void {
    const { reader, queue, pause, onError } = this.#options;
    queue.count(reader.read(bytes, start, end));
    if (!reader.hasNested) return;
    const reading = this.#readNested(reader.takeNested());
    if (!this.isReadingNested) return;
    pause();
    reading.then(() => {
      this.#resume();
    }, onError);
  }

  /** Throws what the reader throws for an event of this size, of which only the beginning is there. */
  assertSize(bytes: Buffer, start: number, size: number): void {
    this.#options.reader.assertSize(bytes, start, size);
  }

  /** The queue has room again. */
  onRoom(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
    if (!this.isReadingNested) this.#options.resume();
  }

  /** Lets go of everything that is being read. */
  close(): void {
    this.#isClosed = true;
    for (const pieces of this.#open) pieces.close();
    this.#wake?.();
    this.#options.reader.close();
  }

  #resume(): void {
    if (!this.#isClosed && !this.#options.queue.isFull) this.#options.resume();
  }

  /** Waits only where it must, so that what is small is read before this returns. */
  async #readNested(nested: NestedEvents | null): Promise<void> {
    if (nested === null) return;
    const { reader } = this.#options;
    this.#open.push(nested.pieces);
    try {
      const assembler = new EventAssembler((bytes, start, size) => {
        reader.assertSize(bytes, start, size);
      });
      for (;;) {
        const next = nested.pieces.next();
        const piece = next instanceof Promise ? await next : next;
        if (this.#wasClosed()) return;
        if (piece === null) break;
        const events = assembler.push(piece);
        for (let at = 0; at < events.length;) {
          at = this.#readUntilStopped(events, at);
          if (reader.hasNested) await this.#readNested(reader.takeNested());
          if (this.#options.queue.isFull) await this.#room();
          if (this.#wasClosed()) return;
        }
      }
      if (!assembler.isEmpty) throw new RangeError('the last event is cut off');
      nested.onEnd();
    } catch (error) {
      if (this.#wasClosed()) return;
      throw reader.locate(error);
    }
    this.#open.pop();
  }

  /** Reads events until one represents others or the queue is full; returns where to continue. */
  #readUntilStopped(events: Buffer, from: number): number {
    const { reader, queue } = this.#options;
    let at = from;
    while (at < events.length && !reader.hasNested && !queue.isFull) {
      const end = at + eventSize(events, at);
      queue.count(reader.readNested(events, at, end));
      at = end;
    }
    return at;
  }

  /** While something was waited for. */
  #wasClosed(): boolean {
    return this.#isClosed;
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
