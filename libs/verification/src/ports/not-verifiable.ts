import { DittoError } from '#kernel';

const CODE = 'DITTO_VERIFICATION_NOT_POSSIBLE';

/** Thrown by a `VerifiedSink` that can't be asked what it holds of a table, however often one asks. */
export function notVerifiable(reason: string, context: Readonly<Record<string, unknown>> = {}): DittoError {
  return new DittoError(CODE, reason, { context });
}

export function isNotVerifiable(error: unknown): error is DittoError {
  return error instanceof DittoError && error.code === CODE;
}
