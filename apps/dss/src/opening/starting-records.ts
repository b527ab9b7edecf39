import { describeKey, tableKey, type TableLayout } from '#change-events';
import { adopt, assumeLayout, type Grant, leaveOut, type TableRecord, type TableStore } from '#replication';

export interface StartingRecordsOptions {
  readonly grant: Grant;
  readonly store: Pick<TableStore, 'load' | 'save'>;
  /** Layouts of the included tables that are there now. */
  readonly catalogue: readonly TableLayout[];
  readonly includes: (database: string, table: string) => boolean;
}

/**
 * The records of the source's tables as an owner begins with them. A table that is not included any more counts as not
 * copied: its changes pass unseen from here on. One that was copied before keys were kept is taken to have the key that the
 * catalogue shows now; where it shows none, the key of the rows that were copied is lost, whatever it was. One that was
 * copied before layouts were kept has the layout of the catalogue if its key is still the same: a statement that is not
 * read yet and changes more than that has the table read again, under another generation.
 */
export async function findStartingRecords(options: StartingRecordsOptions): Promise<readonly TableRecord[]> {
  const { grant, store, catalogue, includes } = options;
  const stored = await store.load(grant.source);
  const layouts = new Map(catalogue.map((layout) => [tableKey(layout), layout]));
  // later on, a table without a key and without an adopted one has come in place of one that was dropped
  const isFirst = stored.every(({ adopted }) => adopted === null);
  const records = stored.map((record) =>
    includes(record.database, record.table)
      ? withKey(record, layouts.get(tableKey(record)), isFirst)
      : record.copy.state === 'none'
        ? record
        : leaveOut(record),
  );
  const changed = records.filter((record, index) => record !== stored[index]);
  if (changed.length > 0) await store.save(grant, changed);
  return records;
}

function withKey(record: TableRecord, layout: TableLayout | undefined, isFirst: boolean): TableRecord {
  const { database, table, copy, adopted } = record;
  if (layout === undefined) return record;
  const key = describeKey(layout);
  if (adopted !== null) {
    const lacksLayout = adopted.layout === null && adopted.key === key;
    return lacksLayout ? adopt(record, { ...adopted, layout: { ...layout } }) : record;
  }
  if (!('rowsRead' in copy)) return record;
  if (layout.key.length > 0) return adopt(record, { key, since: '', layout: { ...layout } });
  if (!isFirst || copy.rowsRead === 0) return record;
  return adopt(record, { key: describeKey(assumeLayout(database, table)), since: '', layout: null });
}
