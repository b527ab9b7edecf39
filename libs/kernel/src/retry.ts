import { DittoError } from './ditto-error.ts';
import { errorFields, formatError } from './error-description.ts';
import { type LogFields, type Logger } from './logger.ts';
import { reasonOf, sleep } from './sleep.ts';
import { isAbort } from './to-ditto-error.ts';

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** How much longer each delay is than the one before; 2 by default. */
  readonly factor?: number;
  /** Share of the delay, 0 to 1, that is random, so that many waiters spread; 0.2 by default. */
  readonly jitter?: number;
}

/** Growing delays. Never above `maxMs`, never below `(1 - jitter)` of the nominal delay. */
export class Backoff {
  readonly #options: Required<BackoffOptions>;
  #nominalMs: number;

  constructor(options: BackoffOptions) {
    this.#options = { factor: 2, jitter: 0.2, ...options };
    this.#nominalMs = Math.min(options.initialMs, options.maxMs);
  }

  nextMs(): number {
    const { factor, jitter, maxMs } = this.#options;
    const delayMs = Math.round(this.#nominalMs * (1 - jitter * Math.random()));
    this.#nominalMs = Math.min(this.#nominalMs * factor, maxMs);
    return delayMs;
  }

  /** The next delay is the first again. */
  reset(): void {
    this.#nominalMs = Math.min(this.#options.initialMs, this.#options.maxMs);
  }
}

/** A failure is a warning, unless one of the last reasons was the same; so is the success after failures logged. */
export interface RetryLog {
  readonly logger: Logger;
  /** What is not possible yet. */
  readonly message: string;
  readonly fields?: LogFields;
}

export interface RetryOptions {
  readonly backoff: Backoff;
  readonly signal?: AbortSignal;
  readonly log?: RetryLog;
  readonly onRetry?: (error: unknown, delayMs: number) => void;
  /** By default: what a `DittoError` says of itself; anything else is not tried again. */
  readonly isRetriable?: (error: unknown) => boolean;
}

/**
 * Calls `fn` until it succeeds, without a limit, as long as its errors are retriable. The attempt starts at 1.
 * Rejects with the error that is not retriable, or with the signal's reason.
 */
export async function retry<T>(fn: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { backoff, signal, log, onRetry, isRetriable = isRetriableDittoError } = options;
  const attempts = log && new LoggedAttempts(log);
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted) throw reasonOf(signal);
    try {
      const result = await fn(attempt);
      attempts?.succeed(attempt);
      return result;
    } catch (error) {
      if (isAbort(error) || !isRetriable(error)) throw error;
      if (!signal?.aborted) attempts?.fail(error);
      const delayMs = backoff.nextMs();
      onRetry?.(error, delayMs);
      await sleep(delayMs, signal);
    }
  }
}

/** So many reasons may alternate without being logged again and again. */
const REMEMBERED_REASONS = 8;

class LoggedAttempts {
  readonly #log: RetryLog;
  /** Oldest first. */
  readonly #reasons = new Set<string>();

  constructor(log: RetryLog) {
    this.#log = log;
  }

  fail(error: unknown): void {
    const { logger, message, fields } = this.#log;
    // drivers number their connections and say how long they waited: that is no other reason
    const reason = formatError(error).replace(/\d+/g, '#');
    if (this.#reasons.has(reason)) return;
    logger.warn(message, { ...fields, ...errorFields(error) });
    this.#reasons.add(reason);
    const [oldest] = this.#reasons;
    if (this.#reasons.size > REMEMBERED_REASONS && oldest !== undefined) this.#reasons.delete(oldest);
  }

  succeed(attempts: number): void {
    const { logger, message, fields } = this.#log;
    if (this.#reasons.size > 0) logger.info('it works again', { ...fields, after: message, attempts });
  }
}

function isRetriableDittoError(error: unknown): boolean {
  return error instanceof DittoError && error.retriable;
}
