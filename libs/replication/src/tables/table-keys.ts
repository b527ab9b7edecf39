import { describeKey, KEYLESS, tableKey, type TableLayout, type TableName } from '#change-events';
import { DittoError } from '#kernel';
import { type TableKey } from '../ports/stores.ts';

export interface TableKeyRecords {
  /** As the last owner of the source left them. */
  readonly known: readonly TableKey[];
  /** Resolves when it can't be forgotten any more. */
  readonly save: (key: TableKey) => Promise<void>;
  readonly forget: (table: TableName) => Promise<void>;
}

/**
 * By which columns the rows of each table have their keys in the sinks. It is durable, so a key that changed while nobody
 * read the log, by whatever statement or configuration, is found by comparing.
 */
export class TableKeys {
  readonly #records: Omit<TableKeyRecords, 'known'>;
  readonly #place: () => string;
  readonly #keys = new Map<string, TableKey>();

  /** `place`: a version that grows with the stream. */
  constructor({ known, ...records }: TableKeyRecords, place: () => string) {
    this.#records = records;
    this.#place = place;
    for (const key of known) this.#keys.set(tableKey(key), key);
  }

  /** As `describeKey` says it; undefined for a table that the sinks were never given a row of. */
  keyOf(table: TableName): string | undefined {
    return this.#keys.get(tableKey(table))?.key;
  }

  /**
   * What a layout that the stream has come to is: under the `known` key, under a `new` one where the sinks were given no
   * row yet, or under a `changed` one: what they have must end. Throws `DITTO_PIPELINE_KEY_LOST` for a table that
   * had a key at this place already; before it, in the log that is repeated after a crash, there may have been none yet.
   */
  judge(layout: TableLayout): 'known' | 'new' | 'changed' {
    const stored = this.#keys.get(tableKey(layout));
    if (stored === undefined) return 'new';
    const key = describeKey(layout);
    if (stored.key === key) return 'known';
    if (key === KEYLESS && this.#place() >= stored.since) throw keyLost(layout);
    return 'changed';
  }

  /** From here on rows are delivered under this key. `isSettled`: the sinks have no row under another any more. */
  async keep(layout: TableLayout, isSettled: boolean): Promise<void> {
    const { database, table } = layout;
    const key = { database, table, key: describeKey(layout), since: this.#place() };
    if (isSettled) await this.#records.save(key);
    this.#keys.set(tableKey(layout), key);
  }

  /** The table has ended: one that comes under its name is another. */
  async forget(table: TableName): Promise<void> {
    if (!this.#keys.has(tableKey(table))) return;
    await this.#records.forget(table);
    this.#keys.delete(tableKey(table));
  }
}

function keyLost({ database, table }: TableLayout): DittoError {
  return new DittoError('DITTO_PIPELINE_KEY_LOST', `${database}.${table} has lost its key`, {
    remedy:
      'Name unique not-null columns for it under `keys` in ditto.yaml, or exclude it, and restart DSS. Or give it a primary key again, or decide that it goes on without one, and resync the source (npm run ditto -- resync --source <name>).',
    context: { database, table },
  });
}
