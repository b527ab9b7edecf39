import { formatError } from './error-description.ts';
import { type Logger } from './logger.ts';
import { Backoff, type BackoffOptions, retry, type RetryOptions } from './retry.ts';

export interface ServerWaitOptions {
  readonly backoff: BackoffOptions;
  readonly logger: Logger;
}

/** Runs what needs a server until it works, several calls side by side, and says what they wait for. */
export class ServerWait {
  /** Attempts that failed, in all. */
  retries = 0;
  readonly #options: ServerWaitOptions;
  /** Of each call that waits its current error, the newest last. */
  readonly #errors = new Map<object, string>();

  constructor(options: ServerWaitOptions) {
    this.#options = options;
  }

  /** The newest error that is still being backed off from; null while all works. */
  get because(): string | null {
    return [...this.#errors.values()].at(-1) ?? null;
  }

  /**
   * Rejects as `retry` does.
   *
   * @param message is logged when the work fails
   */
  async until<T>(
    message: string,
    work: () => Promise<T>,
    options: Pick<RetryOptions, 'signal' | 'isRetriable'>,
  ): Promise<T> {
    const { backoff, logger } = this.#options;
    const call = {};
    const onRetry = (error: unknown): void => {
      this.#errors.delete(call);
      this.#errors.set(call, formatError(error));
      this.retries++;
    };
    try {
      return await retry(work, { ...options, backoff: new Backoff(backoff), log: { logger, message }, onRetry });
    } finally {
      this.#errors.delete(call);
    }
  }
}
