import { type Waits } from '#kernel';

export interface RoomGateOptions {
  /** What may be held unconfirmed. */
  readonly maxBytes: number;
  /** What the sinks have, and not confirmed. */
  readonly heldBytes: () => number;
  /** Rows that are being read, or wait for the stream. */
  readonly readBytes: () => number;
  readonly waits: Waits;
}

/** A read that waits for room. */
interface Entry {
  readonly bytes: number;
  readonly enter: () => void;
}

/**
 * Lets those who want to add something wait until what is held unconfirmed is within its bound (I9). The stream waits for
 * the sinks alone: rows that were read wait for the stream. Reads wait for both, and have their bound counted before they
 * begin. One that is larger than all the room begins when no other read holds anything; they begin in the order of asking,
 * so that it has its turn.
 */
export class RoomGate {
  readonly #options: RoomGateOptions;
  #waiters: (() => void)[] = [];
  #entries: Entry[] = [];
  #checkQueued = false;

  constructor(options: RoomGateOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#options.heldBytes() > this.#options.maxBytes;
  }

  /** Resolves when there is room for the stream; rejects with the signal's reason. */
  async wait(signal: AbortSignal): Promise<void> {
    if (this.isFull) await this.#options.waits.during(() => this.#describe(), this.#waitForRoom(signal));
  }

  /**
   * Calls `begin` when there is room for a read of so many bytes, and gives what it gives; it must have them counted among
   * `readBytes` at once. Rejects with the signal's reason.
   */
  async enter<T>(bytes: number, begin: () => T, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#entries.length === 0 && this.#hasRoomFor(bytes)) return begin();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const entry: Entry = {
      bytes,
      enter: () => {
        try {
          resolve(begin());
        } catch (error) {
          reject(error);
        }
      },
    };
    this.#entries.push(entry);
    const abort = (): void => {
      this.#entries = this.#entries.filter((other) => other !== entry);
      reject(signal.reason as Error);
      this.changed();
    };
    signal.addEventListener('abort', abort);
    try {
      return await this.#options.waits.during(() => this.#describe(), promise);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  #hasRoomFor(bytes: number): boolean {
    const { maxBytes, readBytes } = this.#options;
    if (this.isFull) return false;
    const read = readBytes();
    return read === 0 || this.#options.heldBytes() + read + bytes <= maxBytes;
  }

  #describe(): string {
    const { heldBytes, readBytes, maxBytes } = this.#options;
    return `the sinks to confirm changes: ${heldBytes()} bytes are in flight, ${readBytes()} were read, the bound is ${maxBytes}`;
  }

  async #waitForRoom(signal: AbortSignal): Promise<void> {
    while (this.isFull) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        signal.addEventListener('abort', wake);
        this.#waiters.push(wake);
      });
    }
  }

  /**
   * Something was confirmed, or a read released its rows. Sinks lower their counts just after they acknowledge, so
   * waiters look one turn later.
   */
  changed(): void {
    if (this.#checkQueued) return;
    this.#checkQueued = true;
    setImmediate(() => {
      this.#checkQueued = false;
      const waiters = this.#waiters;
      this.#waiters = [];
      for (const wake of waiters) wake();
      for (let [first] = this.#entries; first !== undefined && this.#hasRoomFor(first.bytes); [first] = this.#entries) {
        this.#entries.shift();
        first.enter();
      }
    });
  }
}
