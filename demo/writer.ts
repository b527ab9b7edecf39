import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import type { ShopSize } from './shop.ts';
import { kinds, Shopper } from './shopper.ts';

export interface WriterOptions {
  readonly url: string;
  readonly database: string;
  readonly size: ShopSize;
  readonly connections: number;
  /** Transactions per second of all connections together; fewer when the server can't. */
  readonly transactionsPerSecond: number;
  readonly statementsPerTransaction: number;
  /** What was written before, on a server that is gone. */
  readonly earlier?: WriterCounts;
}

export interface WriterCounts {
  readonly transactions: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  /** Updates that changed the primary key. */
  readonly rekeyed: number;
  /** Transactions that were rolled back on purpose. */
  readonly rolledBack: number;
}

export const noWriting: WriterCounts = {
  transactions: 0,
  inserted: 0,
  updated: 0,
  deleted: 0,
  rekeyed: 0,
  rolledBack: 0,
};

const deadlock = new Set(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT']);

/**
 * Changes the shop like its customers would, until stopped: inserts, updates, deletes and changed keys in transactions of
 * one to `statementsPerTransaction` statements. Each connection has orders, customers and products of its own.
 */
export class ShopWriter {
  readonly #options: WriterOptions;
  readonly #stop = new AbortController();
  readonly #counts: { -readonly [Name in keyof WriterCounts]: WriterCounts[Name] };
  #running: Promise<unknown> = Promise.resolve();
  #failure: unknown = null;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#counts = { ...(options.earlier ?? noWriting) };
  }

  async start(): Promise<void> {
    const { connections, url, database } = this.#options;
    const opened = await Promise.all(
      Array.from({ length: connections }, () => createConnection({ uri: url, database, charset: 'utf8mb4' })),
    );
    const work = opened.map((connection, lane) => this.#run(connection, lane).finally(() => connection.destroy()));
    this.#running = Promise.all(work).catch((error: unknown) => {
      this.#failure = error;
      this.#stop.abort();
    });
  }

  get counts(): WriterCounts {
    return { ...this.#counts };
  }

  /** Why the writer ended by itself; null while it works. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Resolves when the last transaction is committed; rejects if the writer had failed. */
  async stop(): Promise<WriterCounts> {
    this.#stop.abort();
    await this.#running;
    if (this.#failure !== null) throw new Error('The writer could not continue.', { cause: this.#failure });
    return this.counts;
  }

  /** The same for a writer whose server is gone. */
  async abandon(): Promise<WriterCounts> {
    this.#stop.abort();
    await this.#running;
    return this.counts;
  }

  async #run(connection: Connection, lane: number): Promise<void> {
    const { connections, transactionsPerSecond, statementsPerTransaction, size } = this.#options;
    const { transactions, rolledBack } = this.#counts;
    // a lane made less than all of them
    const made = (transactions + rolledBack) * statementsPerTransaction;
    const shopper = new Shopper(connection, lane, connections, size, made);
    await connection.query("SET SESSION sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00'");
    const everyMs = (1000 * connections) / transactionsPerSecond;
    let due = performance.now();
    while (!this.#stop.signal.aborted) {
      await this.#commit(connection, shopper, 1 + Math.floor(Math.random() * statementsPerTransaction));
      due = Math.max(due + everyMs, performance.now() - 1000);
      const waitMs = due - performance.now();
      if (waitMs > 1) await sleep(waitMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #commit(connection: Connection, shopper: Shopper, statements: number): Promise<void> {
    const done = { inserted: 0, updated: 0, deleted: 0, rekeyed: 0 };
    try {
      await connection.beginTransaction();
      for (let i = 0; i < statements; i++) {
        const act = await shopper.act();
        for (const kind of kinds) done[kind] += act[kind] ?? 0;
      }
      if (Math.random() < 0.02) {
        await connection.rollback();
        this.#counts.rolledBack++;
        return;
      }
      await connection.commit();
    } catch (error) {
      await connection.rollback().catch(() => undefined); // a server that is gone has done it
      if (!deadlock.has((error as { code?: string }).code ?? '')) throw error;
      return;
    }
    this.#counts.transactions++;
    for (const kind of kinds) this.#counts[kind] += done[kind];
  }
}
