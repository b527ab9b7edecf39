import { tableKey, type TableName } from '#change-events';
import { type Grant, type SnapshotStore, type TableSnapshotProgress } from './ports/stores.ts';

export interface SnapshotProgressOptions {
  readonly grant: Grant;
  readonly store: SnapshotStore;
  /** Rest of a table between the end of a read that a cascade asked for and the next. */
  readonly cascadePauseMs: number;
  readonly nowMs: () => number;
}

interface QueuedChange {
  readonly table: TableName;
  readonly apply: (entry: TableSnapshotProgress | undefined) => TableSnapshotProgress;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const MOST_SAVED_AT_ONCE = 500;

/**
 * How far the copy of each table has come, and what was asked for besides. One reading of a table is under way at a
 * time, from `take` to its end; a request of a statement abandons it, a request of a cascade lets it end and has the
 * table read once more. Everything is durable when the promise that stands for it has resolved.
 */
export class SnapshotProgress {
  private readonly options: SnapshotProgressOptions;
  private readonly entries = new Map<string, TableSnapshotProgress>();
  /** What is stored of them: memory may be ahead while it is being saved. */
  private readonly stored = new Map<string, TableSnapshotProgress>();
  /** Tables whose reading under way counts no more. */
  private readonly abandoned = new Set<string>();
  /** Tables that a cascade has asked for since their reading was taken up. */
  private readonly askedSince = new Set<string>();
  /** Tables whose reading under way was asked for by a cascade. */
  private readonly cascaded = new Set<string>();
  /** Tables that were asked for since their last reading began by a statement that may have taken rows away. */
  private readonly losing = new Set<string>();
  private readonly restsUntilMs = new Map<string, number>();
  /** Changes that are still to be saved, in the order in which they were asked for. */
  private queue: QueuedChange[] = [];
  private isSaving = false;
  private loading: Promise<void> | null = null;

  constructor(options: SnapshotProgressOptions) {
    this.options = options;
  }

  /** Everything else waits for it by itself. */
  load(): Promise<void> {
    return (this.loading ??= this.loadNow());
  }

  get(table: TableName): TableSnapshotProgress | undefined {
    return this.entries.get(tableKey(table));
  }

  list(): TableSnapshotProgress[] {
    return [...this.entries.values()];
  }

  all(): IterableIterator<TableSnapshotProgress> {
    return this.entries.values();
  }

  /** The next table to read, among those that are free: one that was begun comes first. */
  next(isFree: (entry: TableSnapshotProgress) => boolean): TableSnapshotProgress | undefined {
    const nowMs = this.options.nowMs();
    let first: TableSnapshotProgress | undefined;
    for (const entry of this.entries.values()) {
      if (entry.state === 'running') {
        if (isFree(entry)) return entry;
      } else if (entry.state === 'pending' && first === undefined)
        if (this.restsUntil(entry) <= nowMs && isFree(entry)) first = entry;
    }
    return first;
  }

  /** How long until the next of the tables that rest may be read; null when none rests. */
  restMs(): number | null {
    const nowMs = this.options.nowMs();
    let untilMs = Infinity;
    for (const atMs of this.restsUntilMs.values()) if (atMs > nowMs) untilMs = Math.min(untilMs, atMs);
    return untilMs === Infinity ? null : untilMs - nowMs;
  }

  /** A statement: the table is read from its first row. `losesRows`: rows may be gone. */
  async request(table: TableName, losesRows = false): Promise<void> {
    const key = tableKey(table);
    this.abandoned.add(key);
    if (losesRows) this.losing.add(key);
    this.restsUntilMs.delete(key);
    await this.change(table, (entry = newEntry(table)) => (this.abandoned.has(key) ? this.fromStart(entry) : entry));
  }

  /** Whether a reading that is still to begin, which can't be forgotten, covers whatever the tables went through until now. */
  isAsked(tables: readonly TableName[]): boolean {
    for (const table of tables) this.askedSince.add(tableKey(table));
    return tables.every((table) => isAskedIn(this.get(table)) && isAskedIn(this.stored.get(tableKey(table))));
  }

  /** A cascade: rows of the tables changed or went without row events. */
  async ask(tables: readonly TableName[]): Promise<void> {
    for (const table of tables)
      await this.change(table, (entry) => {
        switch (entry?.state) {
          case 'running':
            return { ...entry, again: true };
          case 'pending':
            return { ...entry, endsBelow: '' };
          default:
            return { ...startedOver(entry ?? newEntry(table)), endsBelow: '' };
        }
      });
  }

  /** Makes tables known that nobody asked for. */
  async add(entries: readonly TableSnapshotProgress[]): Promise<void> {
    await Promise.all(entries.map((entry) => this.change(entry, (known = entry) => known)));
  }

  /** A reading of the table is taken up: what is asked from here on is not covered by it, unless it begins later still. */
  take(table: TableName): void {
    const key = tableKey(table);
    this.askedSince.delete(key);
    // a request may still be on its way to the store: it begins at the first row all the same
    if (this.abandoned.delete(key)) this.entries.set(key, this.fromStart(this.get(table) ?? newEntry(table)));
  }

  /** False once a statement asked for the table since its reading was taken up. */
  isWanted(table: TableName): boolean {
    return !this.abandoned.has(tableKey(table));
  }

  /**
   * The reading goes on, or begins: then with the version that rows which it does not meet are older than, null when it
   * ends none. It covers every cascade until this very call, so what it reads must be read behind all of them.
   */
  async begin(table: TableName, endsBelow: string | null): Promise<void> {
    const entry = this.get(table);
    const key = tableKey(table);
    if (entry === undefined || !this.isWanted(table)) return;
    if (entry.state === 'pending') {
      this.losing.delete(key);
      if (entry.endsBelow === null) this.cascaded.delete(key);
      else this.cascaded.add(key);
      // in memory at once: a cascade of the next moment asks again
      this.entries.set(key, { ...entry, state: 'running', reason: null, endsBelow, again: false });
    }
    await this.keep(table, (running) => ({ ...running, reason: null }));
  }

  async record(table: TableName, lastKey: string | null, rowsRead: number): Promise<void> {
    await this.keep(table, (entry) => ({ ...entry, lastKey, rowsRead }));
  }

  /** The reading is complete, and all of it confirmed. */
  async finish(table: TableName): Promise<void> {
    const { cascadePauseMs, nowMs } = this.options;
    await this.keep(table, (entry) =>
      entry.again ? startedOver(entry) : { ...entry, state: 'done', endsBelow: null, again: false },
    );
    if (this.cascaded.delete(tableKey(table))) this.restsUntilMs.set(tableKey(table), nowMs() + cascadePauseMs);
  }

  /** The table can't be read; if something was asked since its reading was taken up, that is looked into anew. */
  async fail(table: TableName, reason: string): Promise<void> {
    const key = tableKey(table);
    const entry = this.get(table) ?? newEntry(table);
    if (this.isWanted(table) && !this.askedSince.has(key)) {
      this.losing.delete(key);
      this.entries.set(key, { ...startedOver(entry), state: 'unavailable', endsBelow: null, reason });
    }
    await this.keep(table, (failed) => failed);
  }

  private fromStart(entry: TableSnapshotProgress): TableSnapshotProgress {
    return this.losing.has(tableKey(entry)) ? { ...startedOver(entry), endsBelow: '' } : startedOver(entry);
  }

  private restsUntil(entry: TableSnapshotProgress): number {
    return this.restsUntilMs.get(tableKey(entry)) ?? 0;
  }

  /** A change by the reading under way: nothing once that is abandoned. */
  private keep(table: TableName, change: (entry: TableSnapshotProgress) => TableSnapshotProgress): Promise<void> {
    return this.change(table, (entry) =>
      entry !== undefined && this.isWanted(table) ? change(entry) : startedOver(entry ?? newEntry(table)),
    );
  }

  private change(table: TableName, apply: QueuedChange['apply']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.queue.push({ table, apply, resolve, reject });
      if (!this.isSaving) void this.saveQueued();
    });
  }

  /** What was asked for while something was being saved is saved together: ten thousand tables are not as many writes. */
  private async saveQueued(): Promise<void> {
    this.isSaving = true;
    await Promise.resolve(); // whoever asks in the same turn of the loop is part of it
    while (this.queue.length > 0) {
      const batch = this.queue.splice(0, MOST_SAVED_AT_ONCE);
      try {
        await this.load();
        await this.saveBatch(batch);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.isSaving = false;
  }

  private async saveBatch(batch: readonly QueuedChange[]): Promise<void> {
    const before = new Map<string, TableSnapshotProgress | undefined>();
    const next = new Map<string, TableSnapshotProgress>();
    for (const { table, apply } of batch) {
      const key = tableKey(table);
      if (!before.has(key)) before.set(key, this.get(table));
      next.set(key, apply(next.get(key) ?? this.get(table)));
    }
    const { store, grant } = this.options;
    await store.save(grant, [...next.values()]);
    for (const [key, entry] of next) {
      this.stored.set(key, entry);
      if (this.entries.get(key) === before.get(key)) this.entries.set(key, entry);
      else next.delete(key); // a reading began or failed while it was being saved: applied again
    }
    const isSaved = ({ table }: QueuedChange): boolean => next.has(tableKey(table));
    this.queue.unshift(...batch.filter((change) => !isSaved(change)));
    for (const change of batch.filter(isSaved)) change.resolve();
  }

  private async loadNow(): Promise<void> {
    const { store, grant } = this.options;
    try {
      for (const saved of await store.load(grant.source)) {
        this.stored.set(tableKey(saved), saved);
        this.entries.set(tableKey(saved), saved.state === 'pending' ? startedOver(saved) : saved);
      }
    } catch (error) {
      this.loading = null;
      throw error;
    }
  }
}

function isAskedIn(entry: TableSnapshotProgress | undefined): boolean {
  return entry !== undefined && (entry.again || (entry.state === 'pending' && entry.endsBelow !== null));
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

/** To be read from its first row; a cascade that was not dealt with is dealt with then. */
function startedOver(entry: TableSnapshotProgress): TableSnapshotProgress {
  const endsBelow = entry.endsBelow !== null || entry.again ? '' : null;
  return { ...newEntry(entry, entry.estimatedRows), endsBelow };
}
