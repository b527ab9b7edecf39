import { Backoff, retry } from '#kernel';

import { isWorthWaiting } from './kafka-errors.ts';

const ATTEMPTS = 5;

/** A leader that moves is waited for; when no broker answers the caller has to know. */
export function retryBriefly<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  let attempts = 0;
  return retry(work, {
    backoff: new Backoff({ initialMs: 200, maxMs: 2_000 }),
    signal,
    isRetriable: (error) => isWorthWaiting(error) && ++attempts < ATTEMPTS,
  });
}
