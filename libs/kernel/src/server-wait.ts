import { formatError } from './error-description.ts';
import { type Logger } from './logger.ts';
import { Backoff, type BackoffOptions, retry, type RetryOptions } from './retry.ts';

export interface ServerWaitOptions {
  readonly backoff: BackoffOptions;
  readonly logger: Logger;
}

/** Runs what needs a server until it works, and says what that waits for. */
export class ServerWait {
  /** The error that is being backed off from; null while all works. */
  because: string | null = null;
  /** Attempts that failed, in all. */
  retries = 0;
  readonly #options: ServerWaitOptions;

  constructor(options: ServerWaitOptions) {
    this.#options = options;
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
    const result = await retry(work, {
      ...options,
      backoff: new Backoff(backoff),
      log: { logger, message },
      onRetry: (error) => {
        this.because = formatError(error);
        this.retries++;
      },
    });
    this.because = null;
    return result;
  }
}
