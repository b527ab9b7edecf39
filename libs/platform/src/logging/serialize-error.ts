import { DittoError } from '#kernel';

/** Depth to which causes are followed. */
const CAUSE_LIMIT = 5;

/** An error as log fields: code, message, context and stack, causes inside. Anything else is given as it is. */
export function serializeError(error: unknown, depth = 0): unknown {
  if (!isErrorLike(error)) return error;
  const { name, message, stack, cause } = error;
  return {
    name,
    message,
    ...(error instanceof DittoError
      ? { code: error.code, retriable: error.retriable, remedy: error.remedy, context: error.context }
      : 'code' in error && { code: error.code }),
    stack,
    ...(cause !== undefined && depth < CAUSE_LIMIT && { cause: serializeError(cause, depth + 1) }),
  };
}

function isErrorLike(value: unknown): value is Error {
  return typeof value === 'object' && value !== null && 'message' in value && 'stack' in value;
}
