import { findReselectedTables, type TableLayout } from '#change-events';
import { type Logger } from '#kernel';
import { type ColumnStore, type Grant } from '#replication';

export interface ColumnAdoptionOptions {
  readonly grant: Grant;
  readonly store: ColumnStore;
  /** The patterns of the configuration. */
  readonly excludeColumns: readonly string[];
  /** Layouts of the included tables that exist now. */
  readonly tables: readonly TableLayout[];
  /** Whether the source was replicated before. */
  readonly isKnown: () => Promise<boolean>;
  readonly logger: Logger;
}

/**
 * Makes the configured patterns those that the sinks go by. Rows that were delivered under others lack columns, or have
 * too many: the tables that a new or a former pattern names are read again, which is recorded together with the patterns.
 */
export async function adoptColumns(options: ColumnAdoptionOptions): Promise<void> {
  const { grant, store, tables, isKnown, logger } = options;
  const patterns = [...new Set(options.excludeColumns.map((pattern) => pattern.trim()))].sort();
  const stored = await store.excludedBy(grant.source);
  if (stored !== null && stored.join('\0') === patterns.join('\0')) return;
  // a source that was replicated before there were such patterns had all columns
  const isFirst = stored === null && !(await isKnown());
  const keyed = tables.filter(({ key }) => key.length > 0);
  const reselected = isFirst ? [] : findReselectedTables(stored ?? [], patterns, keyed);
  await store.adopt(grant, patterns, reselected);
  if (reselected.length === 0) return;
  logger.info('other columns are excluded than before: tables are read again', {
    source: grant.source,
    before: stored ?? [],
    now: patterns,
    tables: reselected.map(({ database, table }) => `${database}.${table}`),
  });
}
