import {
  decodeKeyValues,
  decodeSelection,
  encodeKeyValues,
  formatTableName,
  hasKey,
  type Row,
  rowOfKey,
  type RowSelection,
  type SelectionScope,
  tableKey,
  type TableLayout,
  type TableName,
} from '#change-events';
import { abortable, Backoff, DittoError, retry, sleep, toDittoError } from '#kernel';
import {
  type NextRead,
  type ReadCounts,
  type ReadProgress,
  type RequestedRead,
  type RequestedReadStore,
} from '../ports/requested-read-store.ts';
import { type MirroredKeys } from '../ports/mirrored-keys.ts';
import { type CopyState, type Grant } from '../ports/stores.ts';
import { rowsReadOf } from '../tables/copy-state.ts';
import { reading, TableFailures, TableReadError } from '../tables/table-failures.ts';
import { KeyLookUps } from '../windows/key-look-ups.ts';
import { type TableReadSettings } from '../windows/windowed-read.ts';
import { SelectedRead } from './selected-read.ts';
import { type WindowedSnapshot } from './windowed-snapshot.ts';

export interface RequestedReadsOptions {
  readonly grant: Grant;
  readonly store: RequestedReadStore;
  readonly snapshot: Pick<
    WindowedSnapshot,
    'ask' | 'copyOf' | 'estimateOf' | 'failureOf' | 'readingsOf' | 'waitUntilEnded'
  >;
  readonly settings: TableReadSettings;
  /** Null: nothing shows which rows there were. */
  readonly mirror: Pick<MirroredKeys, 'select'> | null;
  /** These rows are about to be read. */
  readonly onReadKeys?: (table: TableName, keys: readonly string[]) => void;
  readonly dispatchedSet: () => string;
  /** Resolves when all that was given to the sinks until now is confirmed. */
  readonly waitUntilConfirmed: () => Promise<void>;
  readonly nowMs: () => number;
}

/** How often it is looked for reads that another process has accepted. */
const LOOK_MS = 2000;
/** Reads of keys, ranges and filters that are under way side by side. */
const MOST_AT_ONCE = 4;

/** Records how far a read is; false when it has ended meanwhile, for example cancelled. */
type Save = (changed: Partial<ReadProgress>) => Promise<boolean>;

/**
 * Executes the reads that were asked for, as long as this process owns the source. What is done is recorded under the
 * fencing token when every sink has confirmed it, so the next owner goes on after it: a key may be read twice, none is left
 * out. Whole tables are left to the snapshot, whose records say how far they are.
 *
 * Of each table one read of each kind is under way at a time. A table that can't be read rests and leaves its place to others.
 */
export class RequestedReads {
  readonly #options: RequestedReadsOptions;
  readonly #busy = new Map<string, { readonly read: NextRead; readonly work: Promise<void> }>();
  readonly #failures: TableFailures;
  #wake: () => void = () => undefined;

  constructor(options: RequestedReadsOptions) {
    this.#options = options;
    const { backoff, logger } = options.settings;
    this.#failures = new TableFailures({ backoff, logger, nowMs: options.nowMs, onRested: () => this.#wake() });
  }

  /** A read was accepted. */
  wake(): void {
    this.#wake();
  }

  /** Resolves never; rejects when `signal` is aborted, and when this process does not own the source any more. */
  async run(signal: AbortSignal): Promise<never> {
    const { grant, store } = this.#options;
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    try {
      for (;;) {
        const woken = new Promise<void>((resolve) => (this.#wake = resolve));
        for (const read of await this.#persist(() => store.listNext(grant.source), stop))
          if (this.#mayStart(read)) this.#start(read, stop, (cause) => failed.abort(cause));
        await Promise.race([sleep(LOOK_MS, stop), woken]);
      }
    } finally {
      await Promise.allSettled([...this.#busy.values()].map(({ work }) => work));
    }
  }

  #mayStart(next: NextRead): boolean {
    if (this.#busy.has(next.id)) return false;
    if (this.#failures.isResting(next)) return false;
    // the snapshot has its own limits
    if (isOfTables(next)) return true;
    const underWay = [...this.#busy.values()].map(({ read }) => read).filter((read) => !isOfTables(read));
    if (underWay.length >= MOST_AT_ONCE) return false;
    // an attempt may take its time, and must leave room for tables that can be read
    const isRetry = (read: NextRead): boolean => this.#failures.find(read) !== undefined;
    return !isRetry(next) || underWay.filter(isRetry).length < MOST_AT_ONCE >> 1;
  }

  #start(read: NextRead, stop: AbortSignal, onFatal: (cause: unknown) => void): void {
    const work = this.#execute(read.id, stop)
      .catch(onFatal)
      .finally(() => {
        this.#busy.delete(read.id);
        this.#wake();
      });
    this.#busy.set(read.id, { read, work });
  }

  async #execute(id: string, signal: AbortSignal): Promise<void> {
    const { store, grant, settings } = this.#options;
    const read = await this.#persist(() => store.find(id), signal);
    if (read === null) return;
    const { source, database, table, scope, keyCount, reason, actor, state } = read;
    if (state === 'accepted')
      settings.logger.info('reading what was asked for', {
        ...{ id, source, database, table },
        ...{ kind: scope.kind, keys: keyCount, reason, actor },
      });
    let progress: ReadProgress = read;
    const save: Save = (changed) => {
      progress = { ...progress, ...changed };
      return this.#persist(() => store.save(grant, id, progress), signal);
    };
    try {
      const counts = await this.#read(read, save, signal);
      if (counts !== null) await save({ state: 'done', counts, error: null });
    } catch (cause) {
      signal.throwIfAborted();
      await this.#fail(read, cause, save, signal);
    }
  }

  /** Records what is wrong with the read, or has its table rest before it is tried again; what ends the ownership is thrown. */
  async #fail(read: RequestedRead, cause: unknown, save: Save, signal: AbortSignal): Promise<void> {
    const { code, message, retriable } = toDittoError(cause instanceof TableReadError ? cause.cause : cause);
    const error = { code, message };
    if (code === 'DITTO_READ_REFUSED' || (cause instanceof TableReadError && !retriable)) {
      await save({ state: 'failed', error });
    } else {
      if (!(cause instanceof TableReadError)) throw cause;
      this.#failures.note(read, cause, signal);
      await save({ error });
    }
  }

  /** Null when it was cancelled. */
  async #read(read: RequestedRead, save: Save, signal: AbortSignal): Promise<ReadCounts | null> {
    const { settings, dispatchedSet } = this.#options;
    const { scope } = read;
    if (scope.kind === 'source') {
      const layouts = await reading(settings.reader.listTables(signal, dispatchedSet()));
      return this.#readTables(layouts.filter(hasKey), read, save, signal);
    }
    const layout = await reading(settings.reader.readLayout(read, signal, dispatchedSet()));
    if (layout === null) throw refuse(read, 'it is not there, or not included');
    if (!hasKey(layout)) throw refuse(read, 'it has no key');
    switch (scope.kind) {
      case 'table':
        return this.#readTables([read], read, save, signal);
      case 'keys':
        return this.#readKeys(layout, decodeKeys(layout, scope.keys), read, save, signal);
      case 'range':
      case 'filter':
        return this.#readSelected(layout, decodeRows(layout, scope), read, save, signal);
    }
  }

  /**
   * Done when of each table a reading is complete that began after the request: the next ones may be asked for without end.
   * One that can't be read any more is refused if it was asked for, and left out if it is one of all.
   */
  async #readTables(
    tables: readonly TableName[],
    read: RequestedRead,
    save: Save,
    signal: AbortSignal,
  ): Promise<ReadCounts | null> {
    const { snapshot } = this.#options;
    this.#failures.clear(read);
    const before = new Map(tables.map((table) => [tableKey(table), snapshot.readingsOf(table).begun]));
    // asked for before it is recorded: a crash between the two asks again
    if (read.state === 'accepted') await this.#persist(() => snapshot.ask(tables), signal);
    const estimatedRows = tables.reduce((sum, table) => sum + snapshot.estimateOf(table), 0);
    if (!(await save({ state: 'running', estimatedRows }))) return null;
    let saved = JSON.stringify([read.counts.read, read.error?.message ?? null]);
    let ended = snapshot.waitUntilEnded();
    for (;;) {
      const open = tables.filter((table) => !this.#isReadAgain(table, before.get(tableKey(table)) ?? 0));
      const lost = open.filter((table) => !isReadable(snapshot.copyOf(table)?.state));
      if (lost.length > 0 && read.scope.kind === 'table') throw refuse(read, 'it can not be read any more');
      const counts = { read: this.#countRows(tables, before), emitted: null, gone: null };
      if (lost.length === open.length) return counts;
      const error =
        open.map((table) => snapshot.failureOf(table)?.error ?? null).find((found) => found !== null) ?? null;
      const shown = JSON.stringify([counts.read, error?.message ?? null]);
      const noted = error && { code: error.code, message: error.message };
      if (shown !== saved && !(await save({ counts, error: noted }))) return null;
      saved = shown;
      const hasEnded = ended.then(() => true);
      if (await Promise.race([abortable(hasEnded, signal), sleep(LOOK_MS, signal).then(() => false)]))
        ended = snapshot.waitUntilEnded();
    }
  }

  #isReadAgain(table: TableName, before: number): boolean {
    const { snapshot } = this.#options;
    return snapshot.copyOf(table)?.state === 'done' || snapshot.readingsOf(table).completed > before;
  }

  /** Of each table those of the reading that counts, or is under way. */
  #countRows(tables: readonly TableName[], before: ReadonlyMap<string, number>): number {
    const { snapshot } = this.#options;
    return tables.reduce((sum, table) => {
      const copy = snapshot.copyOf(table);
      const { completed, rowsRead } = snapshot.readingsOf(table);
      const isAnother = copy?.state !== 'done' && completed > (before.get(tableKey(table)) ?? 0);
      return sum + (isAnother || copy === undefined ? rowsRead : rowsReadOf(copy));
    }, 0);
  }

  async #readSelected(
    layout: TableLayout,
    selection: RowSelection,
    read: RequestedRead,
    save: Save,
    signal: AbortSignal,
  ): Promise<ReadCounts | null> {
    const { settings, mirror, waitUntilConfirmed } = this.#options;
    if (!(await save({ state: 'running' }))) return null;
    let { counts } = read;
    const selected = new SelectedRead({
      ...{ layout, selection, settings, mirror, waitUntilConfirmed },
      limit: this.#failures.limitOf(read),
      place: read.place,
      record: (place, found) => {
        counts = addCounts(counts, found);
        this.#failures.clear(read);
        return save({ counts, place, error: null });
      },
    });
    if (!(await selected.run(signal))) return null;
    this.#failures.forget(read);
    return counts;
  }

  async #readKeys(
    layout: TableLayout,
    keys: readonly Row[],
    read: RequestedRead,
    save: Save,
    signal: AbortSignal,
  ): Promise<ReadCounts | null> {
    const { settings } = this.#options;
    const limit = this.#failures.limitOf(read);
    const lookUps = new KeyLookUps({ layout, limit, settings, isWanted: () => true });
    if (!(await save({ state: 'running' }))) return null;
    let { counts, confirmedKeys } = read;
    for (;;) {
      const page = keys.slice(confirmedKeys, confirmedKeys + lookUps.limit);
      if (page.length === 0) break;
      this.#options.onReadKeys?.(
        layout,
        page.map((key) => encodeKeyValues(layout, key)),
      );
      const found = await lookUps.lookUp(page, signal);
      if (found === null) return null;
      counts = addCounts(counts, found);
      confirmedKeys += page.length;
      this.#failures.clear(read);
      if (!(await save({ counts, confirmedKeys, error: null }))) return null;
    }
    this.#failures.forget(read);
    return counts;
  }

  /** A store that is away is waited for; one that has a newer owner ends this. */
  #persist<T>(action: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return retry(action, { backoff: new Backoff(this.#options.settings.backoff), signal });
  }
}

function isOfTables({ kind }: NextRead): boolean {
  return kind === 'table' || kind === 'source';
}

function isReadable(state: CopyState['state'] | undefined): boolean {
  return state !== undefined && state !== 'none' && state !== 'unavailable';
}

function addCounts(counts: ReadCounts, found: ReadCounts): ReadCounts {
  return {
    read: counts.read + found.read,
    emitted: (counts.emitted ?? 0) + (found.emitted ?? 0),
    gone: (counts.gone ?? 0) + (found.gone ?? 0),
  };
}

function decodeRows(layout: TableLayout, scope: SelectionScope): RowSelection {
  try {
    return decodeSelection(layout, scope);
  } catch (cause) {
    throw createReadRefusal(toDittoError(cause).message);
  }
}

function decodeKeys(layout: TableLayout, keys: readonly string[]): readonly Row[] {
  return keys.map((key) => {
    try {
      return rowOfKey(layout, decodeKeyValues(layout, key));
    } catch {
      throw refuse(layout, `${key} is not one of its keys`);
    }
  });
}

function refuse(table: TableName, why: string): DittoError {
  return createReadRefusal(`${formatTableName(table)} can not be read: ${why}`);
}

/** `problems`: each thing that is wrong, when there can be several. */
export function createReadRefusal(message: string, problems: readonly string[] = [message]): DittoError {
  return new DittoError('DITTO_READ_REFUSED', message, {
    remedy:
      'Ask for an included table that has a key, by its own keys and columns, and not for more at once than docs/errors.md says.',
    context: { problems },
  });
}
