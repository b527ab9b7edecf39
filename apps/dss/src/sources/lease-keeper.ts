import { type LeaseAnswer, type LeaseRequest } from '#dcs-client';
import { DittoError, hasEnded, type ProcessIdentity, sleep, toDittoError, withTimeout, type Logger } from '#kernel';
import { type Grant } from '#replication';

/** Where leases come from. Unreachable: a retriable error. */
export interface LeaseOffice {
  /** A grant with a new token; null and who holds the lease while somebody else does. */
  acquireLease(request: LeaseRequest): Promise<LeaseAnswer>;
  /** False when the lease is no longer this grant's. */
  renewLease(grant: Grant, ttlMs: number): Promise<boolean>;
  /** With the instance that it is handed to, if any: nobody else gets the lease before `ttlMs` are over. */
  releaseLease(grant: Grant, handOver: HandOver | null): Promise<void>;
}

/** To whom a lease is handed, and how long it is kept for it. */
export interface HandOver {
  readonly to: string;
  readonly ttlMs: number;
}

/**
 * What this instance does about a source that it does not own. `asks`: it falls to this instance when it is free.
 * `expects`: it is about to be handed to it. `waits`: it falls to another instance.
 */
export type LeaseTurn = 'asks' | 'expects' | 'waits';

export interface LeaseKeeperOptions {
  readonly office: LeaseOffice;
  readonly source: string;
  readonly owner: string;
  /** This process; null where the system does not say it. */
  readonly process: ProcessIdentity | null;
  readonly ttlMs: number;
  readonly renewMs: number;
  readonly logger: Logger;
  /** While it is `waits`, the lease is not asked for. */
  readonly turn?: () => LeaseTurn;
  /** Milliseconds of a clock that never jumps back, and runs while the machine is suspended too (`BootClock`). */
  readonly monotonicMs: () => number;
}

const LEAST_WAIT_MS = 20;
/** How often a lease is asked for that is about to be handed over. */
const EXPECTED_MS = 100;
/** How often a turn is looked at that has not come. */
const TURN_MS = 100;

/** Asks for the lease of one source until it is granted, then renews it until it is lost or released. */
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
    const { source, renewMs, logger, turn = () => 'asks' } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      const now = turn();
      if (now === 'waits') {
        await sleep(TURN_MS, signal);
        continue;
      }
      const askAgainMs = now === 'expects' ? EXPECTED_MS : renewMs;
      let waitMs = askAgainMs;
      try {
        const { grant, holder } = await this.#request(null);
        if (grant !== null) return grant;
        const ended = findEnded(holder);
        const takenOver = ended && (await this.#request(ended)).grant;
        if (takenOver) return takenOver;
        waitMs = Math.min(askAgainMs, (holder?.expiresInMs ?? 0) + LEAST_WAIT_MS);
      } catch (cause) {
        const error = toDittoError(cause);
        if (!error.retriable) throw error;
        if (this.#trouble?.code !== error.code)
          logger.warn('no lease can be obtained', { source, code: error.code, error: error.message });
        this.#trouble = error;
      }
      await sleep(waitMs, signal);
    }
  }

  async #request(ended: Pick<Grant, 'owner' | 'token'> | null): Promise<LeaseAnswer> {
    const { office, source, owner, process, ttlMs, monotonicMs } = this.#options;
    this.#validUntilMs = monotonicMs() + ttlMs;
    const answer = await office.acquireLease({ source, owner, process, ttlMs, ended });
    this.#trouble = null;
    return answer;
  }

  /** What `acquire` waits for, as the end of a sentence. */
  describeWait(): string {
    const trouble = this.#trouble;
    return `the lease of the source${trouble === null ? '' : ` (${trouble.code}: ${trouble.message})`}`;
  }

  /** Whether the lease that was granted last is still valid, by this process's own clock. */
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

  /** To everybody, or to the instance that it is handed to. False when nobody has answered: the lease ends by itself. */
  async release(grant: Grant, to: string | null = null): Promise<boolean> {
    const { office, ttlMs } = this.#options;
    try {
      await office.releaseLease(grant, to === null ? null : { to, ttlMs });
      return true;
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      this.#options.logger.warn('the lease could not be released; it ends by itself', {
        source: grant.source,
        code,
        error: message,
      });
      return false;
    }
  }
}

/** The holder, if its process ran on this machine and has ended; a lease that is only reserved will end soon. */
function findEnded(holder: LeaseAnswer['holder']): Pick<Grant, 'owner' | 'token'> | null {
  if (holder?.process == null || holder.token === null || !hasEnded(holder.process)) return null;
  return { owner: holder.owner, token: holder.token };
}

function lost(grant: Grant, why: string): DittoError {
  return new DittoError('DITTO_LEASE_LOST', `the lease of ${grant.source} is lost: ${why}`, {
    retriable: true,
    context: { token: grant.token },
  });
}
