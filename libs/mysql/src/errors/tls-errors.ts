import { classifyTlsFailure, DittoError, findTlsMaterialProblem, type TlsMaterial, tlsRemedy } from '#kernel';
import { type ErrorClass, LOST, TLS_FAILED, withRemedy } from './error-class.ts';

const OPTION = 'tls';

/** Of an error that came while TLS was being set up. */
export function classifyTlsError(code: string, message: string): ErrorClass {
  const failure = classifyTlsFailure(code, message);
  if (failure === 'lost') return LOST;
  return withRemedy(TLS_FAILED, `${tlsRemedy(failure, OPTION)} Then restart the source.`);
}

export function assertUsable(material: TlsMaterial): void {
  const found = findTlsMaterialProblem(material);
  if (found === null) return;
  throw new DittoError(TLS_FAILED.code, `${OPTION}.${found.option} of the endpoint ${found.problem}`, {
    remedy: found.remedy,
  });
}
