import {
  formatVersion,
  GtidSet,
  KeyImages,
  parseVersion,
  READ_ROW_INDEX,
  type Row,
  type TableLayout,
  type TableName,
  transactionEndVersion,
  ValueImages,
} from '#change-events';
import { type Waits } from '#kernel';
import { abortable } from './abortable.ts';
import { PendingChanges } from './acknowledgement-tracker.ts';
import { type KeyChanges } from './key-changes.ts';
import { type KnownTables } from './known-tables.ts';
import { type ReadSequences } from './read-sequences.ts';
import { type SinkGroup } from './sink-group.ts';
import { type StreamProgress } from './stream-progress.ts';
import { type SettledWindow, type WindowRead, type WindowRegistry } from './window-registry.ts';
import { Window } from './window.ts';

export interface StreamWindowsOptions {
  readonly source: string;
  readonly lineage: number;
  readonly sequences: ReadSequences;
  readonly maxNotedBytes: number;
  readonly nowMs: () => number;
  readonly progress: StreamProgress;
  readonly tables: KnownTables;
  readonly sinks: SinkGroup;
  readonly windows: WindowRegistry;
  readonly waits: Waits;
  readonly keyChanges: () => KeyChanges;
  /** Aborted when the pipeline stops. */
  readonly stopped: AbortSignal;
  /** Rows of a read are confirmed. */
  readonly onConfirmed: () => void;
  /** A sink refused the rows of a read: the pipeline must stop. */
  readonly onFatal: (error: unknown) => void;
}

/** The windowed reads of one pipeline: their rows join the stream where it has passed all that they saw. */
export class StreamWindows {
  /** What one row of the newest read held in the sinks, on average. */
  averageReadBytes = 1;
  /** Rows that were emitted. */
  emittedRows = 0;
  private readonly options: StreamWindowsOptions;
  /** Reads whose rows are given to the sinks. */
  private readonly unconfirmed = new Set<Promise<void>>();

  constructor(options: StreamWindowsOptions) {
    this.options = options;
  }

  /** Opens a window on a table with a key; from here on the table's changes are noted. */
  open(layout: TableLayout): Window {
    const { source, lineage, maxNotedBytes, progress, windows } = this.options;
    const readSequence = this.nextSequence();
    const window = new Window({
      id: `${source}/${lineage}/${readSequence}`,
      layout,
      readSequence,
      dispatchedSet: progress.dispatched.toString(),
      maxNotedBytes,
    });
    windows.add(window);
    return window;
  }

  /** See `Pipeline.closeWindow`. */
  async close(window: Window, read: WindowRead): Promise<SettledWindow | null> {
    const { stopped, tables, windows, waits, sequences } = this.options;
    window.readAtMs = this.options.nowMs();
    try {
      await sequences.secure(window.readSequence);
      stopped.throwIfAborted();
      if (!tables.isPrepared(window.layout)) await this.prepare(window, read);
      stopped.throwIfAborted(); // nobody would settle it any more
    } catch (error) {
      windows.remove(window);
      throw error;
    }
    const settled = windows.await(window, read);
    this.settle();
    const { database, table } = window.layout;
    return waits.during(
      () => `the stream to reach what a read of ${database}.${table} saw: ${this.missingOf(read)}`,
      settled,
    );
  }

  /** Call at each transaction end. */
  settle(): void {
    const { progress, windows } = this.options;
    if (!progress.isBetween) return;
    windows.settle(progress.passed, (window, rows, absent) => {
      const confirmed = this.emit(window, rows, absent);
      this.unconfirmed.add(confirmed);
      void confirmed.then(() => this.unconfirmed.delete(confirmed));
      return confirmed;
    });
  }

  /** Resolves when all that was emitted until now is confirmed. */
  async waitUntilConfirmed(): Promise<void> {
    await Promise.all(this.unconfirmed);
  }

  /** See `Pipeline.waitUntilBehind`. */
  async waitUntilBehind(version: string, table: TableName): Promise<void> {
    const { stopped, windows, progress, waits, sequences } = this.options;
    stopped.throwIfAborted();
    const name = `${table.database}.${table.table}`;
    const passed = windows.waitUntil(() => transactionEndVersion(progress.lastEnded.versionPrefix) >= version);
    this.settle();
    await waits.during(`the stream to pass what the mirror has of ${name}: ${version}`, passed);
    while (windows.hasOpen(table))
      await waits.during(`reads of ${name} that began before to end`, windows.waitUntilClosed());
    await sequences.secureAhead();
    stopped.throwIfAborted();
  }

  /** See `Pipeline.nextReadVersion`. */
  nextVersion(): string {
    const { progress, sequences } = this.options;
    return formatVersion({ ...parseVersion(progress.endVersion), readSequence: sequences.nextSecured() });
  }

  /** Without numbers no table can be read any more: the whole run ends, and the next has another lineage. */
  private nextSequence(): number {
    try {
      return this.options.sequences.next();
    } catch (error) {
      this.options.onFatal(error);
      throw error;
    }
  }

  /** Above those of all reads until now; resolves when it is this owner's for good. */
  async nextSecuredSequence(): Promise<number> {
    const number = this.nextSequence();
    await this.options.sequences.secure(number);
    return number;
  }

  /** The layout of a read may be ahead of the stream by a statement; sinks must not learn of it before. */
  private async prepare(window: Window, read: WindowRead): Promise<void> {
    const passed = this.options.windows.waitUntilPassed(read);
    this.settle();
    const what = (): string => `the stream to reach what the first read of a table saw: ${this.missingOf(read)}`;
    await this.options.waits.during(what, passed);
    if (window.discardedBecause !== null) return;
    const { keyChanges, sinks, tables } = this.options;
    await keyChanges().meetInRead(window.layout);
    await sinks.prepare(window.layout);
    if (!tables.isPrepared(window.layout)) window.discard('the key of the table has changed');
  }

  private emit(window: Window, rows: readonly Row[], absent: readonly Row[]): Promise<void> {
    const { progress, sinks, waits, stopped, onConfirmed, onFatal } = this.options;
    const { layout, readSequence, id } = window;
    const confirmed = new Promise<void>((resolve) => {
      const pending = new PendingChanges(() => {
        onConfirmed();
        resolve();
      });
      const transaction = progress.describeRead(window.readAtMs);
      const read = { layout, transaction, firstRowIndex: READ_ROW_INDEX, readSequence, windowId: id };
      const after = new ValueImages(layout, rows);
      const before = new KeyImages(layout, absent);
      const emitted = after.count + before.count;
      this.emittedRows += emitted;
      const bytes = sinks.bytesInFlight;
      try {
        if (after.count > 0)
          sinks.accept({ ...read, op: 'read', count: after.count, before: null, after }, pending, []);
        if (before.count > 0)
          sinks.accept({ ...read, op: 'delete', count: before.count, before, after: null }, pending, []);
        sinks.flush();
      } catch (cause) {
        onFatal(cause);
        return;
      }
      if (emitted > 0) this.averageReadBytes = Math.max(1, (sinks.bytesInFlight - bytes) / emitted);
      pending.close();
    });
    const what = `the sinks to confirm rows that were read of ${layout.database}.${layout.table}`;
    // once the pipeline has stopped nothing is confirmed any more, and nothing is waited for
    waits.during(what, abortable(confirmed, stopped)).catch(() => undefined);
    return confirmed;
  }

  private missingOf({ high }: WindowRead): string {
    return GtidSet.parse(high).subtract(this.options.progress.passed.toSet()).toString() || 'nothing more';
  }
}
