import { type Logger, toDittoError } from '#kernel';

/** What was opened, to be closed again in the opposite order. */
export class Closers {
  readonly #logger: Logger;
  readonly #closers: (() => Promise<void> | void)[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(...closers: readonly (() => Promise<void> | void)[]): void {
    this.#closers.push(...closers);
  }

  /** What can't be closed in order is logged, and the others are closed all the same. May be called twice. */
  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse())
      try {
        await close();
      } catch (cause) {
        const { code, message } = toDittoError(cause);
        this.#logger.warn('a connection did not close in order', { code, error: message });
      }
  }
}
