import { DittoError, withTimeout } from '#kernel';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { MySqlSession } from '../mysql-session.ts';

export interface PolledSessionOptions {
  /** Asked for each connection: a password may have changed. */
  readonly connection: () => MySqlConnectionOptions;
  /** How long one answer may take, connecting included. */
  readonly timeoutMs: number;
}

/** Asks one server again and again over one connection, which is kept until an answer fails. */
export class PolledSession {
  readonly #options: PolledSessionOptions;
  readonly #closed = new AbortController();
  #session: MySqlSession | null = null;
  #latest: Promise<unknown> = Promise.resolve();

  constructor(options: PolledSessionOptions) {
    this.#options = options;
  }

  /** Rejects with a coded error: `DITTO_SOURCE_UNREACHABLE` also when no answer came in time. Calls wait for each other. */
  async ask<T>(work: (session: MySqlSession) => Promise<T>): Promise<T> {
    const turn = this.#latest.then(() => this.#askInTime(work));
    this.#latest = turn.catch(() => undefined);
    return turn;
  }

  close(): void {
    this.#closed.abort(new DOMException('the probe was closed', 'AbortError'));
  }

  async #askInTime<T>(work: (session: MySqlSession) => Promise<T>): Promise<T> {
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
      return await withTimeout(
        this.#open(giveUp.signal).then((session) => work(session)),
        timeoutMs,
        late,
      );
    } catch (error) {
      giveUp.abort(error);
      this.#session?.close();
      this.#session = null;
      throw error;
    }
  }

  /** One that is still being opened when the answer is given up is closed as soon as it is open. */
  async #open(giveUp: AbortSignal): Promise<MySqlSession> {
    if (this.#session?.isUsable === true) return this.#session;
    const { connection, timeoutMs } = this.#options;
    const session = await MySqlSession.open({ ...connection(), connectTimeoutMs: timeoutMs }, this.#closed.signal);
    if (giveUp.aborted) session.close();
    giveUp.throwIfAborted();
    this.#session = session;
    return session;
  }
}
