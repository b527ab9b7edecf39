import { type Socket } from 'node:net';
import mysql, { type Connection as DriverConnection } from 'mysql2';
import { type Connection, type RowDataPacket } from 'mysql2/promise';
import { DittoError, dropWide, withTimeout } from '#kernel';
import {
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_QUERY_SILENCE_MS,
  driverOptions,
  type MySqlConnectionOptions,
} from './connection-options.ts';
import { toSourceError } from './errors/source-error.ts';
import { serverKindOf, type ServerKind } from './server-kind.ts';
import { findSessionState, type SessionIdentity } from './session-state.ts';
import { receiveRows, type BoundedRows, type RowsBound } from './row-receiver.ts';
import { sessionStatement } from './session-settings.ts';
import { watchForSilence } from './silence-watch.ts';

export type QueryValue = string | number | bigint | boolean | Buffer | null;

/** The driver joins what came of such a row from the network before it takes it apart. */
const COPIES_RECEIVED = 2;
const WIDE_ROW_BYTES = 1024 * 1024;
const UNBOUND: RowsBound = { bytes: Infinity, overheadBytes: 0 };

interface SessionRow extends RowDataPacket {
  readonly version: string;
  readonly server: string;
  readonly thread: number;
}

/**
 * One connection for queries, set up by `sessionStatement`. Errors are coded; aborting the signal destroys the connection
 * and rejects what runs on it. A query may take as long as the server works on it; a connection that is silent without
 * that is dropped: `DITTO_SOURCE_SILENT`.
 */
export class MySqlSession {
  readonly #options: MySqlConnectionOptions;
  readonly #connection: Connection;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  /** What rejects the queries that run. A promise of the session's length in their races would hold all of their results. */
  readonly #running = new Set<(reason: unknown) => void>();
  #lost: Error | null = null;
  #version = '';
  #identity: SessionIdentity = { server: '', thread: 0 };
  #isWatched = false;

  private constructor(options: MySqlConnectionOptions, connection: Connection, signal: AbortSignal) {
    this.#options = options;
    this.#connection = connection;
    this.#signal = signal;
    this.#onAbort = () => {
      this.close();
    };
    signal.addEventListener('abort', this.#onAbort, { once: true });
    connection.on('error', (error: Error) => {
      this.#lost ??= error;
      // the driver says it nowhere else to a query that gives its rows one by one
      for (const reject of this.#running) reject(error);
    });
  }

  /** @param isWatched false for the session that asks what became of another one */
  static async open(options: MySqlConnectionOptions, signal: AbortSignal, isWatched = true): Promise<MySqlSession> {
    signal.throwIfAborted();
    const driver = mysql.createConnection(driverOptions(options));
    try {
      await connected(driver, signal);
    } catch (error) {
      destroy(driver);
      signal.throwIfAborted();
      throw toSourceError(error, `connecting to ${options.host}:${options.port}`, true);
    }
    const session = new MySqlSession(options, driver.promise(), signal);
    try {
      signal.throwIfAborted();
      const limitMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
      await withTimeout(session.#prepare(), limitMs, () => isSilent(limitMs));
      session.#isWatched = isWatched;
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** `VERSION()`. */
  get version(): string {
    return this.#version;
  }

  get identity(): SessionIdentity {
    return this.#identity;
  }

  get kind(): ServerKind {
    return serverKindOf(this.#version);
  }

  /** False once the connection broke or was closed; it is of no more use then. */
  get isUsable(): boolean {
    return this.#lost === null;
  }

  async query<T extends RowDataPacket>(sql: string, values: readonly QueryValue[] = []): Promise<T[]> {
    return this.#run(async () => {
      const [rows] = await this.#connection.query<T[]>(sql, [...values]);
      return rows;
    });
  }

  /** The texts of the first row, in the order of the select list; none where there is no row. */
  async queryTexts(sql: string): Promise<(string | null)[]> {
    const { buffers, places } = await this.queryRows(sql, UNBOUND);
    const [first] = buffers;
    if (first === undefined) return [];
    return Array.from({ length: places.length / buffers.length / 2 }, (_, i) =>
      places[2 * i] === -1 ? null : first.toString('utf8', places[2 * i], places[2 * i + 1]),
    );
  }

  /**
   * Rows in the order of the select list, as many as the bound leaves room for. Where that is not all of them
   * the session is closed: the server would continue to send.
   */
  async queryRows(sql: string, bound: RowsBound): Promise<BoundedRows> {
    const read = await this.#run(() => receiveRows(this.#driver, socketOf(this.#driver), sql, bound));
    if (read.isCut) this.close();
    const { buffers, bytes } = read;
    if (bytes > WIDE_ROW_BYTES * buffers.length) await dropWide(COPIES_RECEIVED * bytes);
    return read;
  }

  /** The server's own number of the session: the number in the handshake may be a proxy's. */
  async #prepare(): Promise<void> {
    await this.query(sessionStatement());
    const [row] = await this.query<SessionRow>(
      "SELECT VERSION() AS version, CONCAT(@@hostname, ':', @@port, '/', @@server_id) AS server, CONNECTION_ID() AS thread",
    );
    if (row === undefined) throw new DittoError('DITTO_SOURCE_QUERY_FAILED', 'the server does not say who it is');
    this.#version = row.version;
    this.#identity = row;
  }

  /** Lets go of the socket at once; what runs is rejected. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#lost ??= new DittoError('DITTO_SOURCE_CONNECTION_LOST', 'the connection was closed', { retriable: true });
    for (const reject of this.#running) reject(this.#signal.aborted ? this.#signal.reason : this.#lost);
    destroy(this.#driver);
  }

  get #driver(): DriverConnection {
    return (this.#connection as unknown as { readonly connection: DriverConnection }).connection;
  }

  #watch(): () => void {
    if (!this.#isWatched) return () => undefined;
    const silenceMs = this.#options.silenceMs ?? DEFAULT_QUERY_SILENCE_MS;
    const options = { ...this.#options, connectTimeoutMs: silenceMs / 2 };
    return watchForSilence({
      silenceMs,
      bytesRead: () => socketOf(this.#driver).bytesRead,
      ask: () => findSessionState(this.#identity, (limit) => MySqlSession.open(options, limit, false), silenceMs / 2),
      onDead: (silentMs) => {
        this.#lost ??= isSilent(silentMs);
        this.close();
      },
    });
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    if (this.#lost !== null) throw toSourceError(this.#lost, 'querying the source');
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // the driver leaves the queries of a destroyed connection unanswered
    this.#running.add(reject);
    const endWatch = this.#watch();
    try {
      work().then(resolve, reject);
      return await promise;
    } catch (error) {
      // the driver says that a connection broke in only one place: to the query that ran, where there was one
      if (isFatal(error)) this.#lost ??= error;
      this.#signal.throwIfAborted();
      throw toSourceError(error, 'querying the source');
    } finally {
      this.#running.delete(reject);
      endWatch();
    }
  }
}

/** Resolves when the connection is made and authenticated; rejects also when the signal is aborted before. */
async function connected(driver: DriverConnection, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const abort = (): void => {
    reject(signal.reason as Error);
  };
  driver.once('connect', () => {
    resolve(undefined);
  });
  driver.on('error', reject);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await promise;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The driver only half-closes: the socket would stay as long as the server works on a query. */
function destroy(driver: DriverConnection): void {
  driver.destroy();
  socketOf(driver).destroy();
}

function socketOf(driver: DriverConnection): Socket {
  return (driver as unknown as { readonly stream: Socket }).stream;
}

function isFatal(error: unknown): error is Error {
  return (error as { readonly fatal?: unknown } | null)?.fatal === true;
}

function isSilent(silentMs: number): DittoError {
  return new DittoError('DITTO_SOURCE_SILENT', `the source did not answer for ${silentMs} ms`, {
    retriable: true,
    remedy: 'Look at the network, and at proxies between this service and the server, if it comes back.',
    context: { silentMs },
  });
}
