import { closeSync, futimesSync, openSync } from 'node:fs';
import { findReason, type Logger } from '#kernel';

const INTERVAL_MS = 2000;

/**
 * A file whose age says whether the event loop of this process still turns: it is touched every two seconds. Who checks
 * it needs neither Node nor address, port and certificates of the service. `deploy/health.sh` does.
 */
export class LivenessFile {
  readonly #path: string;
  readonly #logger: Logger;
  #isFailing = false;

  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
  }

  /** Touches it now, and as long as the process lives. */
  keep(intervalMs = INTERVAL_MS): void {
    this.#touch();
    setInterval(() => this.#touch(), intervalMs).unref();
  }

  #touch(): void {
    try {
      const file = openSync(this.#path, 'a');
      const now = new Date();
      futimesSync(file, now, now);
      closeSync(file);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing)
        this.#logger.warn('the liveness file can not be written, so this process will count as dead', {
          path: this.#path,
          error: findReason(error),
        });
      this.#isFailing = true;
    }
  }
}
