import { type PoolConnection } from 'mysql2';
import { type DataSource, type EntityManager, type QueryRunner } from 'typeorm';
import { type DittoError, withTimeout } from '#kernel';
import { isFromSoundServer, toStateError } from './state-error.ts';
import { dropConnection } from './state-session.ts';

export interface StateConnectionsOptions {
  readonly dataSource: DataSource;
  /** For one piece of work, from the wait for a connection to the last answer. */
  readonly workTimeoutMs: number;
  /** A connection that was not used for so long is not used again. */
  readonly restMs: number;
  readonly createUnavailableError: (message: string) => DittoError;
}

/** So long it is believed what the server said of itself. */
const CHECKED_FOR_MS = 1_000;

/** A connection that is lent to one piece of work. */
interface Loan {
  readonly runner: QueryRunner;
  readonly connection: PoolConnection;
  readonly trust: Trust;
}

interface Trust {
  /** Of the pool, when the connection was made. */
  readonly generation: number;
  checkedAtMs: number;
  usedAtMs: number;
}

/**
 * Lends the connections of the pool, and trusts none for long. One that was lost, did not answer in time, or leads to a
 * server that takes no writes, is closed, and with it all that were made before: the next one goes wherever the name of
 * the server leads at that time. One that rested is closed too; the server would end it soon.
 */
export class StateConnections {
  readonly #options: StateConnectionsOptions;
  readonly #trusts = new WeakMap<PoolConnection, Trust>();
  readonly #lent = new Set<PoolConnection>();
  #generation = 0;

  constructor(options: StateConnectionsOptions) {
    this.#options = options;
  }

  /** Each statement is separate, and may only read: the server refuses others. */
  async read<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.#use(({ runner }) => work(runner.manager));
  }

  /** One transaction. The README says why no write is made outside of one. */
  async write<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.#use(async ({ runner }) => {
      await runner.query('START TRANSACTION READ WRITE');
      try {
        const result = await work(runner.manager);
        await runner.query('COMMIT');
        return result;
      } catch (error) {
        if (isFromSoundServer(error)) await runner.query('ROLLBACK');
        throw error;
      }
    });
  }

  /** Work under way is ended. */
  async close(): Promise<void> {
    const { dataSource, workTimeoutMs } = this.#options;
    for (const connection of this.#lent) dropConnection(connection);
    await withTimeout(dataSource.destroy(), workTimeoutMs, () => new Error('The server does not answer'));
  }

  /**
   * Work that is not done in time is over: its connection is closed at that moment, and not one more statement of it is
   * sent. The statement that was under way may still arrive.
   */
  async #use<T>(work: (loan: Loan) => Promise<T>): Promise<T> {
    const { workTimeoutMs, createUnavailableError } = this.#options;
    const late = () => createUnavailableError(`The state database did not answer within ${workTimeoutMs} ms`);
    const use: { loan: Loan | null; isOver: boolean } = { loan: null, isOver: false };
    const attempt = async (): Promise<T> => {
      const loan = await this.#borrow();
      if (use.isOver) {
        this.#giveBack(loan);
        throw late();
      }
      use.loan = loan;
      await this.#check(loan);
      return work(loan);
    };
    try {
      const result = await withTimeout(attempt(), workTimeoutMs, late);
      if (use.loan) this.#giveBack(use.loan);
      return result;
    } catch (error) {
      if (use.loan) {
        if (isFromSoundServer(error)) this.#giveBack(use.loan);
        else this.#discard(use.loan);
      }
      throw toStateError(error);
    } finally {
      use.isOver = true;
    }
  }

  async #borrow(): Promise<Loan> {
    for (;;) {
      const runner = this.#options.dataSource.createQueryRunner();
      const connection = (await runner.connect()) as PoolConnection;
      this.#lent.add(connection);
      let trust = this.#trusts.get(connection);
      if (trust === undefined) {
        trust = { generation: this.#generation, checkedAtMs: 0, usedAtMs: Date.now() };
        this.#trusts.set(connection, trust);
      }
      const loan = { runner, connection, trust };
      if (trust.generation === this.#generation && Date.now() - trust.usedAtMs < this.#options.restMs) return loan;
      this.#end(loan);
    }
  }

  #giveBack({ runner, connection, trust }: Loan): void {
    trust.usedAtMs = Date.now();
    this.#lent.delete(connection);
    void runner.release();
  }

  #discard(loan: Loan): void {
    this.#generation++;
    this.#end(loan);
  }

  #end({ runner, connection }: Loan): void {
    this.#lent.delete(connection);
    dropConnection(connection);
    void runner.release();
  }

  async #check({ runner, trust }: Loan): Promise<void> {
    const now = Date.now();
    if (now - trust.checkedAtMs < CHECKED_FOR_MS) return;
    const [server] = (await runner.query(
      'SELECT @@GLOBAL.read_only OR @@GLOBAL.innodb_read_only AS refusesWrites',
    )) as { refusesWrites: number }[];
    if (Number(server?.refusesWrites) !== 0)
      throw this.#options.createUnavailableError('The server of the state database is read-only');
    trust.checkedAtMs = now;
  }
}
