import { type Socket } from 'node:net';
import mysql, { type Connection as DriverConnection } from 'mysql2';
import { type Connection, type RowDataPacket } from 'mysql2/promise';
import { DittoError } from '#kernel';
import { driverOptions, type MySqlConnectionOptions } from './connection-options.ts';
import { toSourceError } from './errors/source-error.ts';
import { serverKindOf, type ServerKind } from './server-kind.ts';
import { sessionStatement } from './session-settings.ts';

export type QueryValue = string | number | bigint | boolean | Buffer | null;

/**
 * One connection for queries, set up by `sessionStatement`. Errors are coded; aborting the signal destroys the connection
 * and rejects what runs on it.
 */
export class MySqlSession {
  readonly #connection: Connection;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  readonly #closed = Promise.withResolvers<never>();
  #lost: Error | null = null;
  #version = '';

  private constructor(connection: Connection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
    this.#onAbort = () => {
      this.close();
    };
    // what waits hears of it by the race in `#run`
    this.#closed.promise.catch(() => undefined);
    signal.addEventListener('abort', this.#onAbort, { once: true });
    connection.on('error', (error: Error) => {
      this.#lost ??= error;
    });
  }

  static async open(options: MySqlConnectionOptions, signal: AbortSignal): Promise<MySqlSession> {
    signal.throwIfAborted();
    const driver = mysql.createConnection(driverOptions(options));
    try {
      await connected(driver, signal);
    } catch (error) {
      destroy(driver);
      signal.throwIfAborted();
      throw toSourceError(error, `connecting to ${options.host}:${options.port}`, true);
    }
    const session = new MySqlSession(driver.promise(), signal);
    try {
      signal.throwIfAborted();
      await session.#prepare();
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

  /** Rows as arrays in the order of the select list. */
  async queryArrays(sql: string, values: readonly QueryValue[] = []): Promise<unknown[][]> {
    return this.#run(async () => {
      const [rows] = await this.#connection.query({ sql, rowsAsArray: true, values: [...values] });
      return rows as unknown[][];
    });
  }

  async #prepare(): Promise<void> {
    await this.query(sessionStatement());
    const [row] = await this.query<RowDataPacket & { readonly version: string }>('SELECT VERSION() AS version');
    this.#version = row?.version ?? '';
  }

  /** Lets go of the socket at once; what runs is rejected. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#lost ??= new DittoError('DITTO_SOURCE_CONNECTION_LOST', 'the connection was closed', { retriable: true });
    this.#closed.reject(this.#signal.aborted ? this.#signal.reason : this.#lost);
    destroy((this.#connection as unknown as { readonly connection: DriverConnection }).connection);
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    if (this.#lost !== null) throw toSourceError(this.#lost, 'querying the source');
    try {
      // the driver leaves the queries of a destroyed connection unanswered
      return await Promise.race([work(), this.#closed.promise]);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw toSourceError(error, 'querying the source');
    }
  }
}

/** Resolves when the connection is made and authenticated; rejects also when the signal is aborted meanwhile. */
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
  (driver as unknown as { readonly stream: Socket }).stream.destroy();
}
