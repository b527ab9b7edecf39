import { askTlsRefusal, type DittoError } from '#kernel';
import { tlsErrors, toConnectionError } from './redis-error.ts';
import { type RedisTarget } from './redis-target.ts';

/** A password or not, Redis answers it. */
const PLAIN_PING = 'PING\r\n';

/**
 * Why there is no connection, or not one that is of use. The driver writes at once: a server that wants another client
 * certificate, or knows no TLS, cuts it off or leaves it waiting, and is asked for the reason.
 */
export async function explainTrouble({ host, port, tls }: RedisTarget, error: Error): Promise<DittoError> {
  const found = toConnectionError(error);
  if (tls === undefined || found.code !== 'DITTO_REDIS_UNAVAILABLE' || !isCutOff(error)) return found;
  return tlsErrors.classify(await askTlsRefusal({ host, port, tls, plainPing: PLAIN_PING })) ?? found;
}

/** Whether an event of BullMQ is about Redis or the connection, not about its own jobs and locks. */
export function isFromRedis({ code, name, message }: NodeJS.ErrnoException): boolean {
  return (
    typeof code === 'string' ||
    name === 'ReplyError' ||
    name === 'MaxRetriesPerRequestError' ||
    /^(?:Connection is closed\.|Command timed out|Socket timeout)/.test(message)
  );
}

function isCutOff({ code, message }: NodeJS.ErrnoException): boolean {
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ETIMEDOUT' || message === 'Connection is closed.';
}
