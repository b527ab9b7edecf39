import { decodeKeyValues, formatTableName, type Row, rowOfKey, type TableLayout, type TableName } from '#change-events';
import { abortable, Backoff, DittoError, retry, sleep, toDittoError } from '#kernel';
import {
  type ReadCounts,
  type ReadProgress,
  type RequestedRead,
  type RequestedReadStore,
} from '../ports/requested-read-store.ts';
import { type Grant } from '../ports/stores.ts';
import { reading, TableReadError } from '../tables/table-failures.ts';
import { KeyLookUps } from '../windows/key-look-ups.ts';
import { type TableReadSettings } from '../windows/windowed-read.ts';
import { type WindowedSnapshot } from './windowed-snapshot.ts';

export interface RequestedReadsOptions {
  readonly grant: Grant;
  readonly store: RequestedReadStore;
  readonly snapshot: Pick<WindowedSnapshot, 'ask' | 'copyOf' | 'waitUntilEnded'>;
  readonly settings: TableReadSettings;
  readonly dispatchedSet: () => string;
}

/** How often it is looked for reads that another process has accepted. */
const LOOK_MS = 2000;
/** Reads that are executed side by side. */
const MOST_AT_ONCE = 4;

/**
 * Executes the reads that were asked for, as long as this process owns the source. What is done is recorded under the
 * fencing token when every sink has confirmed it, so the next owner goes on after it: a key may be read twice, none is left
 * out. A whole table is left to the snapshot, whose records say how far it is.
 */
export class RequestedReads {
  readonly #options: RequestedReadsOptions;
  readonly #busy = new Map<string, Promise<void>>();
  #wake: () => void = () => undefined;

  constructor(options: RequestedReadsOptions) {
    this.#options = options;
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
        const open = await this.#persist(() => store.listOpen(grant.source, MOST_AT_ONCE), stop);
        for (const read of open) if (!this.#busy.has(read.id)) this.#start(read, stop, (cause) => failed.abort(cause));
        await Promise.race([sleep(LOOK_MS, stop), woken]);
      }
    } finally {
      await Promise.allSettled(this.#busy.values());
    }
  }

  #start(read: RequestedRead, stop: AbortSignal, onFatal: (cause: unknown) => void): void {
    const work = this.#execute(read, stop)
      .catch(onFatal)
      .finally(() => {
        this.#busy.delete(read.id);
        this.#wake();
      });
    this.#busy.set(read.id, work);
  }

  async #execute(read: RequestedRead, signal: AbortSignal): Promise<void> {
    const { id, source, database, table, scope, reason, actor } = read;
    const { logger, backoff } = this.#options.settings;
    logger.info('reading what was asked for', { id, source, database, table, kind: scope.kind, reason, actor });
    const pause = new Backoff(backoff);
    let progress: ReadProgress = read;
    const save = async (changed: Partial<ReadProgress>): Promise<boolean> => {
      progress = { ...progress, ...changed };
      return this.#persist(() => this.#options.store.save(this.#options.grant, id, progress), signal);
    };
    for (;;)
      try {
        const counts = await this.#read(read, () => progress, save, signal);
        if (counts !== null) await save({ state: 'done', counts });
        return;
      } catch (cause) {
        signal.throwIfAborted();
        const error = failureOf(cause);
        if (error === null) throw cause;
        const { code, message, retriable } = error;
        if (!retriable) {
          await save({ state: 'failed', error: { code, message } });
          return;
        }
        logger.warn('a read that was asked for has to wait', { id, code, error: message });
        await sleep(pause.nextMs(), signal);
      }
  }

  /** Null when it was cancelled. */
  async #read(
    read: RequestedRead,
    progress: () => ReadProgress,
    save: (changed: Partial<ReadProgress>) => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<ReadCounts | null> {
    const { settings, dispatchedSet } = this.#options;
    const layout = await reading(settings.reader.readLayout(read, signal, dispatchedSet()));
    if (layout === null) throw refuse(read, 'it is not there, or not included');
    if (layout.key.length === 0) throw refuse(read, 'it has no key');
    return read.scope.kind === 'table'
      ? this.#readTable(read, progress, save, signal)
      : this.#readKeys(layout, decodeKeys(layout, read.scope.keys), progress, save, signal);
  }

  async #readTable(
    read: RequestedRead,
    progress: () => ReadProgress,
    save: (changed: Partial<ReadProgress>) => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<ReadCounts | null> {
    const { snapshot } = this.#options;
    // asked for before it is recorded: a crash between the two asks again
    if (progress().state === 'accepted') await this.#persist(() => snapshot.ask([read]), signal);
    for (;;) {
      if (!(await save({ state: 'running' }))) return null;
      const copy = snapshot.copyOf(read);
      if (copy?.state === 'done') return { read: copy.rowsRead, emitted: null, gone: null };
      if (copy === undefined || copy.state === 'none' || copy.state === 'unavailable')
        throw refuse(read, 'it can not be read any more');
      await abortable(snapshot.waitUntilEnded(), signal);
    }
  }

  async #readKeys(
    layout: TableLayout,
    keys: readonly Row[],
    progress: () => ReadProgress,
    save: (changed: Partial<ReadProgress>) => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<ReadCounts | null> {
    const { settings } = this.#options;
    const lookUps = new KeyLookUps({ layout, limit: null, settings, isWanted: () => true });
    if (!(await save({ state: 'running' }))) return null;
    for (;;) {
      const { counts, confirmedKeys } = progress();
      const page = keys.slice(confirmedKeys, confirmedKeys + lookUps.limit);
      if (page.length === 0) return counts;
      const found = await lookUps.lookUp(page, signal);
      if (found === null) return null;
      const isOpen = await save({ counts: addCounts(counts, found), confirmedKeys: confirmedKeys + page.length });
      if (!isOpen) return null;
    }
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

/** What is wrong with the read itself; null for what ends the ownership. */
function failureOf(cause: unknown): DittoError | null {
  if (cause instanceof TableReadError) return toDittoError(cause.cause);
  const error = toDittoError(cause);
  return error.code === 'DITTO_READ_REFUSED' ? error : null;
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

export function createReadRefusal(message: string): DittoError {
  return new DittoError('DITTO_READ_REFUSED', message, {
    remedy:
      'Ask for an included table that has a key, by its own keys, and not for more at once than docs/errors.md says.',
  });
}
