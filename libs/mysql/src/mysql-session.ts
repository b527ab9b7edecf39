import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { driverOptions, type MySqlConnectionOptions } from './connection-options.ts';
import { toSourceError } from './mysql-errors.ts';

export type QueryValue = string | number | bigint | boolean | Buffer | null;

/**
 * One connection for queries: UTC, read committed, text in utf8mb4. Errors are coded; aborting the signal destroys the
 * connection and rejects what runs on it.
 */
export class MySqlSession {
  readonly #connection: Connection;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  #lost: Error | null = null;

  private constructor(connection: Connection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
    this.#onAbort = () => {
      connection.destroy();
    };
    signal.addEventListener('abort', this.#onAbort, { once: true });
    connection.on('error', (error: Error) => {
      this.#lost = error;
    });
  }

  static async open(options: MySqlConnectionOptions, signal: AbortSignal): Promise<MySqlSession> {
    signal.throwIfAborted();
    let connection: Connection;
    try {
      connection = await mysql.createConnection(driverOptions(options));
    } catch (error) {
      throw toSourceError(error, `connecting to ${options.host}:${options.port}`);
    }
    const session = new MySqlSession(connection, signal);
    try {
      signal.throwIfAborted();
      await session.query(
        "SET SESSION time_zone = '+00:00', transaction_isolation = 'READ-COMMITTED', sql_mode = '', group_concat_max_len = 1048576",
      );
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** False once the connection broke; it is of no more use then. */
  get isUsable(): boolean {
    return this.#lost === null && !this.#signal.aborted;
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

  /** Lets go of the socket at once. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#connection.destroy();
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    if (this.#lost !== null) throw toSourceError(this.#lost, 'querying the source');
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => {
      aborted.reject(this.#signal.reason as Error);
    };
    this.#signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([work(), aborted.promise]);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw toSourceError(error, 'querying the source');
    } finally {
      this.#signal.removeEventListener('abort', onAbort);
    }
  }
}
