import { createHash } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import { DataSource, type EntityManager, type Logger as QueryLogger } from 'typeorm';
import { abortable, Backoff, DittoError, type Logger, retry, silentLogger, withTimeout } from '#kernel';
import { entities } from './entities/index.ts';
import { migrations } from './migrations/index.ts';
import { type StateServerOptions, toDriverOptions } from './state-connection.ts';
import { StateConnections } from './state-connections.ts';
import { readCode, toStateError, UNAVAILABLE_REMEDY } from './state-error.ts';
import { createSessionDriver, type StateSessionOptions } from './state-session.ts';

export interface StateDatabaseOptions extends StateServerOptions {
  readonly database: string;
  /** Connections at most; 5 by default. */
  readonly poolSize?: number;
  /**
   * For one piece of work, five seconds by default: none is large. A connection that does not answer within it is closed;
   * what was under way may still be applied.
   */
  readonly workTimeoutMs?: number;
  readonly logger?: Logger;
}

const ignore = (): void => undefined;
const silentQueryLogger: QueryLogger = {
  logQuery: ignore,
  logQueryError: ignore,
  logQuerySlow: ignore,
  logSchemaBuild: ignore,
  logMigration: ignore,
  log: ignore,
};

/** For one statement of an upgrade, which may have to wait for others that use the table. */
const MIGRATION_TIMEOUT_MS = 60_000;
/**
 * A process that is frozen between two statements of a transaction holds the lock of its source, and with it the next
 * owner's grant, until the server ends its session. That must be over when its lease is (`dss.lease.ttlMs`).
 */
const MOST_IDLE_MS = 3000;

/**
 * The one connection pool to the state database.
 *
 * Until `open` has succeeded all work is rejected with what keeps it from being opened, once that is known, and whenever the server does not
 * answer with `DITTO_STATE_UNAVAILABLE` (retriable); the pool finds its way back by itself.
 */
export class StateDatabase {
  readonly #options: StateDatabaseOptions &
    Required<Pick<StateDatabaseOptions, 'poolSize' | 'workTimeoutMs' | 'logger'>>;
  readonly #firstOpened = Promise.withResolvers<undefined>();
  readonly #firstAttempt = Promise.withResolvers<undefined>();
  /** Until the server was asked for the first time. */
  #isAwaited = false;
  #connections: StateConnections | null = null;
  #trouble: DittoError | null = null;

  constructor(options: StateDatabaseOptions) {
    this.#options = {
      poolSize: 5,
      workTimeoutMs: 5_000,
      logger: silentLogger,
      ...options,
    };
  }

  get isOpen(): boolean {
    return this.#connections !== null;
  }

  /**
   * Creates the database where it is missing and allowed, brings the tables up to date, and connects. Several
   * processes may do so at once. Tries again, until `signal` aborts, while the server does not answer or refuses: what a
   * server refuses today, as a password that is being changed, it may take tomorrow.
   */
  async open(signal?: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    const attempt = async (): Promise<void> => {
      try {
        await this.#openOnce();
      } catch (error) {
        throw (this.#trouble = toStateError(error));
      } finally {
        this.#isAwaited = false;
        this.#firstAttempt.resolve(undefined);
      }
    };
    this.#isAwaited = true;
    await retry(attempt, {
      backoff: new Backoff({ initialMs: 200, maxMs: 5_000 }),
      ...(signal && { signal }),
      isRetriable: () => true,
      log: { logger, message: 'The state database can not be opened yet, trying again' },
    });
    if (signal?.aborted) await this.close();
  }

  /** Resolves when it was open for the first time, and when `signal` aborts. */
  async whenOpened(signal: AbortSignal): Promise<void> {
    await abortable(this.#firstOpened.promise, signal).catch(ignore);
  }

  async close(): Promise<void> {
    const connections = this.#connections;
    this.#connections = null;
    await connections?.close();
  }

  /** Also says whether the server takes writes. */
  async ping(): Promise<void> {
    await this.run((manager) => manager.query('SELECT 1'));
  }

  /** Reads, outside a transaction: each statement is separate. The server refuses one that would change something. */
  async run<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return (this.#connections ?? (await this.#whenAttempted())).read(work);
  }

  /** Every write, also of one statement. */
  async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return (this.#connections ?? (await this.#whenAttempted())).write(work);
  }

  /** A service takes requests before it has reached the server: these wait until that was tried once. */
  async #whenAttempted(): Promise<StateConnections> {
    const late = (): DittoError =>
      this.#createUnavailableError('The state database has not been reached yet', this.#trouble);
    if (this.#isAwaited) await withTimeout(this.#firstAttempt.promise, this.#options.workTimeoutMs, late);
    if (this.#connections) return this.#connections;
    throw late();
  }

  #createUnavailableError(message: string, because: DittoError | null = null): DittoError {
    const { host, port, database } = this.#options;
    return new DittoError(
      because?.code ?? 'DITTO_STATE_UNAVAILABLE',
      because ? `${message}: ${because.message}` : message,
      {
        retriable: true,
        remedy: because?.remedy ?? UNAVAILABLE_REMEDY,
        context: { host, port, database },
        ...(because && { cause: because }),
      },
    );
  }

  async #openOnce(): Promise<void> {
    if (this.#connections) return;
    const { workTimeoutMs, poolSize } = this.#options;
    await this.#createDatabaseIfMissing();
    await this.#migrate();
    const idleMs = Math.min(MOST_IDLE_MS, 2 * workTimeoutMs);
    const session = { readsOnly: true, idleMs, lockWaitMs: workTimeoutMs / 2 };
    this.#connections = new StateConnections({
      dataSource: await this.#createDataSource(poolSize, workTimeoutMs, session).initialize(),
      workTimeoutMs,
      restMs: idleMs / 2,
      createUnavailableError: (message) => this.#createUnavailableError(message),
    });
    this.#trouble = null;
    this.#firstOpened.resolve(undefined);
  }

  async #createDatabaseIfMissing(): Promise<void> {
    const { database } = this.#options;
    const server = toDriverOptions(this.#options);
    try {
      const connection = await createConnection({ ...server, database });
      await connection.end();
    } catch (error) {
      if (readCode(error) !== 'ER_BAD_DB_ERROR') throw error;
      const connection = await createConnection(server);
      try {
        await connection.query('SET SESSION TRANSACTION READ WRITE');
        await connection.query(
          `CREATE DATABASE IF NOT EXISTS ${connection.escapeId(database)} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
        );
        this.#options.logger.info('Created the state database', { database });
      } finally {
        await connection.end();
      }
    }
  }

  #createDataSource(poolSize: number, queryTimeoutMs: number, session: StateSessionOptions): DataSource {
    return new DataSource({
      type: 'mysql',
      database: this.#options.database,
      poolSize,
      charset: 'utf8mb4',
      timezone: 'Z',
      driver: createSessionDriver(session),
      enableQueryTimeout: true,
      maxQueryExecutionTime: queryTimeoutMs,
      supportBigNumbers: true,
      bigNumberStrings: false,
      entities,
      migrations,
      migrationsTableName: 'migrations',
      migrationsTransactionMode: 'none',
      synchronize: false,
      // it logs queries that time out, with their values, whatever is configured
      logger: silentQueryLogger,
      extra: {
        ...toDriverOptions(this.#options),
        // a connection that rests is closed before the server ends it
        idleTimeout: session.idleMs / 2,
        maxIdle: Math.max(1, poolSize - 1),
      },
    });
  }

  /** Under a lock of the server, held by a connection of its own: services that start together wait for each other. */
  async #migrate(): Promise<void> {
    const lock = `ditto:${createHash('sha256').update(this.#options.database).digest('hex').slice(0, 32)}`;
    const session = { readsOnly: false, idleMs: 2 * MIGRATION_TIMEOUT_MS, lockWaitMs: MIGRATION_TIMEOUT_MS / 2 };
    const dataSource = await this.#createDataSource(2, MIGRATION_TIMEOUT_MS, session).initialize();
    try {
      const runner = dataSource.createQueryRunner();
      const rows = (await runner.query('SELECT GET_LOCK(?, 30) AS taken', [lock])) as { taken: number | null }[];
      if (Number(rows[0]?.taken) !== 1)
        throw this.#createUnavailableError('Another service has been upgrading the state database for 30 s');
      for (const { name } of await dataSource.runMigrations())
        this.#options.logger.info('Upgraded the state database', { migration: name });
    } finally {
      // the lock ends with its connection
      await withTimeout(dataSource.destroy(), 1_000, () => new Error('The server does not answer')).catch(
        () => undefined,
      );
    }
  }
}
