import { DittoError, type Logger, withTimeout } from '#kernel';

export interface ShutdownSequenceOptions {
  /** Called at once: readiness turns negative. */
  readonly begin: (reason: string) => void;
  readonly close: () => Promise<void>;
  readonly deadlineMs: number;
  readonly exit: (code: number) => void;
  readonly logger: Logger;
}

/** A signal to a terminal's whole group reaches a process twice when its parent passes it on: that is one request. */
const REPEATED_SIGNAL_MS = 500;

/**
 * What a process does with SIGTERM and SIGINT: the first begins the orderly end (exit code 0; 1 when it fails or takes
 * longer than the deadline), a second forces the exit.
 */
export function createShutdownSequence(options: ShutdownSequenceOptions): (signal: string) => Promise<void> {
  const { begin, close, deadlineMs, exit, logger } = options;
  let beganAtMs: number | null = null;

  return async (signal) => {
    if (beganAtMs !== null) {
      if (performance.now() - beganAtMs < REPEATED_SIGNAL_MS) return;
      logger.error('a second signal forces the exit', { signal });
      exit(1);
      return;
    }
    beganAtMs = performance.now();
    logger.info('shutting down', { signal, deadlineMs });
    begin(signal);
    try {
      await withTimeout(close(), deadlineMs, () => createDeadlineError(deadlineMs));
      logger.info('stopped', { elapsedMs: Math.round(performance.now() - beganAtMs) });
      exit(0);
    } catch (error) {
      logger.error('the orderly shutdown failed', { error });
      exit(1);
    }
  };
}

function createDeadlineError(deadlineMs: number): DittoError {
  return new DittoError(
    'DITTO_SERVICE_SHUTDOWN_DEADLINE',
    `The shutdown took longer than ${deadlineMs} ms and was cut off`,
    {
      remedy:
        'Nothing confirmed is lost; the next start continues from the last checkpoint. Raise shutdownDeadlineMs if it comes back.',
    },
  );
}
