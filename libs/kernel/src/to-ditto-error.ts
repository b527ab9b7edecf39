import { DittoError } from './ditto-error.ts';
import { findReason } from './find-reason.ts';

/**
 * Gives a `DittoError` as it is and wraps anything else as `DITTO_INTERNAL` (not retriable) with the original as cause.
 * Errors of a vendor are classified by their adapter before they come here.
 */
export function toDittoError(error: unknown): DittoError {
  if (error instanceof DittoError) return error;
  return new DittoError('DITTO_INTERNAL', findReason(error), {
    remedy: 'This was not foreseen: report it together with the log lines around it.',
    cause: error,
  });
}

/** Whether an operation ended only because its signal was aborted. Looks at name and code: Node throws several classes. */
export function isAbort(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { name, code } = error as { readonly name?: unknown; readonly code?: unknown };
  return name === 'AbortError' || code === 'ABORT_ERR';
}
