import {
  formatVersion,
  GtidSet,
  parseVersion,
  READ_ROW_INDEX,
  type RowImages,
  type TableLayout,
  type TableName,
  transactionEndVersion,
} from '#change-events';
import { abortable, type Waits } from '#kernel';
import { PendingChanges } from './acknowledgement-tracker.ts';
import { type KeyChanges } from './key-changes.ts';
import { type KnownTables } from '../tables/known-tables.ts';
import { type ReadSequences } from '../windows/read-sequences.ts';
import { type RoomGate } from './room-gate.ts';
import { type SinkGroup } from './sink-group.ts';
import { type StreamProgress } from './stream-progress.ts';
import { type SettledWindow, type WindowRead, type WindowRegistry } from '../windows/window-registry.ts';
import { Window } from '../windows/window.ts';
import { type ReadStream } from '../windows/windowed-read.ts';

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
  readonly room: RoomGate;
  /** A sink refused the rows of a read: the pipeline must stop. */
  readonly onFatal: (error: unknown) => void;
}

/** The windowed reads of one pipeline: their rows join the stream where it has passed all that they saw. */
export class StreamWindows implements ReadStream {
  /** Rows that were emitted. */
  emittedRows = 0;
  readonly #options: StreamWindowsOptions;
  /** Reads whose rows are given to the sinks. */
  readonly #unconfirmed = new Set<Promise<void>>();

  constructor(options: StreamWindowsOptions) {
    this.#options = options;
  }

  open(layout: TableLayout, bytes: number, signal: AbortSignal): Promise<Window> {
    return this.#options.room.enter(bytes, () => this.#begin(layout, bytes), signal);
  }

  #begin(layout: TableLayout, readBytes: number): Window {
    const { source, lineage, maxNotedBytes, progress, windows } = this.#options;
    const readSequence = this.#nextSequence();
    const window = new Window({
      id: `${source}/${lineage}/${readSequence}`,
      layout,
      readSequence,
      dispatchedSet: progress.dispatched.toString(),
      maxNotedBytes,
    });
    window.readBytes = readBytes;
    windows.add(window);
    return window;
  }

  abandon(window: Window): void {
    this.#options.windows.remove(window);
    this.#options.room.changed();
  }

  async close(window: Window, read: WindowRead): Promise<SettledWindow | null> {
    const { stopped, tables, windows, waits, sequences } = this.#options;
    window.readAtMs = this.#options.nowMs();
    this.#noteRead(window, read);
    let settled: Promise<SettledWindow | null>;
    try {
      await sequences.secure(window.readSequence);
      stopped.throwIfAborted();
      if (!tables.isPrepared(window.layout)) await this.#prepare(window, read);
      stopped.throwIfAborted(); // nobody would settle it any more
      settled = windows.await(window, read);
    } catch (error) {
      this.abandon(window);
      throw error;
    }
    this.settle();
    const { database, table } = window.layout;
    return waits.during(
      () => `the stream to reach what a read of ${database}.${table} saw: ${this.#missingOf(read)}`,
      settled,
    );
  }

  /** Most reads take less than they might have. */
  #noteRead(window: Window, { bytes = window.readBytes }: WindowRead): void {
    if (bytes === window.readBytes) return;
    window.readBytes = bytes;
    this.#options.room.changed();
  }

  /** Call at each transaction end. */
  settle(): void {
    const { progress, windows } = this.#options;
    if (!progress.isBetween) return;
    const holdsLess = windows.settle(progress.passed, (window, found) => {
      const emitted = this.#emit(window, found.rows, found.absent);
      this.#unconfirmed.add(emitted.confirmed);
      void emitted.confirmed.then(() => this.#unconfirmed.delete(emitted.confirmed));
      return emitted;
    });
    if (holdsLess) this.#options.room.changed();
  }

  /** Resolves when all that was emitted until now is confirmed. */
  async waitUntilConfirmed(): Promise<void> {
    await Promise.all(this.#unconfirmed);
  }

  /**
   * Resolves at a place in the stream that comes after `version`, and where nothing is under way any more that was read
   * from the table before. Rejects when the pipeline stops.
   */
  async waitUntilBehind(version: string, table: TableName): Promise<void> {
    const { stopped, windows, progress, waits, sequences } = this.#options;
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

  /**
   * A version above all that was given to the sinks so far, changes of an open transaction that are still to come
   * included, and below all that reads begun from here on will give.
   */
  nextVersion(): string {
    const { progress, sequences } = this.#options;
    return formatVersion({ ...parseVersion(progress.endVersion), readSequence: sequences.nextSecured() });
  }

  /** Without numbers no table can be read any more: the whole run ends, and the next has another lineage. */
  #nextSequence(): number {
    try {
      return this.#options.sequences.next();
    } catch (error) {
      this.#options.onFatal(error);
      throw error;
    }
  }

  /** Above the numbers of all reads until now; resolves when it is this owner's for good. */
  async nextSecuredSequence(): Promise<number> {
    const number = this.#nextSequence();
    await this.#options.sequences.secure(number);
    return number;
  }

  /** The layout of a read may be ahead of the stream by a statement; sinks must not learn of it before. */
  async #prepare(window: Window, read: WindowRead): Promise<void> {
    const passed = this.#options.windows.waitUntilPassed(read);
    this.settle();
    const what = (): string => `the stream to reach what the first read of a table saw: ${this.#missingOf(read)}`;
    await this.#options.waits.during(what, passed);
    if (window.discardedBecause !== null) return;
    const { keyChanges, sinks, tables } = this.#options;
    await keyChanges().meetInRead(window.layout);
    await sinks.prepare(window.layout);
    if (!tables.isPrepared(window.layout)) window.discard('the key of the table has changed');
  }

  #emit(
    window: Window,
    after: RowImages,
    before: RowImages,
  ): { readonly heldBytes: number; readonly confirmed: Promise<void> } {
    const { progress, sinks, waits, stopped, room, onFatal } = this.#options;
    const { layout, readSequence, id } = window;
    const { promise: confirmed, resolve } = Promise.withResolvers<undefined>();
    const pending = new PendingChanges(() => {
      room.changed();
      resolve(undefined);
    });
    const transaction = progress.describeRead(window.readAtMs);
    const read = { layout, transaction, firstRowIndex: READ_ROW_INDEX, readSequence, windowId: id };
    this.emittedRows += after.count + before.count;
    const bytes = sinks.bytesInFlight;
    try {
      if (after.count > 0) sinks.accept({ ...read, op: 'read', count: after.count, before: null, after }, pending, []);
      if (before.count > 0)
        sinks.accept({ ...read, op: 'delete', count: before.count, before, after: null }, pending, []);
      sinks.flush();
      pending.close();
    } catch (cause) {
      onFatal(cause);
    }
    const what = `the sinks to confirm rows that were read of ${layout.database}.${layout.table}`;
    // once the pipeline has stopped nothing is confirmed any more, and nothing is waited for
    waits.during(what, abortable(confirmed, stopped)).catch(() => undefined);
    return { heldBytes: sinks.bytesInFlight - bytes, confirmed };
  }

  #missingOf({ high }: WindowRead): string {
    return GtidSet.parse(high).subtract(this.#options.progress.passed.toSet()).toString() || 'nothing more';
  }
}
