import { toDittoError } from '#kernel';
import { isNotVerifiable, type TableHold } from '#verification';

/** What an error of a chunk means for its table: only what waits is tried again. */
export function holdOfError(error: unknown): Omit<TableHold, 'sinceMs'> {
  // a sink that can't be listed is no fault of the run
  if (isNotVerifiable(error)) return { state: 'not verifiable', reason: error.message };
  const { code, message, retriable } = toDittoError(error);
  return { state: retriable ? 'waiting' : 'failed', reason: `${code}: ${message}` };
}
