import { DittoError, withTimeout } from '#kernel';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { MySqlSession } from '../mysql-session.ts';
import { type EndpointInspection, readClock } from './mysql-endpoint.ts';
import { readReplicaState } from './replica-state.ts';
import { readServerIdentity } from './server-identity.ts';

/** What changes from one moment to the next. */
export type EndpointVitals = Omit<EndpointInspection, 'gtidMode' | 'logEnd' | 'settings' | 'inspectedAtMs'>;

export interface MySqlProbeOptions {
  /** Asked for each connection: a password may have changed. */
  readonly connection: () => MySqlConnectionOptions;
  /** How long one probe may take, connecting included. */
  readonly timeoutMs: number;
}

/** Asks one server again and again how it does, over one connection that is kept; reads no tables and no catalogue. */
export class MySqlProbe {
  readonly #options: MySqlProbeOptions;
  readonly #closed = new AbortController();
  #session: MySqlSession | null = null;
  #latest: Promise<unknown> = Promise.resolve();

  constructor(options: MySqlProbeOptions) {
    this.#options = options;
  }

  /** Rejects with a coded error: `DITTO_SOURCE_UNREACHABLE` also when no answer came in time. Calls wait for each other. */
  async probe(): Promise<EndpointVitals> {
    const turn = this.#latest.then(() => this.#probeInTime());
    this.#latest = turn.catch(() => undefined);
    return turn;
  }

  close(): void {
    this.#closed.abort(new DOMException('the probe was closed', 'AbortError'));
  }

  async #probeInTime(): Promise<EndpointVitals> {
    const { connection, timeoutMs } = this.#options;
    const giveUp = new AbortController();
    const late = (): DittoError => {
      const { host, port } = connection();
      return new DittoError('DITTO_SOURCE_UNREACHABLE', `${host}:${port} did not answer within ${timeoutMs} ms`, {
        retriable: true,
        remedy: 'Check that the server runs, and the network between.',
      });
    };
    try {
      return await withTimeout(this.#probeNow(giveUp.signal), timeoutMs, late);
    } catch (error) {
      giveUp.abort(error);
      this.#session?.close();
      this.#session = null;
      throw error;
    }
  }

  async #probeNow(giveUp: AbortSignal): Promise<EndpointVitals> {
    const session = await this.#openSession(giveUp);
    const identity = await readServerIdentity(session);
    const replica = await readReplicaState(session);
    return {
      ...identity,
      replica,
      ...(await readClock(session)),
    };
  }

  /** One that is still being opened when the probe is given up is closed as soon as it is open. */
  async #openSession(giveUp: AbortSignal): Promise<MySqlSession> {
    if (this.#session?.isUsable === true) return this.#session;
    const { connection, timeoutMs } = this.#options;
    const session = await MySqlSession.open({ ...connection(), connectTimeoutMs: timeoutMs }, this.#closed.signal);
    if (giveUp.aborted) session.close();
    giveUp.throwIfAborted();
    this.#session = session;
    return session;
  }
}
