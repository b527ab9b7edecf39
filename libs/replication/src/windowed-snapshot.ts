import { type TableLayout } from '#change-events';
import { Backoff, retry, sleep, toDittoError } from '#kernel';
import { abortable } from './abortable.ts';
import { type Grant, type SnapshotStore, type TableSnapshotProgress } from './ports/stores.ts';
import { TableCopy, type TableCopySettings } from './table-copy.ts';

export interface WindowedSnapshotOptions extends TableCopySettings {
  readonly grant: Grant;
  readonly store: SnapshotStore;
  /** Whether tables are copied that nobody asked for: every included one, once. */
  readonly copiesAll: boolean;
  readonly nowMs: () => number;
}

export interface TableSnapshotStatus extends TableSnapshotProgress {
  readonly rowsPerSecond: number;
  /** Estimate from the catalogue's row count; null when nothing can be said. */
  readonly remainingMs: number | null;
}

/**
 * Copies the included tables, and those that are asked for, by windowed reads while the stream goes on (design, section
 * 6). A chunk is recorded as done only when every sink has confirmed it, under the fencing token; after a restart the
 * table goes on behind it.
 */
export class WindowedSnapshot {
  private readonly options: WindowedSnapshotOptions;
  private readonly progress = new Map<string, TableSnapshotProgress>();
  private readonly startedAtMs = new Map<string, { atMs: number; rows: number }>();
  /** Tables to be read from their first row; the copy that is under way of such a table counts no more. */
  private readonly requested = new Set<string>();
  private readonly layoutBackoff: Backoff;
  private saving: Promise<unknown> = Promise.resolve();
  private wake: (() => void) | null = null;

  constructor(options: WindowedSnapshotOptions) {
    this.options = options;
    this.layoutBackoff = new Backoff(options.backoff);
  }

  status(): TableSnapshotStatus[] {
    return [...this.progress.values()].map((progress) => this.describe(progress));
  }

  /** Has a table read (again) from its first row; what was read of it before stays. Resolves when that is recorded. */
  async request(database: string, table: string): Promise<void> {
    const key = `${database}\0${table}`;
    this.requested.add(key);
    const estimatedRows = this.progress.get(key)?.estimatedRows ?? 0;
    await this.save({ database, table, state: 'pending', lastKey: null, rowsRead: 0, estimatedRows, reason: null });
    this.wake?.();
  }

  /**
   * Reads what is not done yet, then waits for requests; resolves only when `signal` is aborted, with a rejection. A
   * server or a store that is down is waited for: the stream does not depend on the snapshot.
   */
  async run(signal: AbortSignal): Promise<never> {
    const { store, grant } = this.options;
    for (const saved of await this.persist(() => store.load(grant.source), signal))
      if (!this.requested.has(tableKey(saved))) this.progress.set(tableKey(saved), saved);
    if (this.options.copiesAll) await this.plan(signal);
    for (;;) {
      const next = [...this.progress.values()].find(({ state }) => state === 'running' || state === 'pending');
      if (next !== undefined) await this.copy(next, signal);
      else await this.waitForRequest(signal);
    }
  }

  private async plan(signal: AbortSignal): Promise<void> {
    for (const layout of await this.listTables(signal))
      if (!this.progress.has(tableKey(layout))) await this.addTable(layout, signal);
  }

  /** As the catalogue shows them once it is not behind the stream. */
  private listTables(signal: AbortSignal): Promise<readonly TableLayout[]> {
    const { pipeline, reader } = this.options;
    return this.persist(() => reader.listTables(signal, pipeline.dispatchedSet()), signal);
  }

  private async addTable(layout: TableLayout, signal: AbortSignal): Promise<void> {
    const keyless = layout.key.length === 0;
    const progress: TableSnapshotProgress = {
      database: layout.database,
      table: layout.table,
      state: keyless ? 'unavailable' : 'pending',
      lastKey: null,
      rowsRead: 0,
      estimatedRows: await this.persist(() => abortable(this.options.reader.estimateRows(layout), signal), signal),
      reason: keyless
        ? 'the table has no primary key; its changes are published, its existing rows are not read'
        : null,
    };
    await this.persist(() => this.save(progress), signal);
  }

  private async waitForRequest(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      this.wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
    });
    this.wake = null;
  }

  /** Copies one table; comes back when it is done, gone, or must be gone on with under another layout. */
  private async copy(known: TableSnapshotProgress, signal: AbortSignal): Promise<void> {
    const { logger, nowMs } = this.options;
    const key = tableKey(known);
    // a request may still be on its way to the store: it begins at the first row all the same
    const progress = this.requested.delete(key) ? startedOver(known) : known;
    const layout = (await this.listTables(signal)).find((listed) => tableKey(listed) === key);
    const save = (next: TableSnapshotProgress, sequence?: number): Promise<void> =>
      this.persist(() => this.save(next, sequence), signal);
    if (layout === undefined)
      return save({ ...progress, state: 'unavailable', reason: 'the table is no longer there' });
    if (layout.key.length === 0) return this.addTable(layout, signal);
    logger.info('copying a table', { database: layout.database, table: layout.table, rowsRead: progress.rowsRead });
    await save({ ...progress, state: 'running', reason: null });
    this.startedAtMs.set(key, { atMs: nowMs(), rows: progress.rowsRead });
    const isWanted = (): boolean => !this.requested.has(key);
    await new TableCopy({ layout, options: this.options, progress: () => this.current(progress), isWanted, save }).run(
      signal,
    );
    const { state, lastKey } = this.current(progress);
    if (!isWanted() || state === 'done' || lastKey !== progress.lastKey) this.layoutBackoff.reset();
    if (isWanted() && state !== 'done') await sleep(this.layoutBackoff.nextMs(), signal);
  }

  private current(of: TableSnapshotProgress): TableSnapshotProgress {
    return this.progress.get(tableKey(of)) ?? of;
  }

  /** One after the other, so that what is stored in the end is what was said last. */
  private async save(progress: TableSnapshotProgress, readSequence = 0): Promise<void> {
    const key = tableKey(progress);
    const turn = this.saving.then(async () => {
      const kept = this.requested.has(key) ? startedOver(progress) : progress;
      await this.options.store.save(this.options.grant, kept, readSequence);
      this.progress.set(key, this.requested.has(key) ? startedOver(kept) : kept);
    });
    this.saving = turn.catch(() => undefined);
    await turn;
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

function tableKey({ database, table }: { readonly database: string; readonly table: string }): string {
  return `${database}\0${table}`;
}

function startedOver(progress: TableSnapshotProgress): TableSnapshotProgress {
  return { ...progress, state: 'pending', lastKey: null, rowsRead: 0, reason: null };
}
