import { DittoError, findReason, TlsErrors } from '#kernel';

const DENIED = /^(NOAUTH|WRONGPASS|NOPERM)\b/;
/**
 * A replica, perhaps one that was the primary until now. Redis 6 puts its own text before the text of a script's error.
 */
const FROM_REPLICA = /\bREADONLY\b|^(MASTERDOWN|UNBLOCKED)\b/;
/** Refusals that pass by themselves: loading, out of memory, replicas missing, disk trouble, busy script. */
const PASSING = /^(LOADING|OOM|NOREPLICAS|MISCONF|BUSY|TRYAGAIN|CLUSTERDOWN)\b/;

export const tlsErrors = new TlsErrors({
  code: 'DITTO_REDIS_TLS_FAILED',
  server: 'Redis',
  option: 'redis.tls',
});

/** Whether the connection leads to a server that takes no writes, so that it must be made again. */
export function isFromReplica({ message }: Error): boolean {
  return FROM_REPLICA.test(message);
}

/** Classifies what the driver reports; a `DittoError` stays as it is. Any other reply is a bug of ours. */
export function toRedisError(error: unknown): DittoError {
  if (error instanceof DittoError) return error;
  const message = findReason(error);
  if (DENIED.test(message)) return accessDenied(message, error, false);
  const isReply = error instanceof Error && error.name === 'ReplyError';
  if (!isReply || PASSING.test(message) || FROM_REPLICA.test(message))
    return tlsErrors.classify(error) ?? unavailable(message, error);
  return new DittoError('DITTO_REDIS_COMMAND_FAILED', `Redis refused a command: ${message}`, {
    remedy: 'Check that Redis is version 6.2 or newer and that the key prefix is used by one Ditto deployment alone.',
    cause: error,
  });
}

/** Why there is no connection. The next one is tried anyway, and may be let in. */
export function toConnectionError(error: Error): DittoError {
  return DENIED.test(error.message) ? accessDenied(error.message, error, true) : toRedisError(error);
}

export function unavailable(reason: string, cause?: unknown): DittoError {
  return new DittoError('DITTO_REDIS_UNAVAILABLE', `Redis does not answer: ${reason}`, {
    retriable: true,
    remedy:
      'Check that Redis runs, accepts writes, and is reachable under the configured URL, and whether it takes connections with TLS only.',
    cause,
  });
}

function accessDenied(message: string, cause: unknown, retriable: boolean): DittoError {
  return new DittoError('DITTO_REDIS_ACCESS_DENIED', `Redis refuses Ditto's account: ${message}`, {
    retriable,
    remedy:
      'Check user and password in the configured Redis URL, and the rights of the user: docs/operations.md names the commands and keys that Ditto uses.',
    cause,
  });
}
