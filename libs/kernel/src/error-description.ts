import { DittoError } from './ditto-error.ts';
import { toDittoError } from './to-ditto-error.ts';

/** An error as it goes over a wire or into a log: plain JSON, without stack and cause. */
export interface ErrorDescription {
  readonly code: string;
  readonly message: string;
  readonly retriable: boolean;
  readonly remedy: string | null;
  readonly context: Readonly<Record<string, unknown>>;
}

export function describeError(error: unknown): ErrorDescription {
  const { code, message, retriable, remedy, context } = toDittoError(error);
  return { code, message, retriable, remedy, context };
}

/** What a log line says of an error. */
export function errorFields(error: unknown): {
  readonly code: string;
  readonly error: string;
  readonly remedy: string | null;
} {
  const { code, message, remedy } = toDittoError(error);
  return { code, error: message, remedy };
}

/** One line for a status or a page. */
export function formatError(error: unknown): string {
  const { code, message } = toDittoError(error);
  return `${code}: ${message}`;
}

/** The error that `describeError` described on the other side; null when `value` is not a description. */
export function restoreError(value: unknown): DittoError | null {
  if (typeof value !== 'object' || value === null) return null;
  const { code, message, retriable, remedy, context } = value as Readonly<Record<string, unknown>>;
  if (typeof code !== 'string' || typeof message !== 'string') return null;
  return new DittoError(code, message, {
    retriable: retriable === true,
    ...(typeof remedy === 'string' && { remedy }),
    ...(typeof context === 'object' && context !== null && { context: context as Readonly<Record<string, unknown>> }),
  });
}
