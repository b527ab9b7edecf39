import { DittoError } from '#kernel';

/** Errors that say where the server is or how it feels, not what was asked of it. */
const unavailable = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'POOL_CLOSED',
  'ER_CON_COUNT_ERROR',
  'ER_TOO_MANY_USER_CONNECTIONS',
  'ER_SERVER_SHUTDOWN',
  'ER_NORMAL_SHUTDOWN',
  'ER_CLIENT_INTERACTION_TIMEOUT',
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_QUERY_INTERRUPTED',
  'ER_QUERY_TIMEOUT',
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION',
  'ER_DISK_FULL',
  'ER_RECORD_FILE_FULL',
]);

const denied = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
  'ER_NOT_SUPPORTED_AUTH_MODE',
  'ER_HOST_NOT_PRIVILEGED',
]);

/** Classifies what the driver reports about the state database; a `DittoError` stays as it is. */
export function toStateError(error: unknown): DittoError {
  if (error instanceof DittoError) return error;
  const code = readCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (unavailable.has(code) || isLostConnection(message))
    return new DittoError('DITTO_STATE_UNAVAILABLE', `The state database does not answer: ${message || code}`, {
      retriable: true,
      remedy: 'Check that the state database runs, accepts writes, and is reachable under the configured address.',
      context: { vendorCode: code },
      cause: error,
    });
  if (denied.has(code))
    return new DittoError('DITTO_STATE_ACCESS_DENIED', `The state database refuses Ditto's account: ${message}`, {
      remedy: 'Check user and password, and grant the account ALL on the configured state database.',
      context: { vendorCode: code },
      cause: error,
    });
  return new DittoError('DITTO_STATE_QUERY_FAILED', `The state database refused a statement: ${message}`, {
    remedy: 'Check that the state database is used by Ditto alone and that its tables are those of this version.',
    context: { vendorCode: code },
    cause: error,
  });
}

/** mysql2 gives these without a code. */
function isLostConnection(message: string): boolean {
  return message.includes("Can't add new command when connection is in closed state") || message === 'Pool is closed.';
}

export function readCode(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' ? code : '';
}

export function createFencedError(source: string, token: number, newest: number): DittoError {
  return new DittoError(
    'DITTO_LEASE_FENCED',
    `Token ${token} of source ${source} is not the newest one (${newest}): another owner has taken over.`,
    {
      remedy: 'Nothing to do: the newer owner goes on from the last accepted checkpoint.',
      context: { source, token, newest },
    },
  );
}
