import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { type DcsRequest } from '#dcs-client';
import { type ProcessIdentity, toDittoError } from '#kernel';
import { createLogger, Metrics } from '#platform';
import { type LeaseHolder, RedisLeases } from '#redis';
import { type Grant } from '#replication';
import { StateAuditLog, StateFencing } from '#state';

export interface LeaseRequest {
  readonly source: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly attempt?: number;
  readonly process?: ProcessIdentity | null;
  /** A holder that is proven to have ended. */
  readonly ended?: Pick<Grant, 'owner' | 'token'> | null;
}

export interface LeaseDecision {
  readonly grant: Grant | null;
  /** Who holds the lease instead; null when it has become free in between. */
  readonly holder: LeaseHolder | null;
}

/**
 * Gives out leases: at most one owner per source, each grant with a token above all before (I5).
 *
 * Redis says whether a lease is free, the state database gives the token. A lease is granted only while both work;
 * renewals need Redis alone.
 */
@Injectable()
export class LeaseOffice {
  readonly #leases: RedisLeases;
  readonly #fencing: StateFencing;
  readonly #audit: StateAuditLog;
  readonly #logger = createLogger('leases');
  readonly #requests;
  readonly #renewals;

  constructor(leases: RedisLeases, fencing: StateFencing, audit: StateAuditLog, metrics: Metrics) {
    this.#leases = leases;
    this.#fencing = fencing;
    this.#audit = audit;
    this.#requests = metrics.counter('lease_requests_total', 'Leases asked for, by what became of it', [
      'source',
      'outcome',
    ]);
    this.#renewals = metrics.counter('lease_renewals_total', 'Renewals asked for, by what became of it', [
      'source',
      'outcome',
    ]);
  }

  /** A request that arrives after a later one of its owner (`attempt`) takes nothing away and gets nothing. */
  async acquire(request: LeaseRequest): Promise<LeaseDecision> {
    const { source, owner, ttlMs, ended } = request;
    const nonce = randomUUID();
    if (!(await this.#leases.reserve({ ...request, nonce }))) return this.#refuse(source);
    const grant = await this.#grantReserved(source, owner, nonce, ttlMs);
    if (!grant) return this.#refuse(source);
    this.#requests.inc({ source, outcome: 'granted' });
    this.#logger.info('a lease was granted', { source, owner, token: grant.token, ...(ended && { ended }) });
    return { grant, holder: null };
  }

  async renew(grant: Grant, ttlMs: number): Promise<boolean> {
    const renewed = await this.#leases.renew(grant, ttlMs);
    this.#renewals.inc({ source: grant.source, outcome: renewed ? 'renewed' : 'refused' });
    return renewed;
  }

  async release(grant: Grant, handOver: DcsRequest<'releaseLease'>['handOver']): Promise<boolean> {
    const released = await this.#leases.release(grant, handOver);
    const { source, owner, token } = grant;
    if (released) this.#logger.info('a lease was released', { source, owner, token, to: handOver?.to ?? null });
    return released;
  }

  async list(): Promise<readonly LeaseHolder[]> {
    return this.#leases.list();
  }

  async #grantReserved(source: string, owner: string, nonce: string, ttlMs: number): Promise<Grant | null> {
    try {
      const token = await this.#fencing.grant(source, owner, await this.#leases.highestToken(source));
      const grant = { source, owner, token };
      // a source that can't be opened has its lease granted to the same process every few seconds
      await this.#audit.recordRepeated(
        { actor: 'dcs', action: 'lease.grant', subject: source, details: { owner, token } },
        owner,
      );
      if (!(await this.#leases.grant(grant, nonce, ttlMs))) return null;
      // This process may have been frozen since it got the token, and Redis have lost the newer ones since.
      if ((await this.#fencing.currentToken(source)) === token) return grant;
      await this.#leases.abandon(source, nonce);
      return null;
    } catch (error) {
      this.#requests.inc({ source, outcome: 'failed' });
      await this.#abandon(source, nonce);
      throw error;
    }
  }

  /** When this fails too, the reservation ends with its TTL. */
  async #abandon(source: string, nonce: string): Promise<void> {
    try {
      await this.#leases.abandon(source, nonce);
    } catch (error) {
      const { code, message } = toDittoError(error);
      this.#logger.warn('a reserved lease could not be given up; it ends by itself', { source, code, error: message });
    }
  }

  async #refuse(source: string): Promise<LeaseDecision> {
    this.#requests.inc({ source, outcome: 'held' });
    return { grant: null, holder: await this.#leases.read(source) };
  }
}
