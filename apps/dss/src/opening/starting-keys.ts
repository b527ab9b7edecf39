import { describeKey, tableKey, type TableLayout } from '#change-events';
import { assumeLayout, type Grant, type KeyStore, type TableKey, type TableRecord } from '#replication';

export interface StartingKeysOptions {
  readonly grant: Grant;
  readonly store: KeyStore;
  readonly copied: readonly TableRecord[];
  /** Layouts of the included tables that are there now. */
  readonly catalogue: readonly TableLayout[];
}

/**
 * The keys that the rows in the sinks have. A table that was copied before keys were kept is taken to have the one that
 * the catalogue shows now; where it shows none, the key of the rows that were copied is lost, whatever it was.
 */
export async function findStartingKeys(options: StartingKeysOptions): Promise<readonly TableKey[]> {
  const { grant, store, copied, catalogue } = options;
  const stored = await store.load(grant.source);
  const known = new Set(stored.map(tableKey));
  const rowsCopied = new Map(
    copied.flatMap(({ copy, ...table }) => ('rowsRead' in copy ? [[tableKey(table), copy.rowsRead]] : [])),
  );
  // later on, a table without a key and without a record has come in place of one that was dropped
  const isFirstRecord = stored.length === 0;
  const missing: TableKey[] = [];
  for (const layout of catalogue) {
    const { database, table, key } = layout;
    const rows = rowsCopied.get(tableKey(layout));
    if (rows === undefined || known.has(tableKey(layout))) continue;
    if (key.length > 0) missing.push({ database, table, key: describeKey(layout), since: '' });
    else if (isFirstRecord && rows > 0)
      missing.push({ database, table, key: describeKey(assumeLayout(database, table)), since: '' });
  }
  if (missing.length > 0) await store.save(grant, missing);
  return [...stored, ...missing];
}
