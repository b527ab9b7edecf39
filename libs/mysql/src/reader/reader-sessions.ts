import { DittoError } from '#kernel';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { MySqlSession } from '../mysql-session.ts';

/** One session for each read that runs at the same time; they are kept for the next reads until `close`. */
export class ReaderSessions {
  readonly #connection: MySqlConnectionOptions;
  readonly #lifetime = new AbortController();
  #idle: MySqlSession[] = [];

  constructor(connection: MySqlConnectionOptions) {
    this.#connection = connection;
  }

  /** A session whose work failed, or was aborted by `signal`, is closed. */
  async use<T>(signal: AbortSignal, work: (session: MySqlSession) => Promise<T>): Promise<T> {
    this.#lifetime.signal.throwIfAborted();
    const session = await this.#take(signal);
    const closeOnAbort = (): void => {
      session.close();
    };
    signal.addEventListener('abort', closeOnAbort, { once: true });
    try {
      const result = await work(session);
      if (session.isUsable) this.#idle.push(session);
      return result;
    } catch (error) {
      // the session may be in a transaction, or in the middle of a result
      session.close();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', closeOnAbort);
    }
  }

  /** Closes all sessions; work that runs is rejected. */
  close(): void {
    this.#lifetime.abort(new DittoError('DITTO_SOURCE_READER_CLOSED', 'the row reader was closed'));
    for (const session of this.#idle) session.close();
    this.#idle = [];
  }

  async #take(signal: AbortSignal): Promise<MySqlSession> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isUsable) return idle;
      idle.close();
    }
    signal.throwIfAborted();
    return MySqlSession.open(this.#connection, this.#lifetime.signal);
  }
}
