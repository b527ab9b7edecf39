import { tableKey, type TableName } from '#change-events';
import { type Grant, type SnapshotStore, type TableSnapshotProgress } from './ports/stores.ts';

export interface SnapshotProgressOptions {
  readonly grant: Grant;
  readonly store: SnapshotStore;
  /** Rest of a table between the end of a read that a cascade asked for and the next. */
  readonly cascadePauseMs: number;
  readonly nowMs: () => number;
}

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
  private readonly restsUntilMs = new Map<string, number>();
  private saving: Promise<unknown> = Promise.resolve();
  private isLoaded = false;

  constructor(options: SnapshotProgressOptions) {
    this.options = options;
  }

  /** Everything else waits for it by itself. */
  load(): Promise<void> {
    return this.inTurn(() => this.loadOnce());
  }

  get(table: TableName): TableSnapshotProgress | undefined {
    return this.entries.get(tableKey(table));
  }

  list(): TableSnapshotProgress[] {
    return [...this.entries.values()];
  }

  /** The table to read now: one that was begun first. */
  next(): TableSnapshotProgress | undefined {
    const all = this.list();
    const nowMs = this.options.nowMs();
    return (
      all.find(({ state }) => state === 'running') ??
      all.find((entry) => entry.state === 'pending' && this.restsUntil(entry) <= nowMs)
    );
  }

  /** How long until a table that rests may be read; null when none does. */
  restMs(): number | null {
    const resting = this.list().filter(({ state }) => state === 'pending');
    if (resting.length === 0) return null;
    return Math.max(0, Math.min(...resting.map((entry) => this.restsUntil(entry))) - this.options.nowMs());
  }

  /** A statement: the table is read from its first row. */
  async request(table: TableName): Promise<void> {
    const key = tableKey(table);
    this.abandoned.add(key);
    this.restsUntilMs.delete(key);
    await this.change(table, (entry = newEntry(table)) => (this.abandoned.has(key) ? startedOver(entry) : entry));
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

  /** Makes a table known that nobody asked for. */
  async add(entry: TableSnapshotProgress): Promise<void> {
    await this.change(entry, () => entry);
  }

  /** A reading of the table is taken up: what is asked from here on is not covered by it, unless it begins later still. */
  take(table: TableName): void {
    const key = tableKey(table);
    this.askedSince.delete(key);
    // a request may still be on its way to the store: it begins at the first row all the same
    if (this.abandoned.delete(key)) this.entries.set(key, startedOver(this.get(table) ?? newEntry(table)));
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
      if (entry.endsBelow === null) this.cascaded.delete(key);
      else this.cascaded.add(key);
      // in memory at once: a cascade of the next moment asks again
      this.entries.set(key, { ...entry, state: 'running', reason: null, endsBelow, again: false });
    }
    await this.keep(table, (running) => ({ ...running, reason: null }));
  }

  async record(table: TableName, lastKey: string | null, rowsRead: number, readSequence: number): Promise<void> {
    await this.keep(table, (entry) => ({ ...entry, lastKey, rowsRead }), readSequence);
  }

  /** The reading is complete, and all of it confirmed. */
  async finish(table: TableName, readSequence: number): Promise<void> {
    const { cascadePauseMs, nowMs } = this.options;
    await this.keep(
      table,
      (entry) => (entry.again ? startedOver(entry) : { ...entry, state: 'done', endsBelow: null, again: false }),
      readSequence,
    );
    if (this.cascaded.delete(tableKey(table))) this.restsUntilMs.set(tableKey(table), nowMs() + cascadePauseMs);
  }

  /** The table can't be read; if something was asked since its reading was taken up, that is looked into anew. */
  async fail(table: TableName, reason: string): Promise<void> {
    const key = tableKey(table);
    const entry = this.get(table) ?? newEntry(table);
    if (this.isWanted(table) && !this.askedSince.has(key))
      this.entries.set(key, { ...startedOver(entry), state: 'unavailable', endsBelow: null, reason });
    await this.keep(table, (failed) => failed);
  }

  private restsUntil(entry: TableSnapshotProgress): number {
    return this.restsUntilMs.get(tableKey(entry)) ?? 0;
  }

  /** A change by the reading under way: nothing once that is abandoned, but its read sequence is kept. */
  private keep(
    table: TableName,
    change: (entry: TableSnapshotProgress) => TableSnapshotProgress,
    readSequence = 0,
  ): Promise<void> {
    return this.change(
      table,
      (entry) => (entry !== undefined && this.isWanted(table) ? change(entry) : startedOver(entry ?? newEntry(table))),
      readSequence,
    );
  }

  private change(
    table: TableName,
    change: (entry: TableSnapshotProgress | undefined) => TableSnapshotProgress,
    readSequence = 0,
  ): Promise<void> {
    return this.inTurn(async () => {
      await this.loadOnce();
      for (;;) {
        const before = this.get(table);
        const next = change(before);
        await this.options.store.save(this.options.grant, next, readSequence);
        this.stored.set(tableKey(table), next);
        if (this.get(table) !== before) continue; // a reading began or failed while it was being saved
        this.entries.set(tableKey(table), next);
        return;
      }
    });
  }

  private async loadOnce(): Promise<void> {
    if (this.isLoaded) return;
    const { store, grant } = this.options;
    for (const saved of await store.load(grant.source)) {
      this.stored.set(tableKey(saved), saved);
      this.entries.set(tableKey(saved), saved.state === 'pending' ? startedOver(saved) : saved);
    }
    this.isLoaded = true;
  }

  /** One after the other, so that what is stored in the end is what was said last. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.saving.then(work);
    this.saving = turn.catch(() => undefined);
    return turn;
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
