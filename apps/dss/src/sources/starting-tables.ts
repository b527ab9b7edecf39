import { tableKey, type TableLayout, type TableName } from '#change-events';
import { assumeLayout } from '#replication';

export interface StartingTablesOptions {
  /** Layouts of the included tables that are there now. */
  readonly catalogue: readonly TableLayout[];
  /** Tables that have progress of a copy. */
  readonly copied: readonly TableName[];
  /** Tables that have a collection in the mirror. */
  readonly mirrored: readonly TableName[];
  readonly hasMirroredRows: (table: TableName) => Promise<boolean>;
  readonly includes: (database: string, table: string) => boolean;
}

/** The included tables as a stream that begins knows them. */
export interface StartingTables {
  readonly tables: readonly TableLayout[];
  /** Tables that the mirror has rows of while the catalogue shows no key for them, or no table. */
  readonly keyedTables: readonly TableName[];
}

/**
 * What the catalogue shows, beside what the sinks hold. Of a table that is gone the log may still have the statement that
 * ended it; one that goes on without the key that its rows in the mirror have is to stop the source, not to be left out.
 */
export async function findStartingTables(options: StartingTablesOptions): Promise<StartingTables> {
  const { catalogue, copied, hasMirroredRows, includes } = options;
  const mirrored = options.mirrored.filter(({ database, table }) => includes(database, table));
  const layouts = new Map(catalogue.map((layout) => [tableKey(layout), layout]));
  const keyedTables: TableName[] = [];
  for (const table of mirrored) {
    const key = layouts.get(tableKey(table))?.key ?? [];
    if (key.length === 0 && (await hasMirroredRows(table))) keyedTables.push(table);
  }
  for (const table of keyedTables) layouts.set(tableKey(table), assumeLayout(table.database, table.table));
  for (const table of [...copied, ...mirrored])
    if (includes(table.database, table.table) && !layouts.has(tableKey(table)))
      layouts.set(tableKey(table), assumeLayout(table.database, table.table));
  return { tables: [...layouts.values()], keyedTables };
}
