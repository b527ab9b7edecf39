import { abortable, findReason, toDittoError } from '#kernel';

/** Something that was asked for, or why it could not be had; one of the two is null. */
export type Part<T> =
  { readonly value: T; readonly unavailable: null } | { readonly value: null; readonly unavailable: string };

const MOST_MS = 10_000;

/** Never rejects: what one server does not answer must not hide what the others say. */
export async function takePart<T>(signal: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<Part<T>> {
  const late = AbortSignal.timeout(MOST_MS);
  try {
    const either = AbortSignal.any([signal, late]);
    return { value: await abortable(ask(either), either), unavailable: null };
  } catch (error) {
    if (late.aborted) return missing(`it did not answer within ${MOST_MS} ms`);
    const { code } = toDittoError(error);
    return missing(code === 'DITTO_INTERNAL' ? findReason(error) : `${code}: ${findReason(error)}`);
  }
}

export function missing(unavailable: string): { readonly value: null; readonly unavailable: string } {
  return { value: null, unavailable };
}
