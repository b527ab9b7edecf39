import { describeKey, tableKey, type TableLayout, type TableName } from '#change-events';

export interface KeyChecksOptions {
  /** As the catalogue shows it once that is as new as the stream; null when it is not there. */
  readonly readLayout: (table: TableName, signal: AbortSignal) => Promise<TableLayout | null>;
  /** As `describeKey` says it: the key that the table's rows have in the sinks; undefined when they were given none. */
  readonly keyOf: (table: TableName) => string | undefined;
  /** Whether its last reading found that it can't be read. */
  readonly isUnavailable: (table: TableName) => boolean;
  /** Has the table read. Resolves when that can't be forgotten any more. */
  readonly request: (table: TableName, signal: AbortSignal) => Promise<void>;
}

/**
 * Finds tables whose key is another one now than the key of their rows in the sinks while no row of them changes, and
 * those that could not be read because they had no key and have one now. They are read; the first read that the stream
 * comes to shows the key to it (`KeyChanges`). Whatever a process forgets to look at, the next one finds at its start.
 */
export class KeyChecks {
  readonly #options: KeyChecksOptions;
  readonly #doubted = new Map<string, TableName>();
  #wake: (() => void) | null = null;

  constructor(options: KeyChecksOptions) {
    this.#options = options;
  }

  /** A statement may have given the table another key, or one, or none. */
  add(table: TableName): void {
    this.#doubted.set(tableKey(table), table);
    this.#wake?.();
  }

  /** Looks at these tables as the catalogue shows them. */
  async compare(layouts: readonly TableLayout[], signal: AbortSignal): Promise<void> {
    const { keyOf, isUnavailable, request } = this.#options;
    for (const layout of layouts) {
      // a key that is lost shows in the next row that changes: until then the rows in the sinks are right
      if (layout.key.length === 0) continue;
      const known = keyOf(layout);
      const isOther = known !== undefined && known !== describeKey(layout);
      if (isOther || isUnavailable(layout)) await request(layout, signal);
    }
  }

  /** Resolves only when `signal` is aborted, with a rejection. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#waitForDoubt(signal);
      for (const [key, table] of this.#doubted) {
        this.#doubted.delete(key);
        const layout = await this.#options.readLayout(table, signal);
        if (layout !== null) await this.compare([layout], signal);
      }
    }
  }

  async #waitForDoubt(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#doubted.size > 0) return;
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      this.#wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
    });
    this.#wake = null;
  }
}
