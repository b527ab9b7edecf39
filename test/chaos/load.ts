import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { Writer } from '../system/workload.ts';

const AGAIN_AFTER_MS = 50;
const PAUSE_MS = 25;

export interface LoadOptions {
  /** Of the server that is the primary now. */
  readonly url: () => string;
  readonly database: string;
  readonly keys: number;
}

/** Writes on the primary, whichever server that is: where one dies, it continues on the next. */
export class Load {
  readonly #options: LoadOptions;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;
  #transactions = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#work = this.#run();
  }

  get transactions(): number {
    return this.#transactions;
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const connection = await this.#connect();
      if (connection === null) {
        await sleep(AGAIN_AFTER_MS, undefined, { signal }).catch(() => undefined);
        continue;
      }
      const writer = new Writer(connection, { keys: this.#options.keys, pauseMs: PAUSE_MS });
      await Promise.race([writer.ended, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
      await writer.stop().catch(() => undefined); // its server is gone, or no primary any more
      this.#transactions += writer.transactions;
      connection.destroy();
    }
  }

  async #connect(): Promise<Connection | null> {
    const { url, database } = this.#options;
    try {
      const connection = await createConnection({ uri: url(), database, charset: 'utf8mb4', connectTimeout: 2_000 });
      connection.on('error', () => undefined); // the writer sees it
      return connection;
    } catch {
      return null; // no primary yet
    }
  }
}
