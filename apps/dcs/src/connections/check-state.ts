import { DittoError, toDittoError, withTimeout } from '#kernel';
import { type StateDatabase } from '#state';

const PING_TIMEOUT_MS = 1_000;

/** Without the state database leases are renewed and offsets kept, so the service stays ready and says what it can't do. */
export async function checkState(state: StateDatabase): Promise<Readonly<Record<string, unknown>>> {
  try {
    await withTimeout(state.ping(), PING_TIMEOUT_MS, createTimeoutError);
    return { grantsLeases: true };
  } catch (error) {
    const { code, message } = toDittoError(error);
    return { grantsLeases: false, because: { code, message } };
  }
}

function createTimeoutError(): DittoError {
  return new DittoError('DITTO_STATE_UNAVAILABLE', `The state database did not answer within ${PING_TIMEOUT_MS} ms`, {
    retriable: true,
  });
}
