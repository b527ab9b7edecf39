import { type ClientTls, DittoError, findTlsMaterialProblem } from '#kernel';

import { KAFKA_ERROR_CODES } from './kafka-error-codes.ts';

/** Throws `DITTO_KAFKA_TLS` for texts that are no certificates or keys, or do not belong together; no text is in it. */
export function assertUsableTls(tls: ClientTls | null): void {
  const found = tls && findTlsMaterialProblem(tls);
  if (found)
    throw new DittoError(KAFKA_ERROR_CODES.untrusted, `kafka.tls.${found.option} ${found.problem}`, {
      remedy: found.remedy,
    });
}
