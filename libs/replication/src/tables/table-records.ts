import { tableKey, type TableName } from '#change-events';
import { type Grant, type TableRecord, type TableStore } from '../ports/stores.ts';

export interface TableRecordsOptions {
  readonly grant: Grant;
  readonly store: Pick<TableStore, 'save'>;
  /** As the last owner of the source left them. */
  readonly known: readonly TableRecord[];
}

interface Entry {
  current: TableRecord;
  /** What is stored: memory may be ahead. Null when that is not known. */
  stored: TableRecord | null;
  /** What is on its way to the store. */
  saving: TableRecord | null;
}

interface WaitingSave {
  readonly entry: Entry;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const MOST_SAVED_AT_ONCE = 500;

/** An adopted layout is never changed, only replaced. */
function hasStoredAdopted({ current, stored }: Entry): boolean {
  return stored !== null && stored.adopted === current.adopted;
}

/**
 * The records of one source's tables. What is set counts in memory at once, and is durable when a later `save` has
 * resolved. After a save that failed the same call saves what counts at that time.
 */
export class TableRecords {
  readonly #options: TableRecordsOptions;
  readonly #entries = new Map<string, Entry>();
  #waiting: WaitingSave[] = [];
  #isSaving = false;

  constructor(options: TableRecordsOptions) {
    this.#options = options;
    for (const record of options.known)
      this.#entries.set(tableKey(record), { current: record, stored: record, saving: null });
  }

  get(table: TableName): TableRecord | undefined {
    return this.#entries.get(tableKey(table))?.current;
  }

  *all(): Iterable<TableRecord> {
    for (const { current } of this.#entries.values()) yield current;
  }

  set(record: TableRecord): void {
    const key = tableKey(record);
    const entry = this.#entries.get(key);
    if (entry === undefined) this.#entries.set(key, { current: record, stored: null, saving: null });
    else entry.current = record;
  }

  /** Whether it holds now, and would after a crash at any moment until now. */
  isDurably(table: TableName, holds: (record: TableRecord) => boolean): boolean {
    const entry = this.#entries.get(tableKey(table));
    if (entry === undefined || entry.stored === null) return false;
    const { current, stored, saving } = entry;
    return holds(current) && holds(stored) && (saving === null || holds(saving));
  }

  /** Resolves when what counts of these tables now, or later, is stored. */
  async save(tables: readonly TableName[]): Promise<void> {
    await Promise.all(tables.map((table) => this.#save(table)));
  }

  #save(table: TableName): Promise<void> {
    const entry = this.#entries.get(tableKey(table));
    if (entry === undefined || entry.stored === entry.current) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      if (!this.#isSaving) void this.#saveWaiting();
    });
  }

  /** What was set while something was being saved is saved together: ten thousand tables are not as many writes. */
  async #saveWaiting(): Promise<void> {
    const { store, grant } = this.#options;
    this.#isSaving = true;
    await Promise.resolve(); // a save in the same turn of the loop is part of it
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST_SAVED_AT_ONCE);
      const entries = new Set(batch.map(({ entry }) => entry));
      for (const entry of entries) entry.saving = entry.current;
      try {
        const records = Array.from(entries, ({ current }) => current);
        // each chunk of a copy is a save, and a layout may have a thousand columns
        const same = new Set([...entries].filter(hasStoredAdopted).map(({ current }) => current));
        await store.save(grant, records, (record) => same.has(record));
        for (const entry of entries) entry.stored = entry.saving;
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const entry of entries) entry.stored = null; // it may have been saved
        for (const { reject } of batch) reject(error);
      }
      for (const entry of entries) entry.saving = null;
    }
    this.#isSaving = false;
  }
}
