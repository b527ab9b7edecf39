export { Deferred } from './deferred.ts';
export { DittoError, type DittoErrorOptions } from './ditto-error.ts';
export { describeError, restoreError, type ErrorDescription } from './error-description.ts';
export { Gate } from './gate.ts';
export { silentLogger, type LogFields, type Logger } from './logger.ts';
export { parseBytes } from './parse-bytes.ts';
export { Backoff, retry, type BackoffOptions, type RetryOptions } from './retry.ts';
export { sleep, withTimeout } from './sleep.ts';
export { isAbort, toDittoError } from './to-ditto-error.ts';
