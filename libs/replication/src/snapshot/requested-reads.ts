import { decodeKeyValues, formatTableName, type Row, rowOfKey, type TableLayout, type TableName } from '#change-events';
import { abortable, Backoff, DittoError, retry, sleep, toDittoError } from '#kernel';
import {
  type NextRead,
  type ReadCounts,
  type ReadProgress,
  type RequestedRead,
  type RequestedReadStore,
} from '../ports/requested-read-store.ts';
import { type Grant } from '../ports/stores.ts';
import { reading, TableFailures, TableReadError } from '../tables/table-failures.ts';
import { KeyLookUps } from '../windows/key-look-ups.ts';
import { type TableReadSettings } from '../windows/windowed-read.ts';
import { type WindowedSnapshot } from './windowed-snapshot.ts';

export interface RequestedReadsOptions {
  readonly grant: Grant;
  readonly store: RequestedReadStore;
  readonly snapshot: Pick<WindowedSnapshot, 'ask' | 'copyOf' | 'failureOf' | 'readingsOf' | 'waitUntilEnded'>;
  readonly settings: TableReadSettings;
  readonly dispatchedSet: () => string;
  readonly nowMs: () => number;
}

/** How often it is looked for reads that another process has accepted. */
const LOOK_MS = 2000;
/** Tables of which rows are looked up by key side by side. */
const MOST_AT_ONCE = 4;

/** Records how far a read is; false when it has ended meanwhile, for example cancelled. */
type Save = (changed: Partial<ReadProgress>) => Promise<boolean>;

/**
 * Executes the reads that were asked for, as long as this process owns the source. What is done is recorded under the
 * fencing token when every sink has confirmed it, so the next owner goes on after it: a key may be read twice, none is left
 * out. A whole table is left to the snapshot, whose records say how far it is.
 *
 * Of each table one read by keys is under way at a time. A table that can't be read rests and leaves its place to others.
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
    if (next.kind === 'table') return true;
    const underWay = [...this.#busy.values()].map(({ read }) => read).filter(({ kind }) => kind === 'keys');
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
    const layout = await reading(settings.reader.readLayout(read, signal, dispatchedSet()));
    if (layout === null) throw refuse(read, 'it is not there, or not included');
    if (layout.key.length === 0) throw refuse(read, 'it has no key');
    return read.scope.kind === 'table'
      ? this.#readTable(read, save, signal)
      : this.#readKeys(layout, decodeKeys(layout, read.scope.keys), read, save, signal);
  }

  /** Done when a reading is complete that began after the request: the next ones may be asked for without end. */
  async #readTable(read: RequestedRead, save: Save, signal: AbortSignal): Promise<ReadCounts | null> {
    const { snapshot } = this.#options;
    this.#failures.clear(read);
    const before = snapshot.readingsOf(read).begun;
    // asked for before it is recorded: a crash between the two asks again
    if (read.state === 'accepted') await this.#persist(() => snapshot.ask([read]), signal);
    if (!(await save({ state: 'running' }))) return null;
    let noted = read.error?.message ?? null;
    for (;;) {
      // before the state is looked at: an attempt may end while an error is recorded
      const ended = snapshot.waitUntilEnded();
      const copy = snapshot.copyOf(read);
      if (copy?.state === 'done') return { read: copy.rowsRead, emitted: null, gone: null };
      const { completed, rowsRead } = snapshot.readingsOf(read);
      if (completed > before) return { read: rowsRead, emitted: null, gone: null };
      if (copy === undefined || copy.state === 'none' || copy.state === 'unavailable')
        throw refuse(read, 'it can not be read any more');
      const { code, message = null } = snapshot.failureOf(read)?.error ?? {};
      if (message !== noted && !(await save({ error: code && message !== null ? { code, message } : null })))
        return null;
      noted = message;
      await abortable(ended, signal);
    }
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

function addCounts(
  counts: ReadCounts,
  found: { readonly read: number; readonly emitted: number; readonly gone: number },
): ReadCounts {
  return {
    read: counts.read + found.read,
    emitted: (counts.emitted ?? 0) + found.emitted,
    gone: (counts.gone ?? 0) + found.gone,
  };
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
      'Ask for an included table that has a key, by its own keys, and not for more at once than docs/errors.md says.',
    context: { problems },
  });
}
