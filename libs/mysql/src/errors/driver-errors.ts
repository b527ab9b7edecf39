import { isTlsCode, TlsErrors } from '#kernel';
import { DENIED, type ErrorClass, LOST, TLS_FAILED, UNKNOWN_HOST, UNREACHABLE, withRemedy } from './error-class.ts';

export const tlsErrors = new TlsErrors({ code: TLS_FAILED.code, server: 'The endpoint', option: 'tls' });

/** By the codes of mysql2, of Node, and of the operating system. */
const BY_CODE: Readonly<Record<string, ErrorClass>> = {
  ENOTFOUND: UNKNOWN_HOST,
  EAI_AGAIN: UNKNOWN_HOST,
  EAI_FAIL: UNKNOWN_HOST,
  ECONNRESET: LOST,
  ECONNABORTED: LOST,
  EPIPE: LOST,
  PROTOCOL_CONNECTION_LOST: LOST,
  PROTOCOL_SEQUENCE_TIMEOUT: LOST,
  AUTH_SWITCH_PLUGIN_ERROR: withRemedy(
    DENIED,
    "Use a plugin that the driver knows: ALTER USER … IDENTIFIED WITH caching_sha2_password BY '…'; then restart the source.",
  ),
  MYSQL_CLEAR_PASSWORD_NOT_ENABLED: withRemedy(
    DENIED,
    "The server asks for the password in clear text: ALTER USER … IDENTIFIED WITH caching_sha2_password BY '…'; then restart the source.",
  ),
};

/** `ECONNREFUSED`, `EHOSTUNREACH`, `ETIMEDOUT`, `EMFILE`, … */
const OF_THE_SYSTEM = /^E[A-Z]+$/;

/** Undefined when nothing is known of such an error. */
export function classifyDriverError(code: string, message: string): ErrorClass | undefined {
  const known = BY_CODE[code];
  if (known !== undefined) return known;
  const tlsRemedy = tlsErrors.findRemedy({ code, message });
  if (tlsRemedy !== null) return withRemedy(TLS_FAILED, `${tlsRemedy} Then restart the source.`);
  if (isTlsCode(code)) return LOST;
  if (OF_THE_SYSTEM.test(code)) return UNREACHABLE;
  return /closed state|connection is closed|Connection lost/i.test(message) ? LOST : undefined;
}
