import { Backoff, type BackoffOptions, type Logger, retry, toDittoError } from '#kernel';

/** Runs what needs brokers, besides deliveries, until it works, and says what that waits for. */
export class BrokerWait {
  /** The error that is being backed off from; null while all works. */
  because: string | null = null;
  private readonly backoff: BackoffOptions;
  private readonly logger: Logger;

  constructor(backoff: BackoffOptions, logger: Logger) {
    this.backoff = backoff;
    this.logger = logger;
  }

  /** Rejects with an error that is not retriable, or with the signal's reason. */
  async until<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const result = await retry(work, {
      backoff: new Backoff(this.backoff),
      signal,
      onRetry: (cause, delayMs) => {
        const { code, message } = toDittoError(cause);
        this.because = `${code}: ${message}`;
        this.logger.warn(`${what} failed, trying again`, { code, error: message, delayMs });
      },
    });
    this.because = null;
    return result;
  }
}
