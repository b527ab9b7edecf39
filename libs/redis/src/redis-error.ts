import { DittoError } from '#kernel';

const denied = /^(NOAUTH|WRONGPASS|NOPERM)\b/;
/** Refusals that pass by themselves: loading, failing over, out of memory, replicas missing, disk trouble, busy script. */
const passing = /^(LOADING|READONLY|MASTERDOWN|OOM|NOREPLICAS|MISCONF|BUSY|TRYAGAIN|CLUSTERDOWN)\b/;

/** Classifies what the driver reports; a `DittoError` stays as it is. A reply that is none of these is a bug of ours. */
export function toRedisError(error: unknown): DittoError {
  if (error instanceof DittoError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (denied.test(message))
    return new DittoError('DITTO_REDIS_ACCESS_DENIED', `Redis refuses Ditto's account: ${message}`, {
      remedy: 'Check user and password in the configured Redis URL, and that the account may run scripts.',
      cause: error,
    });
  const isReply = error instanceof Error && error.name === 'ReplyError';
  if (!isReply || passing.test(message))
    return new DittoError('DITTO_REDIS_UNAVAILABLE', `Redis does not answer: ${message}`, {
      retriable: true,
      remedy: 'Check that Redis runs, accepts writes, and is reachable under the configured URL.',
      cause: error,
    });
  return new DittoError('DITTO_REDIS_COMMAND_FAILED', `Redis refused a command: ${message}`, {
    remedy: 'Check that Redis is version 6.2 or newer and that the key prefix is used by one Ditto deployment alone.',
    cause: error,
  });
}
