interface ErrorLike {
  readonly name?: unknown;
  readonly message: unknown;
  readonly errors?: readonly unknown[];
  readonly cause?: unknown;
  readonly code?: unknown;
}

/**
 * The text of an error for people. Where a name has several addresses, Node's error for the failed attempts at all of
 * them has no text of its own: then it is the text of the last attempt, or else the code.
 */
export function findReason(error: unknown): string {
  if (!isErrorLike(error)) return String(error);
  const { name, message, errors, cause, code } = error;
  if (typeof message === 'string' && message !== '') return message;
  const inner = errors?.at(-1) ?? cause;
  if (inner !== undefined) return findReason(inner);
  return String(code ?? name);
}

function isErrorLike(error: unknown): error is ErrorLike {
  return typeof error === 'object' && error !== null && 'message' in error;
}
