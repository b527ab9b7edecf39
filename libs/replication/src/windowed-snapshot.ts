import { tableKey, type TableLayout, type TableName } from '#change-events';
import { Backoff, retry, sleep, toDittoError } from '#kernel';
import { abortable } from './abortable.ts';
import { GoneRows } from './gone-rows.ts';
import { type MirroredKeys } from './ports/mirrored-keys.ts';
import { type Grant, type SnapshotStore, type TableSnapshotProgress } from './ports/stores.ts';
import { newEntry, SnapshotProgress } from './snapshot-progress.ts';
import { TableCopy, type TableCopySettings } from './table-copy.ts';

export interface WindowedSnapshotOptions extends TableCopySettings {
  readonly grant: Grant;
  readonly store: SnapshotStore;
  /** Null: nothing tells which rows there were. */
  readonly mirror: MirroredKeys | null;
  /** Whether tables are copied that nobody asked for: every included one, once. */
  readonly copiesAll: boolean;
  /** Rest of a table between the end of a read that a cascade asked for and the next. */
  readonly cascadePauseMs: number;
  readonly nowMs: () => number;
}

export interface TableSnapshotStatus extends TableSnapshotProgress {
  readonly rowsPerSecond: number;
  /** Estimate from the catalogue's row count; null when nothing can be said. */
  readonly remainingMs: number | null;
}

/** So much of a rest is waited through at once: a clock may be set. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Copies the included tables, and those that are asked for, by windowed reads while the stream goes on (design, section
 * 6). A chunk is recorded as done only when every sink has confirmed it, under the fencing token; after a restart the
 * table goes on behind it.
 */
export class WindowedSnapshot {
  private readonly options: WindowedSnapshotOptions;
  private readonly progress: SnapshotProgress;
  private readonly startedAtMs = new Map<string, { atMs: number; rows: number }>();
  /** Tables whose re-read for gone rows began in this process, and those of which one was completed. */
  private readonly begun = new Set<string>();
  private readonly settled = new Set<string>();
  private readonly layoutBackoff: Backoff;
  private wake: (() => void) | null = null;

  constructor(options: WindowedSnapshotOptions) {
    this.options = options;
    this.progress = new SnapshotProgress(options);
    this.layoutBackoff = new Backoff(options.backoff);
  }

  status(): TableSnapshotStatus[] {
    return this.progress.list().map((entry) => this.describe(entry));
  }

  /** Has a table read (again) from its first row; what was read of it before stays. Resolves when that is recorded. */
  async request(database: string, table: string): Promise<void> {
    await this.progress.request({ database, table });
    this.wake?.();
  }

  /** Whether `ask` would change nothing. */
  isAsked(tables: readonly TableName[]): boolean {
    return this.progress.isAsked(tables);
  }

  /**
   * Has tables read from their first rows for changes that stand in no log; a read that is under way goes on to its end
   * first. Rows that are gone end, if there is a mirror. Resolves when that is recorded.
   */
  async ask(tables: readonly TableName[]): Promise<void> {
    await this.progress.ask(tables);
    this.wake?.();
  }

  /**
   * Reads what is not done yet, then waits for requests; resolves only when `signal` is aborted, with a rejection. A
   * server or a store that is down is waited for: the stream does not depend on the snapshot.
   */
  async run(signal: AbortSignal): Promise<never> {
    await this.persist(() => this.progress.load(), signal);
    if (this.options.copiesAll) await this.plan(signal);
    for (;;) {
      const next = this.progress.next();
      if (next !== undefined) await this.copy(next, signal);
      else await this.waitForRequest(signal);
    }
  }

  private async plan(signal: AbortSignal): Promise<void> {
    const { pipeline, reader } = this.options;
    const layouts = await this.persist(() => reader.listTables(signal, pipeline.dispatchedSet()), signal);
    const added = layouts.filter((layout) => this.progress.get(layout) === undefined);
    const rows = await this.persist(() => abortable(reader.estimateRows(added, signal), signal), signal);
    const entries = added.map((layout, index) => ({
      ...newEntry(layout, rows[index]),
      ...(layout.key.length === 0 ? KEYLESS : {}),
    }));
    await this.persist(() => this.progress.add(entries), signal);
  }

  /** As the catalogue shows it once it is not behind the stream. */
  private readLayout(table: TableName, signal: AbortSignal): Promise<TableLayout | null> {
    const { pipeline, reader } = this.options;
    return this.persist(() => reader.readLayout(table, signal, pipeline.dispatchedSet()), signal);
  }

  private async waitForRequest(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const restMs = this.progress.restMs();
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      this.wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      if (restMs !== null) timer = setTimeout(this.wake, Math.min(restMs, LONGEST_WAIT_MS));
    }).finally(() => clearTimeout(timer));
    this.wake = null;
  }

  /** Copies one table; comes back when it is done, gone, or must be gone on with under another layout. */
  private async copy(entry: TableSnapshotProgress, signal: AbortSignal): Promise<void> {
    const { logger, nowMs } = this.options;
    const { progress } = this;
    const key = tableKey(entry);
    progress.take(entry);
    const layout = await this.readLayout(entry, signal);
    if (layout === null || layout.key.length === 0) {
      const reason = layout === null ? 'the table is no longer there' : KEYLESS.reason;
      return this.persist(() => progress.fail(entry, reason), signal);
    }
    const isWanted = (): boolean => progress.isWanted(entry);
    await this.begin(entry, signal);
    if (!isWanted()) return;
    logger.info('copying a table', { database: layout.database, table: layout.table, rowsRead: entry.rowsRead });
    this.startedAtMs.set(key, { atMs: nowMs(), rows: this.current(entry).rowsRead });
    const readSequence = await new TableCopy({
      layout,
      options: this.options,
      progress: () => this.current(entry),
      isWanted,
      record: (...chunk) => this.persist(() => progress.record(entry, ...chunk), signal),
    }).run(signal);
    const lastSequence = readSequence === null ? null : await this.endGone(layout, readSequence, isWanted, signal);
    if (lastSequence !== null) await this.persist(() => progress.finish(entry, lastSequence), signal);
    const isDone = lastSequence !== null;
    if (!isWanted() || isDone || this.current(entry).lastKey !== entry.lastKey) this.layoutBackoff.reset();
    if (isWanted() && !isDone) await sleep(this.layoutBackoff.nextMs(), signal);
  }

  /**
   * Rows that are gone can only be told from others by their age, so the reading begins at a place that nothing old can
   * come behind any more: neither a read that began before the row went, nor what a former owner of the source had given
   * to the mirror.
   */
  private async begin(entry: TableSnapshotProgress, signal: AbortSignal): Promise<void> {
    const { mirror, pipeline } = this.options;
    const { progress } = this;
    let endsBelow: string | null = null;
    if (mirror !== null && this.endsRows(entry)) {
      const key = tableKey(entry);
      const newest = this.begun.has(key)
        ? ''
        : await this.persist(() => mirror.newestVersion(entry, pipeline.lineage), signal);
      await abortable(pipeline.waitUntilBehind(newest, entry), signal);
      this.begun.add(key);
      // the begin follows in the same turn of the loop: it covers every cascade that the version is above
      if (this.endsRows(entry)) endsBelow = pipeline.nextReadVersion();
    }
    await progress.begin(entry, endsBelow).catch(() => this.persist(() => progress.begin(entry, endsBelow), signal));
  }

  private endsRows(of: TableSnapshotProgress): boolean {
    const { state, endsBelow } = this.current(of);
    return state === 'pending' && endsBelow !== null;
  }

  /** Ends rows that are gone, if that is asked. Resolves with the newest read sequence, null when it must be tried again. */
  private async endGone(
    layout: TableLayout,
    readSequence: number,
    isWanted: () => boolean,
    signal: AbortSignal,
  ): Promise<number | null> {
    const { mirror, pipeline } = this.options;
    const below = this.progress.get(layout)?.endsBelow ?? null;
    if (mirror === null || below === null) return readSequence;
    const key = tableKey(layout);
    // what the last owner had ended may have come again in the log that was repeated, to a sink that knows no versions
    const tombstonesAbove = this.settled.has(key) ? null : pipeline.startVersion;
    const rows = new GoneRows({ layout, mirror, below, tombstonesAbove, options: this.options, isWanted });
    const lastSequence = await rows.end(signal);
    if (lastSequence !== null && this.begun.has(key)) this.settled.add(key);
    return lastSequence === null ? null : Math.max(readSequence, lastSequence);
  }

  private current(of: TableSnapshotProgress): TableSnapshotProgress {
    return this.progress.get(of) ?? of;
  }

  private persist<T>(action: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { backoff, logger } = this.options;
    const onRetry = (cause: unknown, delayMs: number): void => {
      const { code, message } = toDittoError(cause);
      if (!signal.aborted) logger.warn('the snapshot waits for what it needs', { code, error: message, delayMs });
    };
    return retry(action, { backoff: new Backoff(backoff), signal, onRetry });
  }

  private describe(progress: TableSnapshotProgress): TableSnapshotStatus {
    const started = this.startedAtMs.get(tableKey(progress));
    const seconds = started === undefined ? 0 : (this.options.nowMs() - started.atMs) / 1000;
    const rowsPerSecond = started === undefined || seconds <= 0 ? 0 : (progress.rowsRead - started.rows) / seconds;
    const left = Math.max(0, progress.estimatedRows - progress.rowsRead);
    const remainingMs = progress.state === 'done' ? 0 : rowsPerSecond > 0 ? (left / rowsPerSecond) * 1000 : null;
    return { ...progress, rowsPerSecond: progress.state === 'running' ? rowsPerSecond : 0, remainingMs };
  }
}

const KEYLESS = {
  state: 'unavailable',
  reason: 'the table has no primary key; its changes are published, its existing rows are not read',
} as const;
