import { DittoError, sleep, toDittoError, type Logger } from '#kernel';
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
  private readonly options: LeaseKeeperOptions;

  constructor(options: LeaseKeeperOptions) {
    this.options = options;
  }

  async acquire(signal: AbortSignal): Promise<Grant> {
    const { office, source, owner, ttlMs, renewMs, logger } = this.options;
    let complained = '';
    for (;;) {
      signal.throwIfAborted();
      try {
        const grant = await office.acquireLease({ source, owner, ttlMs });
        if (grant !== null) return grant;
        complained = '';
      } catch (cause) {
        const error = toDittoError(cause);
        if (!error.retriable) throw error;
        if (complained !== error.code) logger.warn('no lease can be had', { source, code: error.code, error: error.message });
        complained = error.code;
      }
      await sleep(renewMs, signal);
    }
  }

  /** Renews until `signal` is aborted (resolves) or the lease is lost or has run out (rejects). */
  async renewUntil(grant: Grant, signal: AbortSignal): Promise<void> {
    const { office, ttlMs, renewMs, logger, monotonicMs } = this.options;
    let validUntil = monotonicMs() + ttlMs;
    for (;;) {
      await sleep(renewMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      const askedAt = monotonicMs();
      try {
        if (!(await office.renewLease(grant, ttlMs))) throw lost(grant, 'somebody else holds it, or it was taken away');
        validUntil = askedAt + ttlMs;
      } catch (cause) {
        const error = toDittoError(cause);
        if (!error.retriable) throw error;
        logger.warn('the lease could not be renewed, trying again', { source: grant.source, code: error.code, error: error.message });
      }
      if (monotonicMs() >= validUntil) throw lost(grant, 'it ran out before it could be renewed');
    }
  }

  async release(grant: Grant): Promise<void> {
    try {
      await this.options.office.releaseLease(grant);
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      this.options.logger.warn('the lease could not be released; it ends by itself', { source: grant.source, code, error: message });
    }
  }
}

function lost(grant: Grant, why: string): DittoError {
  return new DittoError('DITTO_LEASE_LOST', `the lease of ${grant.source} is lost: ${why}`, { retriable: true, context: { token: grant.token } });
}
