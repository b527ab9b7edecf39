interface WaitingWork {
  readonly work: () => Promise<void>;
  readonly done: () => void;
  readonly fail: (cause: unknown) => void;
}

/**
 * Work of somebody beside the stream that must not run while the stream gives anything to the sinks: it begins between
 * two transactions, and the stream waits for its end.
 */
export class StreamPauses {
  readonly #isBetween: () => boolean;
  readonly #waiting: WaitingWork[] = [];
  #running: Promise<void> | null = null;
  #failure: Error | null = null;

  /** `isBetween`: whether the stream is between two transactions. */
  constructor(isBetween: () => boolean) {
    this.#isBetween = isBetween;
  }

  /** Settles with the work. Rejects when the stream stops before. */
  async run(work: () => Promise<void>): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    await new Promise<void>((done, fail) => {
      this.#waiting.push({ work, done, fail });
      void this.next();
    });
  }

  /**
   * Call at each transaction end and before each batch. Undefined: nothing to wait for. Never rejects. Work that is asked
   * for as other work ends is waited for too.
   */
  next(): Promise<void> | undefined {
    if (this.#running === null && this.#waiting.length > 0 && this.#isBetween()) this.#running = this.#runAll();
    return this.#running?.then(() => this.next());
  }

  failAll(error: Error): void {
    this.#failure = error;
    for (const { fail } of this.#waiting.splice(0)) fail(error);
  }

  async #runAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      await next.work().then(next.done, next.fail);
    this.#running = null;
  }
}
