/** What a server's or a driver's error means for Ditto. */
export interface ErrorClass {
  readonly code: string;
  readonly retriable: boolean;
  readonly remedy?: string;
}

/** The same class, with a remedy that fits one error better. */
export function withRemedy(errorClass: ErrorClass, remedy: string): ErrorClass {
  return { ...errorClass, remedy };
}

export const UNREACHABLE: ErrorClass = {
  code: 'DITTO_SOURCE_UNREACHABLE',
  retriable: true,
  remedy: 'Check that the server runs and that host and port are right; Ditto continues by itself.',
};
export const UNKNOWN_HOST: ErrorClass = {
  code: 'DITTO_SOURCE_UNKNOWN_HOST',
  retriable: true,
  remedy: 'Check the host name of the source.',
};
export const LOST: ErrorClass = {
  code: 'DITTO_SOURCE_CONNECTION_LOST',
  retriable: true,
  remedy: 'None needed: Ditto connects again. If it comes back, look at the error log of the server.',
};
export const BUSY: ErrorClass = {
  code: 'DITTO_SOURCE_BUSY',
  retriable: true,
  remedy: 'None needed if it passes. If not, look at what else runs on the server.',
};
export const DENIED: ErrorClass = {
  code: 'DITTO_SOURCE_ACCESS_DENIED',
  retriable: false,
  remedy:
    'Check user, password and the grants that `check` names. Who requires TLS, or a client certificate (REQUIRE X509), may refuse in the same words: check `tls`, tls.cert and tls.key of the endpoint. Then restart the source.',
};
export const TLS_FAILED: ErrorClass = {
  code: 'DITTO_SOURCE_TLS_FAILED',
  retriable: false,
  remedy: 'Check `tls` of the endpoint.',
};
export const LAYOUT_CHANGED: ErrorClass = { code: 'DITTO_SOURCE_LAYOUT_CHANGED', retriable: true };

/** The class of what is not known, while a connection is being made: the server may take it later. */
export const REFUSED: ErrorClass = {
  code: 'DITTO_SOURCE_REFUSED',
  retriable: true,
  remedy: 'Look the number up in the manual of the server and remove the reason; Ditto continues by itself.',
};
/** The class of what is not known about a statement: it would be refused again. */
export const QUERY_FAILED: ErrorClass = {
  code: 'DITTO_SOURCE_QUERY_FAILED',
  retriable: false,
  remedy: 'Look the number up in the manual of the server and remove the reason; then restart the source.',
};
