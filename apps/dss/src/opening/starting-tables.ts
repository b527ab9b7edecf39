import { collectionName, tableKey, type TableLayout, type TableName } from '#change-events';
import { assumeLayout } from '#replication';

export interface StartingTablesOptions {
  /** Layouts of the included tables that are there now. */
  readonly catalogue: readonly TableLayout[];
  /** Tables that have progress of a copy. */
  readonly copied: readonly TableName[];
  /** Tables that have a collection in the mirror. */
  readonly mirrored: readonly TableName[];
  readonly includes: (database: string, table: string) => boolean;
}

/**
 * The included tables as a stream that begins knows them: what the catalogue shows, and what the sinks hold in
 * addition. Of a table that is gone the log may still have the statement that ended it.
 */
export function findStartingTables(options: StartingTablesOptions): readonly TableLayout[] {
  const { catalogue, copied, includes } = options;
  const layouts = new Map(catalogue.map((layout) => [tableKey(layout), layout]));
  for (const table of [...copied, ...correctNames(options.mirrored, [...catalogue, ...copied])])
    if (includes(table.database, table.table) && !layouts.has(tableKey(table)))
      layouts.set(tableKey(table), assumeLayout(table.database, table.table));
  return [...layouts.values()];
}

/**
 * Mirrored tables under their own names, where they are among `known`: a collection `d.a_x002Eb` belongs to `a.b`, or
 * to a table that is called so.
 */
export function correctNames(mirrored: readonly TableName[], known: readonly TableName[]): readonly TableName[] {
  if (mirrored.length === 0) return [];
  const collectionOf = ({ database, table }: TableName): string => collectionName(database, table);
  const owners = new Map(known.map((table) => [collectionOf(table), table]));
  return mirrored.map((table) => owners.get(collectionOf(table)) ?? table);
}
