import { Backoff, type BackoffOptions, type Logger, retry } from '#kernel';

/** How long to go on with a command that MongoDB refuses for now, or does not answer: until the signal. */
export interface Patience {
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly backoff?: BackoffOptions;
}

/** Once without patience; `work` is repeatable. */
export function tryPatiently<T>(work: () => Promise<T>, patience: Patience | undefined): Promise<T> {
  if (patience === undefined) return work();
  const { signal, logger, backoff = { initialMs: 100, maxMs: 2000 } } = patience;
  const log = { logger, message: 'holding: MongoDB does not take a command, trying again' };
  return retry(work, { backoff: new Backoff(backoff), signal, log });
}
