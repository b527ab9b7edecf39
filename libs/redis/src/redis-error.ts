import { DittoError } from '#kernel';

const denied = /^(NOAUTH|WRONGPASS|NOPERM)\b/;
/** A replica, perhaps one that was the primary until now. Redis 6 has its own text before that of a script's error. */
const fromReplica = /\bREADONLY\b|^(MASTERDOWN|UNBLOCKED)\b/;
/** Refusals that pass by themselves: loading, out of memory, replicas missing, disk trouble, busy script. */
const passing = /^(LOADING|OOM|NOREPLICAS|MISCONF|BUSY|TRYAGAIN|CLUSTERDOWN)\b/;

/** Whether the connection leads to a server that takes no writes, so that it must be made anew. */
export function isFromReplica({ message }: Error): boolean {
  return fromReplica.test(message);
}

/**
 * Classifies what the driver reports; a `DittoError` stays as it is. A reply that is none of these is a bug of ours.
 * `trouble`: why there is no connection, where there is none.
 */
export function toRedisError(error: unknown, trouble = ''): DittoError {
  if (error instanceof DittoError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (denied.test(message))
    return new DittoError('DITTO_REDIS_ACCESS_DENIED', `Redis refuses Ditto's account: ${message}`, {
      remedy: 'Check user and password in the configured Redis URL, and that the account may run scripts.',
      cause: error,
    });
  const isReply = error instanceof Error && error.name === 'ReplyError';
  if (!isReply || passing.test(message) || fromReplica.test(message))
    return new DittoError('DITTO_REDIS_UNAVAILABLE', `Redis does not answer: ${trouble || message}`, {
      retriable: true,
      remedy: 'Check that Redis runs, accepts writes, and is reachable under the configured URL.',
      cause: error,
    });
  return new DittoError('DITTO_REDIS_COMMAND_FAILED', `Redis refused a command: ${message}`, {
    remedy: 'Check that Redis is version 6.2 or newer and that the key prefix is used by one Ditto deployment alone.',
    cause: error,
  });
}
