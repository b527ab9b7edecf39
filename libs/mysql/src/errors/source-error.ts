import { DittoError, isAbort } from '#kernel';
import { classifyDriverError } from './driver-errors.ts';
import { classifyDumpError } from './dump-errors.ts';
import { type ErrorClass, QUERY_FAILED, REFUSED } from './error-class.ts';
import { classifyServerError } from './server-errors.ts';

const ER_SOURCE_FATAL_ERROR_READING_BINLOG = 1236;
/** MariaDB's; the number means something else on MySQL. */
const ER_SLAVE_SAME_ID = 4052;
/** Smaller ones belong to the operating system. */
const FIRST_SERVER_ERROR = 1000;

interface DriverError {
  readonly message: string;
  readonly code?: string;
  readonly errno?: number;
  readonly sqlState?: string | null;
  readonly fatal?: boolean;
}

/** By shape: an error of Node's core may come from another realm than this module's `Error`. */
function isDriverError(error: unknown): error is DriverError {
  return (
    typeof error === 'object' && error !== null && typeof (error as { readonly message?: unknown }).message === 'string'
  );
}

/** Servers' errors by number: the driver's names are MySQL's, for MariaDB's numbers too, and a dump's have none. */
function classify({ message, code = '', errno = 0, sqlState }: DriverError): ErrorClass | undefined {
  const isTaken = errno === ER_SLAVE_SAME_ID && message.includes('same server_');
  if (errno === ER_SOURCE_FATAL_ERROR_READING_BINLOG || isTaken) return classifyDumpError(message);
  return errno >= FIRST_SERVER_ERROR
    ? classifyServerError(errno, sqlState ?? '', message)
    : classifyDriverError(code, message);
}

/**
 * The one place where errors of MySQL and its driver become Ditto's. Aborts and coded errors pass unchanged.
 *
 * @param connecting true until the connection is made: what is not known then may pass
 */
export function toSourceError(error: unknown, doing: string, connecting = false): Error {
  if (error instanceof DittoError) return error;
  if (isAbort(error)) return error as Error;
  const unknown = connecting ? REFUSED : QUERY_FAILED;
  if (!isDriverError(error)) return sourceError(unknown, `${doing}: ${String(error)}`);
  const { message, code = null, errno = null, fatal } = error;
  // after a lost connection the same statement may succeed
  const known = classify(error) ?? { ...unknown, retriable: unknown.retriable || fatal === true };
  return sourceError(known, `${doing}: ${message}`, { vendorCode: code, vendorNumber: errno }, error);
}

function sourceError(
  { code, retriable, remedy }: ErrorClass,
  message: string,
  context: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): DittoError {
  return new DittoError(code, message, { retriable, ...(remedy === undefined ? {} : { remedy }), context, cause });
}
