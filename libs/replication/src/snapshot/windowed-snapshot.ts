import { tableKey, type TableLayout, type TableName } from '#change-events';
import { abortable, Backoff, type DittoError, retry, sleep, toDittoError, type Waits } from '#kernel';
import { GoneRows } from './gone-rows.ts';
import { KeyChecks } from '../tables/key-checks.ts';
import { type Pipeline } from '../stream/pipeline.ts';
import { type MirroredKeys } from '../ports/mirrored-keys.ts';
import {
  type Grant,
  type SnapshotStore,
  type TableSnapshotProgress,
  type TableSnapshotState,
} from '../ports/stores.ts';
import { newEntry, SnapshotProgress } from './snapshot-progress.ts';
import { TableCopy } from './table-copy.ts';
import { reading, TableFailures, TableReadError } from '../tables/table-failures.ts';
import { type TableReadSettings } from '../windows/windowed-read.ts';

export interface WindowedSnapshotOptions extends Omit<TableReadSettings, 'reads'> {
  readonly pipeline: Pipeline;
  readonly grant: Grant;
  readonly store: SnapshotStore;
  /** Null: nothing tells which rows there were. */
  readonly mirror: MirroredKeys | null;
  /** Whether tables are copied that nobody asked for: every included one, once. */
  readonly copiesAll: boolean;
  /** Rest of a table between the end of a read that a cascade asked for and the next. */
  readonly cascadePauseMs: number;
  /** Tables that are read side by side; they share `chunksInFlight`. */
  readonly tablesInFlight: number;
  /** Chunks that may be read before the first of them is confirmed, of all tables that are being read. */
  readonly chunksInFlight: number;
  readonly waits: Waits;
  readonly nowMs: () => number;
}

export interface TableSnapshotStatus extends TableSnapshotProgress {
  readonly rowsPerSecond: number;
  /** Estimate from the catalogue's row count; null when nothing can be said. */
  readonly remainingMs: number | null;
  /** Why the last attempt to read it failed; null when rows were read since. */
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string | null } | null;
  /** Attempts that failed since rows were last read, and when the first of them did (milliseconds since 1970). */
  readonly attempts: number;
  readonly failingSinceMs: number | null;
}

/** How many tables there are in each state; those that can't be read are among the pending and running ones. */
export type SnapshotCounts = Readonly<Record<TableSnapshotState | 'total' | 'failing', number>>;

/** So much of a rest is waited through at once: a clock may be set. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Copies the included tables, and those that are asked for, by windowed reads while the stream goes on. A chunk
 * is recorded as done only when every sink has confirmed it, under the fencing token; after a restart the table goes on
 * after it.
 */
export class WindowedSnapshot {
  readonly #options: WindowedSnapshotOptions;
  readonly #settings: TableReadSettings;
  readonly #progress: SnapshotProgress;
  readonly #startedAtMs = new Map<string, { atMs: number; rows: number }>();
  /** Tables whose re-read for gone rows began in this process, and those of which one was completed. */
  readonly #begun = new Set<string>();
  readonly #settled = new Set<string>();
  /** The readings that are under way, by table. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #failures: TableFailures;
  readonly #keyChecks: KeyChecks;
  /** Reads that failed since one succeeded: when it is all of them, no table is to blame. */
  #failuresInRow = 0;
  readonly #pace: Backoff;
  #isPaced = false;
  #wake: (() => void) | null = null;

  constructor(options: WindowedSnapshotOptions) {
    this.#options = options;
    this.#settings = { ...options, reads: options.pipeline.reads };
    this.#progress = new SnapshotProgress(options);
    this.#failures = new TableFailures({ ...options, onRested: () => this.#wake?.() });
    this.#pace = new Backoff(options.backoff);
    const { pipeline, reader } = options;
    this.#keyChecks = new KeyChecks({
      readLayout: (table, signal) =>
        this.#persist(() => reader.readLayout(table, signal, pipeline.dispatchedSet()), signal),
      keyOf: (table) => pipeline.keyOf(table),
      stateOf: (table) => this.#progress.get(table)?.state,
      request: (table, signal) => this.#persist(() => this.request(table), signal),
    });
  }

  counts(): SnapshotCounts {
    const counts = { total: 0, pending: 0, running: 0, done: 0, unavailable: 0, failing: this.#failures.count };
    for (const { state } of this.#progress.list()) {
      counts.total++;
      counts[state]++;
    }
    return counts;
  }

  /** Those that are worth a look come first: what can't be read, what is being read, what can't be copied at all. */
  status(most = Infinity): TableSnapshotStatus[] {
    const ranks: TableSnapshotProgress[][] = [[], [], [], [], []];
    for (const entry of this.#progress.list()) ranks[this.#rank(entry)]?.push(entry);
    return ranks
      .flat()
      .slice(0, most)
      .map((entry) => this.#describe(entry));
  }

  /** Tables in a fixed order, from the one with this index on. */
  list(from: number, most: number): TableSnapshotStatus[] {
    return this.#progress
      .list()
      .slice(from, from + most)
      .map((entry) => this.#describe(entry));
  }

  /**
   * Has a table read (again) from its first row; what was read of it before stays. `losesRows`: rows that are gone end,
   * if there is a mirror. Resolves when that is recorded.
   */
  async request(table: TableName, losesRows = false): Promise<void> {
    await this.#progress.request(table, losesRows);
    this.#wake?.();
  }

  /** The key of the table may be another now: it is read if so. */
  checkKey(table: TableName): void {
    this.#keyChecks.add(table);
  }

  /** Whether `ask` would change nothing. */
  isAsked(tables: readonly TableName[]): boolean {
    return this.#progress.isAsked(tables);
  }

  /**
   * Has tables read from their first rows for changes that the log does not contain; a read that is under way goes on to its end
   * first. Rows that are gone end, if there is a mirror. Resolves when that is recorded.
   */
  async ask(tables: readonly TableName[]): Promise<void> {
    await this.#progress.ask(tables);
    this.#wake?.();
  }

  /**
   * Reads what is not done yet, several tables side by side, then waits for requests; resolves only when `signal` is
   * aborted, with a rejection. A server or a store that is down is waited for: the stream does not depend on the snapshot.
   * A table that can't be read rests between its attempts and keeps no other waiting.
   */
  async run(signal: AbortSignal): Promise<never> {
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    let checks: Promise<unknown> = Promise.resolve();
    try {
      await this.#persist(() => this.#progress.load(), stop);
      const layouts = await this.#listTables(stop);
      if (this.#options.copiesAll) await this.#plan(layouts, stop);
      await this.#keyChecks.compare(layouts, stop);
      checks = this.#keyChecks.run(stop).catch((cause: unknown) => failed.abort(cause));
      for (;;) {
        const next = this.#next();
        if (next === undefined) await this.#waitForWork(stop);
        else this.#start(next, stop, (cause) => failed.abort(cause));
      }
    } finally {
      await Promise.allSettled([...this.#busy.values(), checks]);
    }
  }

  #next(): TableSnapshotProgress | undefined {
    const busy = this.#busy;
    const failures = this.#failures;
    if (this.#isPaced || busy.size >= this.#options.tablesInFlight) return undefined;
    // an attempt may take its time, and must leave room for tables that can be read
    const mayRetry = this.#retriesInFlight() < Math.max(1, this.#options.tablesInFlight >> 1);
    return this.#progress.next((entry) => {
      if (busy.has(tableKey(entry)) || failures.isResting(entry)) return false;
      return mayRetry || failures.find(entry) === undefined;
    });
  }

  #retriesInFlight(): number {
    let count = 0;
    for (const key of this.#busy.keys()) if (this.#failures.has(key)) count++;
    return count;
  }

  #start(entry: TableSnapshotProgress, stop: AbortSignal, onFatal: (cause: unknown) => void): void {
    const key = tableKey(entry);
    if (this.#failuresInRow >= this.#options.tablesInFlight) this.#slowDown(stop);
    const work = this.#attempt(entry, stop)
      .catch(onFatal)
      .finally(() => {
        this.#busy.delete(key);
        this.#wake?.();
      });
    this.#busy.set(key, work);
  }

  async #attempt(entry: TableSnapshotProgress, signal: AbortSignal): Promise<void> {
    try {
      await this.#copy(entry, signal);
    } catch (cause) {
      signal.throwIfAborted();
      if (!(cause instanceof TableReadError)) throw cause;
      this.#failures.note(entry, cause, signal);
      this.#failuresInRow++;
    } finally {
      this.#progress.release(entry);
    }
  }

  /** When every table fails, the tables are not the problem: it is enough to ask for one of them now and then. */
  #slowDown(signal: AbortSignal): void {
    this.#isPaced = true;
    const goOn = (): void => {
      this.#isPaced = false;
      this.#wake?.();
    };
    void sleep(this.#pace.nextMs(), signal).then(goOn, goOn);
  }

  #succeeded(entry: TableSnapshotProgress): void {
    this.#failures.clear(entry);
    this.#failuresInRow = 0;
    this.#pace.reset();
  }

  /** As the catalogue shows them once it is not behind the stream. */
  #listTables(signal: AbortSignal): Promise<readonly TableLayout[]> {
    const { pipeline, reader } = this.#options;
    return this.#persist(() => reader.listTables(signal, pipeline.dispatchedSet()), signal);
  }

  async #plan(layouts: readonly TableLayout[], signal: AbortSignal): Promise<void> {
    const { reader } = this.#options;
    const added = layouts.filter((layout) => this.#progress.get(layout) === undefined);
    const rows = await this.#persist(() => abortable(reader.estimateRows(added, signal), signal), signal);
    const entries = added.map((layout, index) => ({
      ...newEntry(layout, rows[index]),
      ...(layout.key.length === 0 ? KEYLESS : {}),
    }));
    await this.#persist(() => this.#progress.add(entries), signal);
  }

  async #waitForWork(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const restMs = this.#progress.restMs();
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      this.#wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      if (restMs !== null) timer = setTimeout(this.#wake, Math.min(restMs, LONGEST_WAIT_MS));
    }).finally(() => clearTimeout(timer));
    this.#wake = null;
  }

  /** Copies one table; comes back when it is done or gone, or was asked for again. */
  async #copy(entry: TableSnapshotProgress, signal: AbortSignal): Promise<void> {
    const { logger, nowMs, pipeline, reader, chunksInFlight } = this.#options;
    const progress = this.#progress;
    const failures = this.#failures;
    const key = tableKey(entry);
    progress.take(entry);
    // as the catalogue shows it once it is not behind the stream
    const layout = await reading(reader.readLayout(entry, signal, pipeline.dispatchedSet()));
    if (layout === null || layout.key.length === 0) {
      const reason = layout === null ? 'the table is no longer there' : KEYLESS.reason;
      if (layout === null) await this.#endGoneTable(entry, signal);
      progress.fail(entry, reason);
      await this.#persist(() => progress.save(entry), signal);
      failures.forget(entry);
      return;
    }
    const isWanted = (): boolean => progress.isWanted(entry);
    await this.#begin(entry, signal);
    if (!isWanted()) return;
    logger.info('copying a table', { database: layout.database, table: layout.table, rowsRead: entry.rowsRead });
    this.#startedAtMs.set(key, { atMs: nowMs(), rows: this.#current(entry).rowsRead });
    const isCopied = await new TableCopy({
      layout,
      settings: this.#settings,
      progress: () => this.#current(entry),
      isWanted,
      limit: failures.limitOf(entry),
      mostChunks: () => Math.max(1, Math.floor(chunksInFlight / this.#busy.size)),
      record: async (...chunk) => {
        progress.record(entry, ...chunk);
        await this.#persist(() => progress.save(entry), signal);
        this.#succeeded(entry);
      },
    }).run(signal);
    if (!isCopied || !(await this.#endGone(layout, isWanted, signal))) return;
    progress.finish(entry);
    await this.#persist(() => progress.save(entry), signal);
    failures.forget(entry);
    this.#startedAtMs.delete(key);
  }

  /**
   * Rows that are gone can only be told from others by their age, so the reading begins at a place that nothing old can
   * come behind any more: neither a read that began before the row went, nor what a former owner of the source had given
   * to the mirror.
   */
  async #begin(entry: TableSnapshotProgress, signal: AbortSignal): Promise<void> {
    const { mirror, pipeline } = this.#options;
    const progress = this.#progress;
    let endsBelow: string | null = null;
    if (mirror !== null && this.#endsRows(entry)) {
      const key = tableKey(entry);
      const newest = this.#begun.has(key)
        ? ''
        : await reading(abortable(mirror.newestVersion(entry, pipeline.lineage), signal));
      await abortable(pipeline.reads.waitUntilBehind(newest, entry), signal);
      this.#begun.add(key);
      // the begin follows in the same turn of the loop: it covers every cascade that the version is above
      if (this.#endsRows(entry)) endsBelow = pipeline.reads.nextVersion();
    }
    progress.begin(entry, endsBelow);
    await this.#persist(() => progress.save(entry), signal);
  }

  /** Of a table that is gone all rows are. */
  async #endGoneTable(entry: TableSnapshotProgress, signal: AbortSignal): Promise<void> {
    const { pipeline, reader } = this.#options;
    if (!this.#endsRows(entry)) return;
    if (await reading(reader.isGone(entry, signal))) await abortable(pipeline.endTable(entry), signal);
  }

  #endsRows(of: TableSnapshotProgress): boolean {
    const { state, endsBelow } = this.#current(of);
    return state === 'pending' && endsBelow !== null;
  }

  /** Ends rows that are gone, if that is asked. Resolves with false when it must be tried again. */
  async #endGone(layout: TableLayout, isWanted: () => boolean, signal: AbortSignal): Promise<boolean> {
    const { mirror, pipeline } = this.#options;
    const below = this.#progress.get(layout)?.endsBelow ?? null;
    if (mirror === null || below === null) return true;
    const key = tableKey(layout);
    // what the last owner had ended may have come again in the log that was repeated, to a sink that knows no versions
    const tombstonesAbove = this.#settled.has(key) ? null : pipeline.startVersion;
    const limit = this.#failures.limitOf(layout);
    const rows = new GoneRows({
      layout,
      mirror,
      below,
      tombstonesAbove,
      limit,
      settings: this.#settings,
      waitUntilConfirmed: () => pipeline.waitUntilConfirmed(),
      isWanted,
    });
    const isDone = await rows.end(signal);
    if (isDone && this.#begun.has(key)) this.#settled.add(key);
    return isDone;
  }

  #current(of: TableSnapshotProgress): TableSnapshotProgress {
    return this.#progress.get(of) ?? of;
  }

  async #persist<T>(action: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { backoff, logger, waits } = this.#options;
    let last: DittoError | null = null;
    const onRetry = (cause: unknown): void => {
      const error = toDittoError(cause);
      const isNew = last?.code !== error.code || last.message !== error.message;
      last = error;
      const { code, message } = error;
      if (!signal.aborted && isNew) logger.warn('the snapshot waits for what it needs', { code, error: message });
    };
    const what = (): string => `a server or store that the snapshot needs: ${last?.message ?? 'no answer yet'}`;
    return waits.during(what, retry(action, { backoff: new Backoff(backoff), signal, onRetry }));
  }

  #rank(entry: TableSnapshotProgress): number {
    if (this.#failures.find(entry) !== undefined) return 0;
    return STATE_RANKS[entry.state];
  }

  #describe(progress: TableSnapshotProgress): TableSnapshotStatus {
    const started = this.#startedAtMs.get(tableKey(progress));
    const seconds = started === undefined ? 0 : (this.#options.nowMs() - started.atMs) / 1000;
    const rowsPerSecond = started === undefined || seconds <= 0 ? 0 : (progress.rowsRead - started.rows) / seconds;
    const left = Math.max(0, progress.estimatedRows - progress.rowsRead);
    const remainingMs = progress.state === 'done' ? 0 : rowsPerSecond > 0 ? (left / rowsPerSecond) * 1000 : null;
    const failure = this.#failures.find(progress);
    const { code, message, remedy } = failure?.error ?? {};
    return {
      ...progress,
      rowsPerSecond: progress.state === 'running' ? rowsPerSecond : 0,
      remainingMs,
      error: code === undefined || message === undefined ? null : { code, message, remedy: remedy ?? null },
      attempts: failure?.attempts ?? 0,
      failingSinceMs: failure?.sinceMs ?? null,
    };
  }
}

const STATE_RANKS: Readonly<Record<TableSnapshotState, number>> = { running: 1, unavailable: 2, pending: 3, done: 4 };

const KEYLESS = {
  state: 'unavailable',
  reason: 'the table has no primary key; its changes are published, its existing rows are not read',
} as const;
