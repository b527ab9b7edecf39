import { type Waits } from '#kernel';

export interface RoomGateOptions {
  /** What may be held unconfirmed. */
  readonly maxBytes: number;
  readonly heldBytes: () => number;
  readonly waits: Waits;
}

/** Lets those who want to add something wait until what is held unconfirmed is within its bound (I9). */
export class RoomGate {
  private readonly options: RoomGateOptions;
  private waiters: (() => void)[] = [];
  private checkQueued = false;

  constructor(options: RoomGateOptions) {
    this.options = options;
  }

  get isFull(): boolean {
    return this.options.heldBytes() > this.options.maxBytes;
  }

  /** Resolves when there is room; rejects with the signal's reason. */
  async wait(signal: AbortSignal): Promise<void> {
    if (this.isFull) await this.options.waits.during(() => this.describe(), this.waitForRoom(signal));
  }

  private describe(): string {
    const { heldBytes, maxBytes } = this.options;
    return `the sinks to confirm changes: ${heldBytes()} bytes are in flight, the bound is ${maxBytes}`;
  }

  private async waitForRoom(signal: AbortSignal): Promise<void> {
    while (this.isFull) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        signal.addEventListener('abort', wake);
        this.waiters.push(wake);
      });
    }
  }

  /** Something was confirmed. Sinks lower their counts just after they acknowledge, so waiters look one turn later. */
  confirmed(): void {
    if (this.checkQueued) return;
    this.checkQueued = true;
    setImmediate(() => {
      this.checkQueued = false;
      const { waiters } = this;
      this.waiters = [];
      for (const wake of waiters) wake();
    });
  }
}
