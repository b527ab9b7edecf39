import { type Checkpoint, type StoredCheckpoint } from '#change-events';
import { type ClientTls, DittoError, type Logger, type ProcessIdentity, restoreError, silentLogger } from '#kernel';
import { type Grant } from '#replication';
import {
  type DcsAnswer,
  type DcsCall,
  dcsContract,
  type DcsRequest,
  type LeaseHolder,
  type ServerHeartbeat,
  type ServiceStatus,
} from './dcs-contract.ts';
import { DcsEndpoint } from './dcs-endpoint.ts';

export interface DcsClientOptions {
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  /** Shown with every message; null where DCS listens on loopback without tokens. */
  readonly token: string | null;
  readonly tls?: ClientTls | undefined;
  /** How long one instance is waited for. */
  readonly timeoutMs: number;
  /** How long an instance that failed is only asked when no other is left; 5 s by default. */
  readonly markDownMs?: number;
  readonly logger?: Logger;
}

export interface LeaseRequest {
  readonly source: string;
  /** Unique among all processes, also over restarts: an owner that asks again gives up what it held. */
  readonly owner: string;
  readonly ttlMs: number;
  /** Of the owner; null where the system does not say it. */
  readonly process?: ProcessIdentity | null;
  /** The holder whose process is proven to have ended. Its lease is taken over, unless it has another token by now. */
  readonly ended?: Pick<Grant, 'owner' | 'token'> | null;
}

export interface LeaseAnswer {
  readonly grant: Grant | null;
  /** Who holds the lease, when it was not granted; null when it has become free in between. */
  readonly holder: LeaseHolder | null;
}

/**
 * Calls DCS: the instances in turn, the next one when one does not answer in time.
 *
 * When none answers, a call is rejected with `DITTO_DCS_UNAVAILABLE`, or, if TLS is why one does not, with
 * `DITTO_DCS_TLS_FAILED` (both retriable); it may have been carried out all the same. Every call may be repeated. Whatever DCS itself answers with comes as its own `DittoError`:
 * `DITTO_LEASE_FENCED` for an older token, retriable ones when its Redis or the state database is down.
 */
export class DcsClient {
  readonly #endpoints: readonly DcsEndpoint[];
  readonly #options: Required<Omit<DcsClientOptions, 'endpoints' | 'tls'>>;
  #next = 0;
  #attempt = 0;

  constructor(options: DcsClientOptions) {
    const { endpoints, tls, ...rest } = options;
    if (endpoints.length === 0) throw new DittoError('DITTO_DCS_NO_ENDPOINT', 'No DCS instance is configured.');
    this.#endpoints = endpoints.map(({ host, port }) => new DcsEndpoint({ host, port, tls }));
    this.#options = { markDownMs: 5_000, logger: silentLogger, ...rest };
  }

  async acquireLease({ process = null, ended = null, ...request }: LeaseRequest): Promise<LeaseAnswer> {
    return this.#call('acquireLease', () => ({ ...request, process, ended, attempt: this.#nextAttempt() }));
  }

  /** False: the lease has ended or gone to another; stop. */
  async renewLease(grant: Grant, ttlMs: number): Promise<boolean> {
    return (await this.#call('renewLease', () => ({ grant, ttlMs }))).renewed;
  }

  /** With `handOver` the lease is kept for another owner, for as long as that says. */
  async releaseLease(
    grant: Grant,
    handOver: { readonly to: string; readonly ttlMs: number } | null = null,
  ): Promise<void> {
    await this.#call('releaseLease', () => ({ grant, handOver }));
  }

  async listLeases(): Promise<readonly LeaseHolder[]> {
    return (await this.#call('listLeases', () => ({}))).leases;
  }

  async putOffset(grant: Grant, checkpoint: Checkpoint): Promise<void> {
    await this.#call('putOffset', () => ({ grant, checkpoint }));
  }

  /** The newest known to Redis and to the state database. */
  async getOffset(source: string): Promise<StoredCheckpoint | null> {
    const { token, checkpoint } = await this.#call('getOffset', () => ({ source }));
    return checkpoint && { token, checkpoint };
  }

  async reportService(status: ServiceStatus, ttlMs: number): Promise<void> {
    await this.#call('reportService', () => ({ status, ttlMs }));
  }

  async listServices(): Promise<readonly ServiceStatus[]> {
    return (await this.#call('listServices', () => ({}))).services;
  }

  async reportServers(source: string, heartbeats: readonly ServerHeartbeat[], ttlMs: number): Promise<void> {
    await this.#call('reportServers', () => ({ source, heartbeats: [...heartbeats], ttlMs }));
  }

  async listServers(source: string): Promise<readonly ServerHeartbeat[]> {
    return (await this.#call('listServers', () => ({ source }))).heartbeats;
  }

  /** The last changes of one row that the window of recent events has. */
  async findChanges(request: DcsRequest<'findChanges'>): Promise<DcsAnswer<'findChanges'>> {
    return this.#call('findChanges', () => request);
  }

  close(): void {
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  /** Grows, also from one client of a process to the next. */
  #nextAttempt(): number {
    this.#attempt = Math.max(this.#attempt + 1, Date.now());
    return this.#attempt;
  }

  /** `request` is asked for the message to each instance. */
  async #call<Call extends DcsCall>(call: Call, request: () => DcsRequest<Call>): Promise<DcsAnswer<Call>> {
    const { pattern, answer } = dcsContract[call];
    const failures: string[] = [];
    let refusal: DittoError | null = null;
    let untrusted: DittoError | null = null;
    for (const endpoint of this.#inTurn()) {
      try {
        const reply = await endpoint.call(
          pattern,
          { token: this.#options.token, data: request() },
          this.#options.timeoutMs,
        );
        endpoint.markUp();
        return answer.parse(reply) as DcsAnswer<Call>;
      } catch (error) {
        const answered = restoreAnswer(error);
        if (answered && !answered.retriable) throw answered;
        refusal ??= answered;
        failures.push(`${endpoint.name}: ${String(answered?.message ?? error)}`);
        if (!answered && !isUnknownMessage(error)) this.#markDown(endpoint, error);
        if (error instanceof DittoError) untrusted ??= error;
      }
    }
    throw refusal ?? this.#createUnavailableError(failures, untrusted);
  }

  /** Those that did not fail lately first, beginning with another one each time. */
  #inTurn(): readonly DcsEndpoint[] {
    const first = this.#next++ % this.#endpoints.length;
    const turn = [...this.#endpoints.slice(first), ...this.#endpoints.slice(0, first)];
    const now = Date.now();
    return [
      ...turn.filter((endpoint) => !endpoint.isMarkedDown(now)),
      ...turn.filter((endpoint) => endpoint.isMarkedDown(now)),
    ];
  }

  #markDown(endpoint: DcsEndpoint, error: unknown): void {
    const now = Date.now();
    if (!endpoint.isMarkedDown(now))
      this.#options.logger.warn('A DCS instance does not answer', { endpoint: endpoint.name, error: String(error) });
    endpoint.markDown(now + this.#options.markDownMs);
  }

  #createUnavailableError(failures: readonly string[], untrusted: DittoError | null): DittoError {
    const code = untrusted?.code ?? 'DITTO_DCS_UNAVAILABLE';
    return new DittoError(code, `No DCS instance answered: ${failures.join('; ')}`, {
      retriable: true,
      remedy:
        untrusted?.remedy ??
        'Check that at least one DCS runs and that its RPC addresses are those in the configuration.',
      context: { endpoints: this.#endpoints.map(({ name }) => name) },
      ...(untrusted && { cause: untrusted }),
    });
  }
}

/** Nest's answer of an older DCS to a message that it does not have yet: it is up, and another may be newer. */
function isUnknownMessage(error: unknown): boolean {
  return typeof error === 'string' && error.startsWith('There is no matching message handler');
}

/** What DCS itself answered with; null when the connection failed. */
function restoreAnswer(error: unknown): DittoError | null {
  if (error instanceof Error) return null;
  const restored = restoreError(error);
  return restored?.code.startsWith('DITTO_') ? restored : null;
}
