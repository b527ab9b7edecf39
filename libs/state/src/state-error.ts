import { DittoError, findReason } from '#kernel';
import { tlsErrors } from './state-connection.ts';

/** The connection is lost, or leads to a server that is not, or no longer, the one to ask: it must be made again. */
const LOST = new Set([
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
  'ER_SERVER_OFFLINE_MODE',
  'ER_SERVER_ISNT_AVAILABLE',
  'ER_SESSION_WAS_KILLED',
  'ER_CLIENT_INTERACTION_TIMEOUT',
  'ER_QUERY_INTERRUPTED',
  'ER_NET_READ_ERROR',
  'ER_NET_READ_INTERRUPTED',
  'ER_NET_ERROR_ON_WRITE',
  'ER_NET_WRITE_INTERRUPTED',
  // read-only: read_only, super_read_only, innodb_read_only, transaction_read_only, a group that has lost its primary
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_READ_ONLY_MODE',
  'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION',
  'ER_RUN_HOOK_ERROR',
  // Galera: the node is not part of its cluster
  'ER_UNKNOWN_COM_ERROR',
]);

/** MariaDB's ER_CONNECTION_KILLED, which the driver has no name for. */
const MARIADB_CONNECTION_KILLED = 1927;

/** The server is there and says that it can't just now. */
const BUSY = new Set([
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_LOCK_TABLE_FULL',
  'ER_QUERY_TIMEOUT',
  'ER_TRANSACTION_ROLLBACK_DURING_COMMIT',
  'ER_OUT_OF_RESOURCES',
  'ER_OUT_OF_SORTMEMORY',
  'ER_DISK_FULL',
  'ER_RECORD_FILE_FULL',
]);

const DENIED = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
  'ER_NOT_SUPPORTED_AUTH_MODE',
  'ER_HOST_NOT_PRIVILEGED',
  'ER_ACCOUNT_HAS_BEEN_LOCKED',
  'ER_MUST_CHANGE_PASSWORD',
  'ER_MUST_CHANGE_PASSWORD_LOGIN',
  'ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK',
]);

const DENIED_REMEDY =
  'Check user and password, and grant the account ALL on the configured state database. A server that requires TLS, or a client certificate (REQUIRE X509), may refuse in the same words: check state.tls.';
const PLUGIN_REMEDY =
  "Use a plugin that sends no password as it is: ALTER USER … IDENTIFIED WITH caching_sha2_password BY '…'.";

/** By the codes of mysql2: the server asks for what the driver does not know, or for the password as it is. */
const REFUSED_PLUGIN = new Set(['AUTH_SWITCH_PLUGIN_ERROR', 'MYSQL_CLEAR_PASSWORD_NOT_ENABLED']);

export const UNAVAILABLE_REMEDY =
  'Check that the state database runs, accepts writes, and is reachable under the configured address.';

/** Classifies what the driver reports about the state database; a `DittoError` stays as it is. */
export function toStateError(error: unknown): DittoError {
  if (error instanceof DittoError) return error;
  const code = readCode(error);
  const message = findReason(error);
  if (code === 'ER_SECURE_TRANSPORT_REQUIRED')
    return tlsErrors.refuse(
      `takes encrypted connections only: ${message}`,
      'Set state.tls, to {} or with a ca.',
      error,
    );
  const tlsError = tlsErrors.classify(error);
  if (tlsError !== null) return tlsError;
  if (DENIED.has(code) || REFUSED_PLUGIN.has(code))
    return new DittoError('DITTO_STATE_ACCESS_DENIED', `The state database refuses Ditto's account: ${message}`, {
      // no connection: the next one may be let in
      retriable: isFatal(error),
      remedy: REFUSED_PLUGIN.has(code) ? PLUGIN_REMEDY : DENIED_REMEDY,
      context: { vendorCode: code },
      cause: error,
    });
  if (isLost(error) || BUSY.has(code))
    return new DittoError('DITTO_STATE_UNAVAILABLE', `The state database does not answer: ${message}`, {
      retriable: true,
      remedy: UNAVAILABLE_REMEDY,
      context: { vendorCode: code },
      cause: error,
    });
  return new DittoError('DITTO_STATE_QUERY_FAILED', `The state database refused a statement: ${message}`, {
    remedy: 'Check that the state database is used by Ditto alone and that its tables are of this version.',
    context: { vendorCode: code },
    cause: error,
  });
}

/**
 * Whether the connection that this error came by can be used again: it is not an error of the connection or of the
 * server.
 */
export function isFromSoundServer(error: unknown): boolean {
  return error instanceof DittoError ? error.code !== 'DITTO_STATE_UNAVAILABLE' : !isLost(error);
}

function isLost(error: unknown): boolean {
  const { errno } = (error ?? {}) as { readonly errno?: unknown };
  return (
    isFatal(error) ||
    LOST.has(readCode(error)) ||
    errno === MARIADB_CONNECTION_KILLED ||
    isLostConnection(error instanceof Error ? error.message : '')
  );
}

/** What mysql2 says of an error that ends the connection. */
function isFatal(error: unknown): boolean {
  return (error as { readonly fatal?: unknown } | null | undefined)?.fatal === true;
}

/** mysql2 gives these without a code. */
function isLostConnection(message: string): boolean {
  return (
    message.includes("Can't add new command when connection is in closed state") ||
    message.includes('The connection was given up') ||
    message === 'Pool is closed.'
  );
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
      remedy: 'Nothing to do: the newer owner continues from the last accepted checkpoint.',
      context: { source, token, newest },
    },
  );
}
