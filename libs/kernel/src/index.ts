export { DittoError, type DittoErrorOptions } from './ditto-error.ts';
export { silentLogger, type LogFields, type Logger } from './logger.ts';
