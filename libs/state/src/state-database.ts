import { createHash } from 'node:crypto';
import { type ConnectionOptions } from 'node:tls';
import { createConnection, type SslOptions } from 'mysql2/promise';
import { DataSource, type EntityManager } from 'typeorm';
import { Backoff, DittoError, type Logger, retry, silentLogger, withTimeout } from '#kernel';
import { entities } from './entities/index.ts';
import { migrations } from './migrations/index.ts';
import { readCode, toStateError } from './state-error.ts';

export interface StateDatabaseOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  /** TLS is used when given; the server's name is checked unless `rejectUnauthorized` is false. */
  readonly tls?: ConnectionOptions | undefined;
  /** Connections at most; 5 by default. */
  readonly poolSize?: number;
  readonly connectTimeoutMs?: number;
  /** How long a caller waits for one piece of work. What has timed out may still be applied. */
  readonly workTimeoutMs?: number;
  readonly logger?: Logger;
}

/**
 * The one connection pool to the state database.
 *
 * Until `open` has succeeded, and whenever the server does not answer, all work is rejected with
 * `DITTO_STATE_UNAVAILABLE` (retriable); after that the pool finds its way back by itself.
 */
export class StateDatabase {
  readonly #options: Required<Omit<StateDatabaseOptions, 'tls'>> & Pick<StateDatabaseOptions, 'tls'>;
  #dataSource: DataSource | null = null;

  constructor(options: StateDatabaseOptions) {
    this.#options = {
      password: '',
      poolSize: 5,
      connectTimeoutMs: 5_000,
      workTimeoutMs: 10_000,
      logger: silentLogger,
      ...options,
    };
  }

  get isOpen(): boolean {
    return this.#dataSource !== null;
  }

  /**
   * Creates the database where it is missing and allowed, brings the tables up to date, and connects. Several
   * processes may do so at once. Tries again, until `signal` aborts, while the server does not answer.
   */
  async open(signal?: AbortSignal): Promise<void> {
    await retry(() => this.#openOnce(), {
      backoff: new Backoff({ initialMs: 200, maxMs: 5_000 }),
      ...(signal && { signal }),
      onRetry: (error, delayMs) =>
        this.#options.logger.warn('The state database does not answer yet', {
          error: String(error),
          retryInMs: delayMs,
        }),
    });
    if (signal?.aborted) await this.close();
  }

  async close(): Promise<void> {
    const dataSource = this.#dataSource;
    this.#dataSource = null;
    await dataSource?.destroy();
  }

  async ping(): Promise<void> {
    await this.run((manager) => manager.query('SELECT 1'));
  }

  /** Runs work outside a transaction: each statement stands alone. */
  async run<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.#guard((dataSource) => work(dataSource.manager));
  }

  async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.#guard((dataSource) => dataSource.transaction(work));
  }

  async #guard<T>(work: (dataSource: DataSource) => Promise<T>): Promise<T> {
    if (!this.#dataSource) throw this.#createUnavailableError('The state database has not been reached yet');
    try {
      return await withTimeout(work(this.#dataSource), this.#options.workTimeoutMs, () =>
        this.#createUnavailableError(`The state database did not answer within ${this.#options.workTimeoutMs} ms`),
      );
    } catch (error) {
      throw toStateError(error);
    }
  }

  #createUnavailableError(message: string): DittoError {
    const { host, port, database } = this.#options;
    return new DittoError('DITTO_STATE_UNAVAILABLE', message, {
      retriable: true,
      remedy: 'Check that the state database runs, accepts writes, and is reachable under the configured address.',
      context: { host, port, database },
    });
  }

  async #openOnce(): Promise<void> {
    if (this.#dataSource) return;
    try {
      await this.#createDatabaseIfMissing();
      const dataSource = await this.#createDataSource().initialize();
      try {
        await this.#migrate(dataSource);
      } catch (error) {
        await dataSource.destroy();
        throw error;
      }
      this.#dataSource = dataSource;
    } catch (error) {
      throw toStateError(error);
    }
  }

  async #createDatabaseIfMissing(): Promise<void> {
    const { host, port, user, password, database, connectTimeoutMs } = this.#options;
    const server = { host, port, user, password, connectTimeout: connectTimeoutMs, ...this.#tls() };
    try {
      const connection = await createConnection({ ...server, database });
      await connection.end();
    } catch (error) {
      if (readCode(error) !== 'ER_BAD_DB_ERROR') throw error;
      const connection = await createConnection(server);
      try {
        await connection.query(
          `CREATE DATABASE IF NOT EXISTS ${connection.escapeId(database)} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
        );
        this.#options.logger.info('Created the state database', { database });
      } finally {
        await connection.end();
      }
    }
  }

  #createDataSource(): DataSource {
    const { host, port, user, password, database, connectTimeoutMs, poolSize } = this.#options;
    return new DataSource({
      type: 'mysql',
      host,
      port,
      username: user,
      password,
      database,
      poolSize,
      charset: 'utf8mb4',
      timezone: 'Z',
      connectTimeout: connectTimeoutMs,
      supportBigNumbers: true,
      bigNumberStrings: false,
      entities,
      migrations,
      migrationsTableName: 'migrations',
      migrationsTransactionMode: 'none',
      synchronize: false,
      logging: false,
      ...this.#tls(),
    });
  }

  #tls(): { ssl?: SslOptions } {
    const { tls } = this.#options;
    return tls ? { ssl: { ...tls, verifyIdentity: tls.rejectUnauthorized !== false } as SslOptions } : {};
  }

  /** Under a lock of the server, held by a connection of its own: services that start together wait for each other. */
  async #migrate(dataSource: DataSource): Promise<void> {
    const lock = `ditto:${createHash('sha256').update(this.#options.database).digest('hex').slice(0, 32)}`;
    const runner = dataSource.createQueryRunner();
    try {
      const rows = (await runner.query('SELECT GET_LOCK(?, 60) AS taken', [lock])) as { taken: number | null }[];
      if (Number(rows[0]?.taken) !== 1)
        throw this.#createUnavailableError('Another service has been upgrading the state database for 60 s');
      try {
        for (const { name } of await dataSource.runMigrations())
          this.#options.logger.info('Upgraded the state database', { migration: name });
      } finally {
        await runner.query('SELECT RELEASE_LOCK(?)', [lock]);
      }
    } finally {
      await runner.release();
    }
  }
}
