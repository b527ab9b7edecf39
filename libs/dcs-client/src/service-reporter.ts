import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { isAbort, type Logger, sleep, toDittoError } from '#kernel';
import { type ServiceStatus } from './dcs-contract.ts';

const INTERVAL_MS = 2000;
const TTL_MS = 10_000;
/** The shortest that there is. */
const ENDED_TTL_MS = 100;

export interface ServiceReporterOptions extends Pick<ServiceStatus, 'service' | 'instance' | 'url'> {
  /** Asked for each report. */
  readonly details: () => ServiceStatus['details'];
  readonly report: (status: ServiceStatus, ttlMs: number) => Promise<void>;
  readonly logger: Logger;
}

/** Unique among all processes, also over restarts. */
export function createInstanceName(): string {
  return `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
}

/**
 * Puts a service instance on the board of DCS, every two seconds; ten seconds after its last report it is forgotten, at
 * once when it ends in order.
 */
export class ServiceReporter {
  readonly #options: ServiceReporterOptions;
  readonly #startedAtMs = Date.now();
  #isFailing = false;

  constructor(options: ServiceReporterOptions) {
    this.#options = options;
  }

  /** Resolves when `signal` is aborted. A report that fails is logged once, and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#report(TTL_MS);
      await sleep(INTERVAL_MS, signal).catch((error: unknown) => {
        if (!isAbort(error)) throw error;
      });
    }
    await this.#report(ENDED_TTL_MS);
  }

  async #report(ttlMs: number): Promise<void> {
    const { service, instance, url, details, report, logger } = this.#options;
    const identity = { service, instance, url, startedAtMs: this.#startedAtMs };
    try {
      await report({ ...identity, reportedAtMs: Date.now(), details: details() }, ttlMs);
      this.#isFailing = false;
    } catch (error) {
      const { code, message } = toDittoError(error);
      if (!this.#isFailing) logger.warn('this instance can not report itself', { code, error: message });
      this.#isFailing = true;
    }
  }
}
