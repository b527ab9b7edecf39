import { type RowChanges, tableKey, type TableLayout } from '#change-events';
import { toDittoError, type Logger } from '#kernel';
import { type PendingChanges } from './acknowledgement-tracker.ts';
import { type KnownTables } from '../tables/known-tables.ts';
import { type Acknowledgement, type ChangeSink } from '../ports/change-sink.ts';
import { type TableKeys } from '../tables/table-keys.ts';
import { acceptDecodable, type UndecodableChange } from './undecodable-changes.ts';

export interface SinkGroupOptions {
  readonly sinks: readonly ChangeSink[];
  readonly tables: KnownTables;
  readonly keys: TableKeys;
  readonly logger: Logger;
  /** Runs the action until it works; what is down is waited for. */
  readonly hold: (action: () => Promise<void>) => Promise<void>;
}

/** The sinks of one pipeline: each change goes to all of them. */
export class SinkGroup {
  readonly #options: SinkGroupOptions;
  readonly #sinks: readonly ChangeSink[];
  /** The last preparation of each table, until it has ended. */
  readonly #preparing = new Map<string, Promise<void>>();

  constructor(options: SinkGroupOptions) {
    this.#options = options;
    this.#sinks = options.sinks;
  }

  get bytesInFlight(): number {
    let bytes = 0;
    for (const sink of this.#sinks) bytes += sink.bytesInFlight;
    return bytes;
  }

  /**
   * `bySink`: what each sink acknowledges to, by its index; `pending` itself where there is none. Gives what no sink could
   * be given; null: nothing.
   */
  accept(
    changes: RowChanges,
    pending: PendingChanges,
    bySink: readonly Acknowledgement[],
  ): readonly UndecodableChange[] | null {
    let undecodable: readonly UndecodableChange[] | null = null;
    for (let index = 0; index < this.#sinks.length; index++) {
      pending.expect(changes.count);
      const sink = this.#sinks[index] as ChangeSink;
      const acknowledgement = bySink[index] ?? pending;
      try {
        sink.accept(changes, acknowledgement);
      } catch (cause) {
        undecodable = [...(undecodable ?? []), ...acceptDecodable(sink, changes, acknowledgement, cause)];
      }
    }
    return undecodable;
  }

  flush(): void {
    for (const sink of this.#sinks) sink.flush();
  }

  /**
   * Of each table one layout at a time: the stream and a read may both be the first to see it. Nothing is prepared for a
   * layout with another key than the rows that the sinks have.
   */
  async prepare(layout: TableLayout): Promise<void> {
    const { tables } = this.#options;
    const key = tableKey(layout);
    const before = this.#preparing.get(key) ?? Promise.resolve();
    const turn = before.then(() => (tables.isPrepared(layout) ? undefined : this.#prepareNow(layout)));
    const ended = turn.catch(() => undefined);
    this.#preparing.set(key, ended);
    try {
      await turn;
    } finally {
      if (this.#preparing.get(key) === ended) this.#preparing.delete(key);
    }
  }

  async drain(signal: AbortSignal): Promise<void> {
    for (const sink of this.#sinks) await sink.drain(signal);
  }

  async close(): Promise<void> {
    for (const sink of this.#sinks)
      try {
        await sink.close();
      } catch (cause) {
        const { code, message } = toDittoError(cause);
        this.#options.logger.warn('a sink did not close in order', { sink: sink.name, code, error: message });
      }
  }

  async #prepareNow(layout: TableLayout): Promise<void> {
    const { tables, keys, hold } = this.#options;
    const judged = keys.judge(layout);
    if (judged === 'changed') return;
    // before the first row is delivered: the owner after a crash must know what key it has
    await hold(() => (judged === 'new' ? keys.keep(layout, true) : keys.learn(layout)));
    tables.learn(layout);
    for (const sink of this.#sinks) await hold(() => sink.prepareTable(layout));
    tables.markPrepared(layout);
  }
}
