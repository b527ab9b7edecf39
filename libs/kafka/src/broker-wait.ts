import { Backoff, type BackoffOptions, type Logger, retry, type RetryOptions, toDittoError } from '#kernel';

import { isWorthWaiting } from './kafka-errors.ts';

/** Runs what needs brokers, except deliveries, until it works, and reports what it waits for. */
export class BrokerWait {
  /** The error that is being backed off from; null while all works. */
  because: string | null = null;
  readonly #backoff: BackoffOptions;
  readonly #logger: Logger;

  constructor(backoff: BackoffOptions, logger: Logger) {
    this.#backoff = backoff;
    this.#logger = logger;
  }

  /** Rejects with an error that is not retriable, or with the signal's reason. */
  until<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#retry(what, work, { signal });
  }

  /** The same, but rejects also with what is reported at once at a start. */
  atStart<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#retry(what, work, { signal, isRetriable: isWorthWaiting });
  }

  async #retry<T>(
    what: string,
    work: () => Promise<T>,
    options: Pick<RetryOptions, 'signal' | 'isRetriable'>,
  ): Promise<T> {
    const result = await retry(work, {
      ...options,
      backoff: new Backoff(this.#backoff),
      onRetry: (cause, delayMs) => {
        const { code, message, remedy } = toDittoError(cause);
        this.because = `${code}: ${message}`;
        this.#logger.warn(`${what} failed, trying again`, { code, error: message, remedy, delayMs });
      },
    });
    this.because = null;
    return result;
  }
}
