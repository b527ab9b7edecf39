import { DittoError, sleep, toDittoError, withTimeout, type Logger } from '#kernel';
import { type Grant } from '#replication';

/** Where leases come from. Unreachable: a retriable error. */
export interface LeaseOffice {
  /** A grant with a new token; null while somebody else holds the lease. */
  acquireLease(request: { source: string; owner: string; ttlMs: number }): Promise<Grant | null>;
  /** False when the lease is no longer this grant's. */
  renewLease(grant: Grant, ttlMs: number): Promise<boolean>;
  releaseLease(grant: Grant): Promise<void>;
}

export interface LeaseKeeperOptions {
  readonly office: LeaseOffice;
  readonly source: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly renewMs: number;
  readonly logger: Logger;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicMs: () => number;
}

/** Asks for the lease of one source until it is granted, then renews it until it is lost or let go. */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  /** The lease does not last longer than its time from when it was asked for. */
  #validUntilMs = 0;
  /** Why the lease could not even be asked for, the last time. */
  #trouble: DittoError | null = null;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  async acquire(signal: AbortSignal): Promise<Grant> {
    const { office, source, owner, ttlMs, renewMs, logger, monotonicMs } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      this.#validUntilMs = monotonicMs() + ttlMs;
      try {
        const grant = await office.acquireLease({ source, owner, ttlMs });
        this.#trouble = null;
        if (grant !== null) return grant;
      } catch (cause) {
        const error = toDittoError(cause);
        if (!error.retriable) throw error;
        if (this.#trouble?.code !== error.code)
          logger.warn('no lease can be had', { source, code: error.code, error: error.message });
        this.#trouble = error;
      }
      await sleep(renewMs, signal);
    }
  }

  /** What `acquire` waits for, as the end of a sentence. */
  describeWait(): string {
    const trouble = this.#trouble;
    return `the lease of the source${trouble === null ? '' : ` (${trouble.code}: ${trouble.message})`}`;
  }

  /** Whether the lease that was granted last still stands, by this process's own clock. */
  isValid(): boolean {
    return this.#options.monotonicMs() < this.#validUntilMs;
  }

  /**
   * Renews the grant of the last `acquire` until `signal` is aborted (resolves) or the lease is lost or has run out
   * (rejects, at that moment, whether a renewal is under way or not).
   */
  async renewUntil(grant: Grant, signal: AbortSignal): Promise<void> {
    const { ttlMs, renewMs, monotonicMs } = this.#options;
    for (;;) {
      await sleep(Math.min(renewMs, Math.max(0, this.#validUntilMs - monotonicMs())), signal).catch(() => undefined);
      if (signal.aborted) return;
      const askedAt = monotonicMs();
      if (this.isValid() && (await this.#renew(grant, this.#validUntilMs - askedAt)))
        this.#validUntilMs = askedAt + ttlMs;
      if (!this.isValid()) throw lost(grant, 'it ran out before it could be renewed');
    }
  }

  /** False when no answer could be had within `waitMs`; rejects when the lease is another's. */
  async #renew(grant: Grant, waitMs: number): Promise<boolean> {
    const { office, ttlMs, logger } = this.#options;
    const late = (): DittoError => lost(grant, 'it ran out while it was being renewed');
    try {
      if (await withTimeout(office.renewLease(grant, ttlMs), waitMs, late)) return true;
    } catch (cause) {
      const error = toDittoError(cause);
      if (!error.retriable) throw error;
      logger.warn('the lease could not be renewed, trying again', {
        source: grant.source,
        code: error.code,
        error: error.message,
      });
      return false;
    }
    throw lost(grant, 'somebody else holds it, or it was taken away');
  }

  async release(grant: Grant): Promise<void> {
    try {
      await this.#options.office.releaseLease(grant);
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      this.#options.logger.warn('the lease could not be released; it ends by itself', {
        source: grant.source,
        code,
        error: message,
      });
    }
  }
}

function lost(grant: Grant, why: string): DittoError {
  return new DittoError('DITTO_LEASE_LOST', `the lease of ${grant.source} is lost: ${why}`, {
    retriable: true,
    context: { token: grant.token },
  });
}
