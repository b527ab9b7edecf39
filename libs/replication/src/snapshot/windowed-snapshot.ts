import { tableKey, type TableLayout, type TableName } from '#change-events';
import { abortable, Backoff, retry, sleep, toDittoError, type Waits } from '#kernel';
import { GoneRows } from './gone-rows.ts';
import { KeyChecks } from '../tables/key-checks.ts';
import { type Pipeline } from '../stream/pipeline.ts';
import { type MirroredKeys } from '../ports/mirrored-keys.ts';
import { type CopyState, type TableRecord } from '../ports/stores.ts';
import { type Readings, SnapshotProgress } from './snapshot-progress.ts';
import { isReading, KEYLESS_COPY, rowsReadOf } from '../tables/copy-state.ts';
import { TableCopy } from './table-copy.ts';
import { reading, type TableFailure, TableFailures, TableReadError } from '../tables/table-failures.ts';
import { type TableRecords } from '../tables/table-records.ts';
import { type TableReadSettings } from '../windows/windowed-read.ts';

export interface WindowedSnapshotOptions extends Omit<TableReadSettings, 'reads'> {
  readonly pipeline: Pipeline;
  readonly records: TableRecords;
  /** Null: nothing shows which rows there were. */
  readonly mirror: Pick<MirroredKeys, 'list' | 'newestVersion'> | null;
  /** Whether tables are copied that nobody asked for: every included one, once. */
  readonly copiesAll: boolean;
  /** Rest of a table between the end of a read that a cascade asked for and the next. */
  readonly cascadePauseMs: number;
  /** Tables that are read side by side; they share `chunksInFlight`. */
  readonly tablesInFlight: number;
  /** Chunks that may be read, or be being read, and not recorded. Shared by all tables that are being read; each may always have two. */
  readonly chunksInFlight: number;
  readonly waits: Waits;
  readonly nowMs: () => number;
}

/** `running`: a reading has begun and is not complete. */
export type TableSnapshotState = 'pending' | 'running' | 'done' | 'unavailable';

export interface TableSnapshotStatus extends TableName {
  readonly state: TableSnapshotState;
  readonly rowsRead: number;
  readonly estimatedRows: number;
  /** Why a table is `unavailable`; else null. */
  readonly reason: string | null;
  /** Whether it is read again when the reading under way is complete. */
  readonly again: boolean;
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

/** Of each table: one is read while another waits for the stream, the sinks or the store. */
const LEAST_CHUNKS = 2;
/** So much of a rest is waited through at once: a clock may be set. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Copies the included tables, and those that are asked for, by windowed reads while the stream continues. A chunk
 * is recorded as done only when every sink has confirmed it, under the fencing token; after a restart the table continues
 * after it.
 */
export class WindowedSnapshot {
  readonly #options: WindowedSnapshotOptions;
  readonly #settings: TableReadSettings;
  readonly #progress: SnapshotProgress;
  /** The readings that are under way, by table. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #failures: TableFailures;
  readonly #keyChecks: KeyChecks;
  /** Reads that failed since one succeeded: when it is all of them, no table is to blame. */
  #failuresInRow = 0;
  readonly #pace: Backoff;
  #isPaced = false;
  #wake: (() => void) | null = null;
  /** Called, and forgotten, when an attempt to read a table has ended. */
  #onEnded: (() => void)[] = [];

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
      isUnavailable: (table) => this.#progress.get(table)?.copy.state === 'unavailable',
      request: (table, signal) => this.#persist(() => this.request(table), signal),
    });
  }

  counts(): SnapshotCounts {
    const counts = { total: 0, pending: 0, running: 0, done: 0, unavailable: 0, failing: this.#failures.count };
    for (const { copy } of this.#progress.list()) {
      counts.total++;
      counts[STATES[copy.state]]++;
    }
    return counts;
  }

  /** Those that are worth a look come first: what can't be read, what is being read, what can't be copied at all. */
  status(most = Infinity): TableSnapshotStatus[] {
    const ranks: TableRecord[][] = [[], [], [], [], []];
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
   * Has tables read from their first rows for changes that the log does not contain; a read that is under way runs to its end
   * first. Rows that are gone end, if there is a mirror. Resolves when that is recorded.
   */
  async ask(tables: readonly TableName[]): Promise<void> {
    await this.#progress.ask(tables);
    this.#wake?.();
  }

  /** How far the copy of a table is; undefined for one that nothing was read of. */
  copyOf(table: TableName): CopyState | undefined {
    return this.#progress.get(table)?.copy;
  }

  /** Rough; 0 for a table that is not known. */
  estimateOf(table: TableName): number {
    return this.#progress.get(table)?.estimatedRows ?? 0;
  }

  /** Why the table can't be read just now; undefined when nothing is known to be wrong. */
  failureOf(table: TableName): TableFailure | undefined {
    return this.#failures.find(table);
  }

  /** The readings of a table by this process: one that began after a moment covers all that was before it. */
  readingsOf(table: TableName): Readings {
    return this.#progress.readingsOf(table);
  }

  /** Resolves when the next attempt to read a table, whichever, has ended. */
  waitUntilEnded(): Promise<void> {
    return new Promise((ended) => this.#onEnded.push(ended));
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

  #next(): TableRecord | undefined {
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

  #start(entry: TableRecord, stop: AbortSignal, onFatal: (cause: unknown) => void): void {
    const key = tableKey(entry);
    if (this.#failuresInRow >= this.#options.tablesInFlight) this.#slowDown(stop);
    const work = this.#attempt(entry, stop)
      .catch(onFatal)
      .finally(() => {
        this.#busy.delete(key);
        this.#wake?.();
        for (const ended of this.#onEnded.splice(0)) ended();
      });
    this.#busy.set(key, work);
  }

  async #attempt(entry: TableRecord, signal: AbortSignal): Promise<void> {
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

  #succeeded(table: TableName): void {
    this.#failures.clear(table);
    this.#failuresInRow = 0;
    this.#pace.reset();
  }

  /** As the catalogue shows them once it is as new as the stream. */
  #listTables(signal: AbortSignal): Promise<readonly TableLayout[]> {
    const { pipeline, reader } = this.#options;
    return this.#persist(() => reader.listTables(signal, pipeline.dispatchedSet()), signal);
  }

  async #plan(layouts: readonly TableLayout[], signal: AbortSignal): Promise<void> {
    const { reader } = this.#options;
    const added = layouts.filter((layout) => (this.copyOf(layout)?.state ?? 'none') === 'none');
    const rows = await this.#persist(() => abortable(reader.estimateRows(added, signal), signal), signal);
    const tables = added.map((layout, index) => ({ layout, estimatedRows: rows[index] ?? 0 }));
    await this.#persist(() => this.#progress.plan(tables), signal);
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
  async #copy(table: TableName, signal: AbortSignal): Promise<void> {
    const { pipeline, reader } = this.#options;
    const progress = this.#progress;
    progress.take(table);
    // as the catalogue shows it once it is as new as the stream
    const layout = await reading(reader.readLayout(table, signal, pipeline.dispatchedSet()));
    if (layout === null || layout.key.length === 0) return this.#giveUp(table, layout, signal);
    await this.#begin(table, signal);
    const isWanted = (): boolean => progress.isWanted(table);
    if (!isWanted()) return;
    const copying = this.copyOf(table);
    if (copying?.state === 'copying') {
      if (!(await this.#copyRows(layout, copying, isWanted, signal))) return;
      progress.completeRows(table);
      await this.#persist(() => progress.save(table), signal);
    }
    const ending = this.copyOf(table);
    if (ending?.state === 'ending') {
      if (!(await this.#endGone(layout, ending, isWanted, signal))) return;
      progress.completeEnding(table);
      await this.#persist(() => progress.save(table), signal);
    }
    this.#failures.forget(table);
  }

  /** The table is gone, or can't be read by key. */
  async #giveUp(table: TableName, layout: TableLayout | null, signal: AbortSignal): Promise<void> {
    const progress = this.#progress;
    if (layout === null) await this.#endGoneTable(table, signal);
    progress.fail(table, layout === null ? 'the table is no longer there' : KEYLESS_COPY.reason);
    await this.#persist(() => progress.save(table), signal);
    this.#failures.forget(table);
  }

  /**
   * Rows that are gone can only be recognized by their age, so the reading begins at a place that nothing old can
   * come after any more: neither a read that began before the row went, nor what a former owner of the source had given
   * to the mirror.
   */
  async #begin(table: TableName, signal: AbortSignal): Promise<void> {
    const { mirror, pipeline } = this.#options;
    const progress = this.#progress;
    let goneBelow: string | null = null;
    if (mirror !== null && this.#endsRows(table)) {
      const isKnown = progress.earlierOf(table) !== 'unknown';
      const newest = isKnown ? '' : await reading(abortable(mirror.newestVersion(table, pipeline.lineage), signal));
      await abortable(pipeline.reads.waitUntilBehind(newest, table), signal);
      progress.passEarlier(table);
      // the begin follows in the same turn of the loop: it covers every cascade that the version is above
      if (this.#endsRows(table)) goneBelow = pipeline.reads.nextVersion();
    }
    progress.begin(table, goneBelow);
    await this.#persist(() => progress.save(table), signal);
  }

  /** Resolves with false when the table was asked for again. */
  #copyRows(
    layout: TableLayout,
    copy: Extract<CopyState, { state: 'copying' }>,
    isWanted: () => boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { chunksInFlight, logger } = this.#options;
    const { database, table } = layout;
    const progress = this.#progress;
    logger.info('copying a table', { database, table, rowsRead: copy.rowsRead });
    return new TableCopy({
      layout,
      settings: this.#settings,
      after: copy.after,
      isWanted,
      limit: this.#failures.limitOf(layout),
      mostChunks: () => Math.max(LEAST_CHUNKS, Math.floor(chunksInFlight / this.#busy.size)),
      record: async (lastKey, rows) => {
        progress.record(layout, lastKey, rows);
        await this.#persist(() => progress.save(layout), signal);
        this.#succeeded(layout);
      },
    }).run(signal);
  }

  /** Of a table that is gone all rows are. */
  async #endGoneTable(table: TableName, signal: AbortSignal): Promise<void> {
    const { pipeline, reader } = this.#options;
    if (!this.#endsRows(table)) return;
    if (await reading(reader.isGone(table, signal))) await abortable(pipeline.endTable(table), signal);
  }

  #endsRows(table: TableName): boolean {
    const copy = this.copyOf(table);
    return copy?.state === 'pending' && copy.endsGone;
  }

  /** Resolves with false when the table was asked for again. */
  async #endGone(
    layout: TableLayout,
    { goneBelow, above }: Extract<CopyState, { state: 'ending' }>,
    isWanted: () => boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { mirror, pipeline } = this.#options;
    if (mirror === null) return true;
    const isSettled = this.#progress.earlierOf(layout) === 'settled';
    return new GoneRows({
      layout,
      mirror,
      above: above ?? '',
      below: goneBelow,
      // what the last owner had ended may have come again in the log that was repeated, to a sink that knows no versions
      tombstonesAbove: above ?? (isSettled ? null : pipeline.startVersion),
      limit: this.#failures.limitOf(layout),
      settings: this.#settings,
      waitUntilConfirmed: () => pipeline.waitUntilConfirmed(),
      isWanted,
    }).end(signal);
  }

  async #persist<T>(action: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { backoff, logger, waits } = this.#options;
    const log = { logger, message: 'the snapshot waits for what it needs' };
    let because = 'no answer yet';
    const onRetry = (error: unknown): void => {
      because = toDittoError(error).message;
    };
    const work = retry(action, { backoff: new Backoff(backoff), signal, log, onRetry });
    return waits.during(() => `a server or store that the snapshot needs: ${because}`, work);
  }

  #rank(entry: TableRecord): number {
    if (this.#failures.find(entry) !== undefined) return 0;
    return STATE_RANKS[STATES[entry.copy.state]];
  }

  #describe({ database, table, estimatedRows, copy }: TableRecord): TableSnapshotStatus {
    const rate = this.#progress.rateOf({ database, table });
    const rowsRead = rowsReadOf(copy);
    const left = Math.max(0, estimatedRows - rowsRead);
    const failure = this.#failures.find({ database, table });
    const { code, message, remedy } = failure?.error ?? {};
    return {
      database,
      table,
      state: STATES[copy.state],
      rowsRead,
      estimatedRows,
      reason: copy.state === 'unavailable' ? copy.reason : null,
      again: isReading(copy) && copy.again,
      rowsPerSecond: rate,
      remainingMs: copy.state === 'done' ? 0 : rate > 0 ? (left / rate) * 1000 : null,
      error: code === undefined || message === undefined ? null : { code, message, remedy: remedy ?? null },
      attempts: failure?.attempts ?? 0,
      failingSinceMs: failure?.sinceMs ?? null,
    };
  }
}

/** A table that nobody asked for is in no list. */
const STATES: Readonly<Record<CopyState['state'], TableSnapshotState>> = {
  none: 'pending',
  pending: 'pending',
  copying: 'running',
  ending: 'running',
  done: 'done',
  unavailable: 'unavailable',
};

const STATE_RANKS: Readonly<Record<TableSnapshotState, number>> = { running: 1, unavailable: 2, pending: 3, done: 4 };
