import {
  describeKey,
  READ_ROW_INDEX,
  tableKey,
  type TableChange,
  type TableLayout,
  type TableName,
  type TransactionInfo,
} from '#change-events';
import { type Logger } from '#kernel';
import { type KnownTables } from '../tables/known-tables.ts';
import { assumeLayout } from '../statements/statement-effects.ts';
import { type StreamPauses } from './stream-pauses.ts';
import { type TableEndings } from '../tables/table-endings.ts';
import { type TableKeys } from '../tables/table-keys.ts';
import { type WindowRegistry } from '../windows/window-registry.ts';

export interface KeyChangesOptions {
  readonly source: string;
  readonly lineage: number;
  readonly keys: TableKeys;
  readonly tables: KnownTables;
  readonly windows: WindowRegistry;
  readonly endings: TableEndings;
  readonly pauses: StreamPauses;
  /** Whether what the last owner dispatched may still come again. */
  readonly isReplaying: () => boolean;
  /** The newest complete transaction. */
  readonly lastEnded: () => TransactionInfo;
  /** Above the numbers of all reads until now; resolves when it is this owner's for good. */
  readonly nextReadSequence: () => Promise<number>;
  /** Runs the action until it works; what is down is waited for. */
  readonly hold: (action: () => Promise<void>) => Promise<void>;
  readonly onTableUnread: (table: TableName, losesRows: boolean) => Promise<void>;
  readonly logger: Logger;
}

/**
 * Ends the rows that the sinks have under a key that is not their table's any more, and has the table read again, where
 * the stream comes to the first layout with the new one: in a row of the log, or in a read (I4).
 */
export class KeyChanges {
  readonly #options: KeyChangesOptions;
  readonly #unsettled = new Map<string, TableLayout>();

  constructor(options: KeyChangesOptions) {
    this.#options = options;
  }

  /** A layout that the stream has come to, before its first row; the stream waits. */
  async meet(layout: TableLayout): Promise<void> {
    if (this.#options.keys.judge(layout) === 'changed') await this.#restart(layout);
  }

  /**
   * Call at each transaction end. Where the log is repeated after a crash, the sinks may have rows that are newer than
   * this place: what ended there ends again after all that was repeated, and only then the new key is kept.
   */
  settle(): Promise<void> | undefined {
    const { pauses, isReplaying } = this.#options;
    if (this.#unsettled.size === 0 || isReplaying()) return undefined;
    return pauses.run(() => this.#settleNow());
  }

  async #settleNow(): Promise<void> {
    const layouts = [...this.#unsettled.values()];
    this.#unsettled.clear();
    for (const layout of layouts)
      if (this.#options.keys.keyOf(layout) === describeKey(layout)) await this.#restart(layout);
  }

  async #restart(layout: TableLayout): Promise<void> {
    const { keys, windows, endings, hold, onTableUnread, isReplaying, logger } = this.#options;
    const { database, table } = layout;
    const isSettled = !isReplaying();
    logger.info('a table has another key than its rows in the sinks: they end, and it is read again', {
      database,
      table,
      before: keys.keyOf(layout),
    });
    windows.discard(database, table, 'the key of the table has changed');
    await endings.end([await this.#endingOf('truncate', layout)]);
    await hold(() => onTableUnread({ database, table }, false));
    await hold(() => keys.keep(layout, isSettled));
    if (isSettled) this.#unsettled.delete(tableKey(layout));
    else this.#unsettled.set(tableKey(layout), layout);
  }

  /** As `meet`, for the layout of a read, whose rows lie where the stream is now. */
  async meetInRead(layout: TableLayout): Promise<void> {
    const { keys, pauses } = this.#options;
    if (keys.judge(layout) === 'changed') await pauses.run(() => this.meet(layout));
  }

  /** The table is gone, and no statement that could be read has said so. */
  endTable(table: TableName): Promise<void> {
    const { tables, windows, endings, pauses } = this.#options;
    return pauses.run(async () => {
      const layout = tables.layoutOf(table.database, table.table) ?? assumeLayout(table.database, table.table);
      windows.discard(table.database, table.table, 'the table is gone');
      await endings.end([await this.#endingOf('drop', layout)]);
    });
  }

  /** Its version is above all that the sinks were given until now, and below the transaction that may be open. */
  async #endingOf(op: TableChange['op'], layout: TableLayout): Promise<TableChange> {
    const { source, lineage, lastEnded, nextReadSequence } = this.#options;
    const readSequence = await nextReadSequence();
    const id = `${source}/${lineage}/${readSequence}/end`;
    return { op, layout, transaction: lastEnded(), rowIndex: READ_ROW_INDEX, readSequence, id };
  }
}
