import { tableKey, type TableName } from '#change-events';
import { Backoff, sleep, toDittoError, type DittoError, type Logger } from '#kernel';

/** A table that can't be read just now. */
export interface TableFailure {
  readonly error: DittoError;
  /** Attempts that failed since rows of it were last recorded. */
  readonly attempts: number;
  /** Of the first of them; milliseconds since 1970. */
  readonly sinceMs: number;
}

/** Reading a table failed, for whatever reason: that table is tried again later, and the others continue. */
export class TableReadError extends Error {
  /** How many rows the read had asked for; null when it had asked for none. */
  readonly limit: number | null;

  constructor(cause: unknown, limit: number | null = null) {
    super('a table could not be read', { cause });
    this.limit = limit;
  }
}

/** Marks what goes wrong in `read` as an error of the table. */
export async function reading<T>(read: Promise<T>, limit: number | null = null): Promise<T> {
  try {
    return await read;
  } catch (cause) {
    throw new TableReadError(cause, limit);
  }
}

export interface TableFailuresOptions {
  readonly backoff: { readonly initialMs: number; readonly maxMs: number };
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** A table may be tried again. */
  readonly onRested: () => void;
}

/** What no waiting heals is not tried as often. */
const LONGER_REST = 12;
/** Rows of the next read after one that failed: the query may have met a limit. */
const SMALLER = 2;

interface Entry extends TableFailure {
  readonly backoff: Backoff;
}

/** The tables that can't be read: each rests between its attempts, and is logged when its error is another than before. */
export class TableFailures {
  readonly #options: TableFailuresOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #resting = new Set<string>();
  /** Most rows of the next read of a table that has failed. */
  readonly #limits = new Map<string, number>();

  constructor(options: TableFailuresOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#entries.size;
  }

  find(table: TableName): TableFailure | undefined {
    return this.#entries.get(tableKey(table));
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  isResting(table: TableName): boolean {
    return this.#resting.has(tableKey(table));
  }

  /** Null for a table of which every read has succeeded. */
  limitOf(table: TableName): number | null {
    return this.#limits.get(tableKey(table)) ?? null;
  }

  note(table: TableName, { cause, limit }: TableReadError, signal: AbortSignal): void {
    const { backoff, nowMs } = this.#options;
    const key = tableKey(table);
    const error = toDittoError(cause);
    const former = this.#entries.get(key);
    const maxMs = error.retriable ? backoff.maxMs : LONGER_REST * backoff.maxMs;
    const entry: Entry = {
      error,
      attempts: (former?.attempts ?? 0) + 1,
      sinceMs: former?.sinceMs ?? nowMs(),
      backoff: former?.error.retriable === error.retriable ? former.backoff : new Backoff({ ...backoff, maxMs }),
    };
    this.#entries.set(key, entry);
    if (limit !== null) this.#limits.set(key, Math.max(1, Math.floor(limit / SMALLER)));
    const delayMs = entry.backoff.nextMs();
    this.#log(table, former, entry, delayMs);
    this.#resting.add(key);
    const rested = (): void => {
      this.#resting.delete(key);
      this.#options.onRested();
    };
    void sleep(delayMs, signal).then(rested, rested);
  }

  /** Rows of the table were read and recorded. */
  clear(table: TableName): void {
    if (this.#entries.delete(tableKey(table)))
      this.#options.logger.info('the table can be read again', { database: table.database, table: table.table });
  }

  /** The table is read to its end, or is another one by now. */
  forget(table: TableName): void {
    this.clear(table);
    this.#limits.delete(tableKey(table));
  }

  #log({ database, table }: TableName, former: Entry | undefined, entry: Entry, delayMs: number): void {
    const { code, message, remedy } = entry.error;
    const isNew = former?.error.code !== code || former.error.message !== message;
    // a statement on the table while it is read is nothing to look into, unless it is seen again
    if (code === 'DITTO_SOURCE_LAYOUT_CHANGED' ? entry.attempts !== 2 : !isNew) return;
    this.#options.logger.warn('a table could not be read, trying again while the others continue', {
      database,
      table,
      code,
      error: message,
      remedy,
      attempts: entry.attempts,
      delayMs,
    });
  }
}
