import { describeKey, tableKey, type TableLayout } from '#change-events';
import { type Grant, type KeyStore, type TableKey, type TableSnapshotProgress } from '#replication';

export interface StartingKeysOptions {
  readonly grant: Grant;
  readonly store: KeyStore;
  readonly copied: readonly TableSnapshotProgress[];
  /** Layouts of the included tables that are there now. */
  readonly catalogue: readonly TableLayout[];
}

/**
 * The keys that the rows in the sinks have. A table that was copied before keys were kept is taken to have the one that
 * the catalogue shows now.
 */
export async function findStartingKeys(options: StartingKeysOptions): Promise<readonly TableKey[]> {
  const { grant, store, catalogue } = options;
  const stored = await store.load(grant.source);
  const known = new Set(stored.map(tableKey));
  const copied = new Set(options.copied.filter(({ state }) => state === 'done' || state === 'running').map(tableKey));
  const missing = catalogue
    .filter((layout) => layout.key.length > 0 && copied.has(tableKey(layout)) && !known.has(tableKey(layout)))
    .map((layout) => ({ database: layout.database, table: layout.table, key: describeKey(layout), since: '' }));
  if (missing.length > 0) await store.save(grant, missing);
  return [...stored, ...missing];
}
