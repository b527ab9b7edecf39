import { describeKey, KEYLESS, tableKey, type TableLayout, type TableName } from '#change-events';
import { DittoError, RESYNC } from '#kernel';
import { type AdoptedLayout } from '../ports/stores.ts';
import { adopt, newRecord } from './table-record.ts';
import { type TableRecords } from './table-records.ts';

/**
 * By which columns the rows of each table have their keys in the sinks, and by which layout they are made. It is durable, so a
 * key that changed while nobody read the log, by whatever statement or configuration, is found by comparing.
 */
export class TableKeys {
  readonly #records: TableRecords;
  readonly #place: () => string;
  /** Keys of which it is not settled yet that the sinks have no row under another: a crash forgets them. */
  readonly #unsettled = new Map<string, AdoptedLayout>();

  /** `place`: a version that grows with the stream. */
  constructor(records: TableRecords, place: () => string) {
    this.#records = records;
    this.#place = place;
  }

  /** As `describeKey` says it; undefined for a table that the sinks were never given a row of. */
  keyOf(table: TableName): string | undefined {
    return this.#adoptedOf(table)?.key;
  }

  /**
   * What a layout that the stream has come to is: under the `known` key, under a `new` one where the sinks were given no
   * row yet, or under a `changed` one: what they have must end. Throws `DITTO_PIPELINE_KEY_LOST` for a table that
   * had a key at this place already; before it, in the log that is repeated after a crash, there may have been none yet.
   */
  judge(layout: TableLayout): 'known' | 'new' | 'changed' {
    const adopted = this.#adoptedOf(layout);
    if (adopted === null) return 'new';
    const key = describeKey(layout);
    if (adopted.key === key) return 'known';
    if (key === KEYLESS && this.#place() >= adopted.since) throw keyLost(layout);
    return 'changed';
  }

  /** From here on rows are delivered under the key of this layout. `isSettled`: the sinks have no row under another. */
  async keep(layout: TableLayout, isSettled: boolean): Promise<void> {
    const adopted = { key: describeKey(layout), since: this.#place(), layout: { ...layout } };
    if (isSettled) await this.#adopt(layout, adopted);
    else this.#unsettled.set(tableKey(layout), adopted);
  }

  /** From here on rows are made by this layout, under the key that they have. */
  async learn(layout: TableLayout): Promise<void> {
    const adopted = this.#records.get(layout)?.adopted ?? null;
    if (this.#unsettled.has(tableKey(layout)) || adopted === null) return;
    if (adopted.layout?.fingerprint === layout.fingerprint) await this.#records.save([layout]);
    else await this.#adopt(layout, { ...adopted, layout: { ...layout } });
  }

  /** The table has ended: one that comes under its name is another. */
  async forget(table: TableName): Promise<void> {
    if (this.#adoptedOf(table) === null) await this.#records.save([table]);
    else await this.#adopt(table, null);
  }

  async #adopt(table: TableName, adopted: AdoptedLayout | null): Promise<void> {
    this.#unsettled.delete(tableKey(table));
    this.#records.set(adopt(this.#records.get(table) ?? newRecord(table), adopted));
    await this.#records.save([table]);
  }

  #adoptedOf(table: TableName): AdoptedLayout | null {
    return this.#unsettled.get(tableKey(table)) ?? this.#records.get(table)?.adopted ?? null;
  }
}

function keyLost({ database, table }: TableLayout): DittoError {
  return new DittoError('DITTO_PIPELINE_KEY_LOST', `${database}.${table} has lost its key`, {
    remedy: `Name unique not-null columns for it under \`keys\` in ditto.yaml, or exclude it, and restart DSS. Or give it a primary key again, or decide that it goes on without one, and ${RESYNC}.`,
    context: { database, table },
  });
}
