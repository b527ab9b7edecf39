import { type ProcessIdentity } from '#kernel';
import { type Grant } from '#replication';
import { type RedisConnection } from './redis-connection.ts';

export interface LeaseHolder {
  readonly source: string;
  readonly owner: string;
  /** Null while the lease is only reserved: its token is being granted. */
  readonly token: number | null;
  readonly expiresInMs: number;
  /** Null when it did not say it. */
  readonly process: ProcessIdentity | null;
}

export interface Reservation {
  readonly source: string;
  readonly owner: string;
  readonly nonce: string;
  readonly ttlMs: number;
  /** Grows with the owner's requests; 0: not counted. */
  readonly attempt?: number;
  readonly process?: ProcessIdentity | null;
  /** A holder that has ended; what it holds is taken over if it has this token. */
  readonly ended?: Pick<Grant, 'owner' | 'token'> | null;
}

/**
 * Leases with a TTL by Redis' clock. Taking one is three steps: `reserve`, a token from the state database, `grant`.
 * The reservation keeps two that want the same lease from fencing each other off.
 */
export class RedisLeases {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /**
   * False when another owner than `ended` holds the lease, or has reserved it. An owner that holds it gives up its grant by this, unless
   * it got it by a later attempt: the attempts of an owner grow, so that one that comes late takes nothing away.
   */
  async reserve(reservation: Reservation): Promise<boolean> {
    const { source, owner, nonce, ttlMs, attempt = 0, process = null, ended = null } = reservation;
    const { keys } = this.#redis;
    const takenOver = [ended?.owner ?? '', ended?.token ?? ''];
    const values = [owner, nonce, ttlMs, attempt, process === null ? '' : JSON.stringify(process), ...takenOver];
    const reserved = await this.#redis.runScript('dittoReserveLease', [keys.lease(source)], values);
    return reserved === 1;
  }

  /** False when the lease has gone to another since, or a token at or above this one was seen. */
  async grant(grant: Grant, nonce: string, ttlMs: number): Promise<boolean> {
    const { source, owner, token } = grant;
    const { keys } = this.#redis;
    const granted = await this.#redis.runScript(
      'dittoGrantLease',
      [keys.token(source), keys.lease(source)],
      [owner, nonce, token, ttlMs],
    );
    if (granted === 1) await this.#redis.run((client) => client.sadd(keys.sources(), source));
    return granted === 1;
  }

  /** Gives up a reservation, or a lease that nobody knows of. */
  async abandon(source: string, nonce: string): Promise<void> {
    await this.#redis.runScript('dittoAbandonLease', [this.#redis.keys.lease(source)], [nonce]);
  }

  /** False when the lease is not this grant's (any more). */
  async renew({ source, owner, token }: Grant, ttlMs: number): Promise<boolean> {
    return (
      (await this.#redis.runScript('dittoRenewLease', [this.#redis.keys.lease(source)], [owner, token, ttlMs])) === 1
    );
  }

  /** False when there was nothing of this grant's to release. With `handOver` it is reserved for that owner, so long. */
  async release(
    { source, owner, token }: Grant,
    handOver: { readonly to: string; readonly ttlMs: number } | null = null,
  ): Promise<boolean> {
    const values = [owner, token, handOver?.to ?? '', handOver?.ttlMs ?? 0];
    return (await this.#redis.runScript('dittoReleaseLease', [this.#redis.keys.lease(source)], values)) === 1;
  }

  async read(source: string): Promise<LeaseHolder | null> {
    const key = this.#redis.keys.lease(source);
    const [fields, expiresInMs] = await this.#redis.run((client) =>
      Promise.all([client.hgetall(key), client.pttl(key)]),
    );
    const { owner, token, process } = fields;
    if (owner === undefined || expiresInMs < 0) return null;
    return { source, owner, token: Number(token) || null, expiresInMs, process: parseProcess(process) };
  }

  async list(): Promise<readonly LeaseHolder[]> {
    const sources = await this.#redis.run((client) => client.smembers(this.#redis.keys.sources()));
    const leases = await Promise.all(sources.sort().map((source) => this.read(source)));
    return leases.filter((lease) => lease !== null);
  }

  /** Highest token seen for the source; 0 when there is none, also after a loss of all data. */
  async highestToken(source: string): Promise<number> {
    return Number((await this.#redis.run((client) => client.get(this.#redis.keys.token(source)))) ?? 0);
  }
}

function parseProcess(text: string | undefined): ProcessIdentity | null {
  return text === undefined || text === '' ? null : (JSON.parse(text) as ProcessIdentity);
}
