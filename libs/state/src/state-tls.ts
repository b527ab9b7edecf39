import { classifyTlsFailure, DittoError, findTlsMaterialProblem, type TlsMaterial, tlsRemedy } from '#kernel';

const OPTION = 'state.tls';

/** Null for a connection that was lost while TLS was being set up, for no reason of TLS. */
export function toTlsError(code: string, message: string, cause: unknown): DittoError | null {
  const failure = classifyTlsFailure(code, message);
  return failure === 'lost'
    ? null
    : tlsFailed(`can not be reached by TLS: ${message}`, tlsRemedy(failure, OPTION), cause);
}

export function refuseWithoutTls(message: string, cause: unknown): DittoError {
  return tlsFailed(`takes encrypted connections only: ${message}`, `Set ${OPTION}, to {} or with a ca.`, cause);
}

export function assertUsable(material: TlsMaterial): void {
  const found = findTlsMaterialProblem(material);
  if (found !== null) throw tlsFailed(`is not connected to: ${OPTION}.${found.option} ${found.problem}`, found.remedy);
}

/** The database tries again by itself, since what fails now need not fail with the next certificate of the server. */
function tlsFailed(what: string, remedy: string, cause?: unknown): DittoError {
  return new DittoError('DITTO_STATE_TLS_FAILED', `The state database ${what}`, { retriable: true, remedy, cause });
}
