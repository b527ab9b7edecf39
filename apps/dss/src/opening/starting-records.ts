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
 * catalogue shows now; where it shows none, the key of the rows that were copied is lost, whatever it was.
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
  if (adopted !== null || layout === undefined || !('rowsRead' in copy)) return record;
  const hasKey = layout.key.length > 0;
  if (!hasKey && (!isFirst || copy.rowsRead === 0)) return record;
  return adopt(record, {
    key: describeKey(hasKey ? layout : assumeLayout(database, table)),
    since: '',
    layout: null,
  });
}
