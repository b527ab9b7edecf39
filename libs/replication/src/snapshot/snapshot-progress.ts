import { tableKey, type TableName } from '#change-events';
import { type Grant, type SnapshotStore, type TableSnapshotProgress } from '../ports/stores.ts';

export interface SnapshotProgressOptions {
  readonly grant: Grant;
  readonly store: SnapshotStore;
  /** Rest of a table between the end of a read that a cascade asked for and the next. */
  readonly cascadePauseMs: number;
  readonly nowMs: () => number;
}

/** A reading of a table, from `take` to `release`. */
interface Reading {
  /** False once a statement asked for the table: the reading counts no more. */
  isWanted: boolean;
  hasBegun: boolean;
  /** Whether a cascade asked for the table since this reading was taken up. */
  isAskedSince: boolean;
}

interface TableEntry {
  progress: TableSnapshotProgress;
  /** What is stored of it: memory may be ahead. Null when that is not known. */
  stored: TableSnapshotProgress | null;
  /** What is on its way to the store. */
  saving: TableSnapshotProgress | null;
  reading: Reading | null;
  /** Whether the read that is under way was asked for by what takes rows away, so that the table rests when it ends. */
  restsAfterwards: boolean;
  restsUntilMs: number;
}

interface WaitingSave {
  readonly entry: TableEntry;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const MOST_SAVED_AT_ONCE = 500;

/**
 * How far the copy of each table has come, and which tables were asked for. One reading of a table is under way at a
 * time; a request of a statement abandons it, a request of a cascade lets it end and has the table read once more.
 *
 * What happens counts in memory at once, and is durable when the promise that stands for it, or that of a later `save`,
 * has resolved. After a save that failed the same call, or `save`, saves what counts by then.
 */
export class SnapshotProgress {
  readonly #options: SnapshotProgressOptions;
  readonly #entries = new Map<string, TableEntry>();
  #waiting: WaitingSave[] = [];
  #isSaving = false;
  #loading: Promise<void> | null = null;
  #isLoaded = false;

  constructor(options: SnapshotProgressOptions) {
    this.#options = options;
  }

  /** Requests wait for it by themselves. */
  load(): Promise<void> {
    return (this.#loading ??= this.#loadNow());
  }

  get(table: TableName): TableSnapshotProgress | undefined {
    return this.#entries.get(tableKey(table))?.progress;
  }

  list(): TableSnapshotProgress[] {
    return Array.from(this.#entries.values(), ({ progress }) => progress);
  }

  /** The next table to read, among those that are free: one that was begun comes first. */
  next(isFree: (entry: TableSnapshotProgress) => boolean): TableSnapshotProgress | undefined {
    const nowMs = this.#options.nowMs();
    let first: TableSnapshotProgress | undefined;
    for (const { progress, restsUntilMs } of this.#entries.values()) {
      if (progress.state === 'running') {
        if (isFree(progress)) return progress;
      } else if (progress.state === 'pending' && first === undefined)
        if (restsUntilMs <= nowMs && isFree(progress)) first = progress;
    }
    return first;
  }

  /** How long until the next of the tables that rest may be read; null when none rests. */
  restMs(): number | null {
    const nowMs = this.#options.nowMs();
    let untilMs = Infinity;
    for (const { restsUntilMs } of this.#entries.values())
      if (restsUntilMs > nowMs) untilMs = Math.min(untilMs, restsUntilMs);
    return untilMs === Infinity ? null : untilMs - nowMs;
  }

  /** A statement: the table is read from its first row. `losesRows`: rows may be gone. */
  async request(table: TableName, losesRows = false): Promise<void> {
    if (!this.#isLoaded) await this.load();
    const entry = this.#entryOf(table);
    entry.progress = startedOver(entry.progress, losesRows || endsRows(entry.progress));
    entry.restsUntilMs = 0;
    if (entry.reading !== null) entry.reading.isWanted = false;
    await this.save(table);
  }

  /** Whether `ask` would change nothing: a reading that is still to begin covers whatever the tables go through now. */
  isAsked(tables: readonly TableName[]): boolean {
    return tables.every((table) => {
      const entry = this.#entries.get(tableKey(table));
      if (entry === undefined || entry.reading?.hasBegun === false) return false;
      const { progress, stored, saving } = entry;
      return isAskedIn(progress) && isAskedIn(stored) && (saving === null || isAskedIn(saving));
    });
  }

  /** A cascade: rows of the tables changed or went without row events. */
  async ask(tables: readonly TableName[]): Promise<void> {
    if (!this.#isLoaded) await this.load();
    for (const table of tables) {
      const entry = this.#entryOf(table);
      if (entry.reading !== null) entry.reading.isAskedSince = true;
      if (isAskedIn(entry.progress)) continue;
      const { progress } = entry;
      entry.progress = progress.state === 'running' ? { ...progress, again: true } : startedOver(progress, true);
    }
    await this.#saveAll(tables);
  }

  /** Makes tables known that nobody asked for. */
  async add(added: readonly TableSnapshotProgress[]): Promise<void> {
    for (const progress of added) this.#entryOf(progress, progress);
    await this.#saveAll(added);
  }

  /** A reading of the table is taken up: what is asked from here on is not covered by it, unless it begins later still. */
  take(table: TableName): void {
    this.#entryOf(table).reading = { isWanted: true, hasBegun: false, isAskedSince: false };
  }

  /** The reading that was taken up has ended, whatever came of it. */
  release(table: TableName): void {
    const entry = this.#entries.get(tableKey(table));
    if (entry !== undefined) entry.reading = null;
  }

  /** False once a statement asked for the table since its reading was taken up. */
  isWanted(table: TableName): boolean {
    return this.#entries.get(tableKey(table))?.reading?.isWanted ?? true;
  }

  /**
   * The reading goes on, or begins: then with the version that rows which it does not meet are older than, null when it
   * ends none. It covers every cascade until this very call, so what it reads must be read behind all of them.
   */
  begin(table: TableName, endsBelow: string | null): void {
    this.#change(table, (progress, entry) => {
      if (entry.reading !== null) entry.reading.hasBegun = true;
      if (progress.state !== 'pending') return { ...progress, reason: null };
      entry.restsAfterwards = progress.endsBelow !== null;
      return { ...progress, state: 'running', reason: null, endsBelow };
    });
  }

  record(table: TableName, lastKey: string | null, rowsRead: number): void {
    this.#change(table, (progress) => ({ ...progress, lastKey, rowsRead }));
  }

  /** The reading is complete, and all of it confirmed. */
  finish(table: TableName): void {
    const { cascadePauseMs, nowMs } = this.#options;
    this.#change(table, (progress, entry) => {
      if (entry.restsAfterwards) entry.restsUntilMs = nowMs() + cascadePauseMs;
      entry.restsAfterwards = false;
      return progress.again ? startedOver(progress, true) : { ...progress, state: 'done', endsBelow: null };
    });
  }

  /** The table can't be read; if something was asked since its reading was taken up, the table is looked at again. */
  fail(table: TableName, reason: string): void {
    this.#change(table, (progress, { reading }) =>
      reading?.isAskedSince === true ? progress : { ...startedOver(progress, false), state: 'unavailable', reason },
    );
  }

  /** Resolves when what counts of the table now, or later, is stored. */
  save(table: TableName): Promise<void> {
    const entry = this.#entryOf(table);
    if (entry.stored === entry.progress) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      if (!this.#isSaving) void this.#saveWaiting();
    });
  }

  async #saveAll(tables: readonly TableName[]): Promise<void> {
    await Promise.all(tables.map((table) => this.save(table)));
  }

  #entryOf(table: TableName, unknown = newEntry(table)): TableEntry {
    const key = tableKey(table);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { progress: unknown, stored: null, saving: null, reading: null, restsAfterwards: false, restsUntilMs: 0 };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  /** A change by the reading under way: none once that is abandoned. */
  #change(
    table: TableName,
    apply: (progress: TableSnapshotProgress, entry: TableEntry) => TableSnapshotProgress,
  ): void {
    const entry = this.#entryOf(table);
    if (this.isWanted(table)) entry.progress = apply(entry.progress, entry);
  }

  /** What was asked for while something was being saved is saved together: ten thousand tables are not as many writes. */
  async #saveWaiting(): Promise<void> {
    const { store, grant } = this.#options;
    this.#isSaving = true;
    await Promise.resolve(); // whoever asks in the same turn of the loop is part of it
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST_SAVED_AT_ONCE);
      const entries = new Set(batch.map(({ entry }) => entry));
      for (const entry of entries) entry.saving = entry.progress;
      try {
        await store.save(
          grant,
          Array.from(entries, ({ progress }) => progress),
        );
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

  async #loadNow(): Promise<void> {
    const { store, grant } = this.#options;
    try {
      for (const stored of await store.load(grant.source)) {
        const entry = this.#entryOf(stored);
        entry.stored = entry.progress = stored;
      }
      this.#isLoaded = true;
    } catch (error) {
      this.#loading = null;
      throw error;
    }
  }
}

/** Whether a reading is still to begin that ends rows which are gone. */
function isAskedIn(progress: TableSnapshotProgress | null): boolean {
  return progress !== null && (progress.again || (progress.state === 'pending' && progress.endsBelow !== null));
}

/** Whether the next reading must end rows that are gone, if the one of this progress does not come to its end. */
function endsRows({ endsBelow, again }: TableSnapshotProgress): boolean {
  return endsBelow !== null || again;
}

/** A table that nothing was read of. */
export function newEntry({ database, table }: TableName, estimatedRows = 0): TableSnapshotProgress {
  const nothing = {
    state: 'pending',
    lastKey: null,
    rowsRead: 0,
    reason: null,
    endsBelow: null,
    again: false,
  } as const;
  return { database, table, estimatedRows, ...nothing };
}

/** To be read from its first row. */
function startedOver(progress: TableSnapshotProgress, losesRows: boolean): TableSnapshotProgress {
  return { ...newEntry(progress, progress.estimatedRows), endsBelow: losesRows ? '' : null };
}
