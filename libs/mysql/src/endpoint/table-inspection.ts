import { tableKey, type TableLayout, type TableName } from '#change-events';
import { type CascadingKey } from '#replication';
import { readCatalogue, readCatalogueTables } from '../layout/catalogue-layout.ts';
import { type ColumnRules } from '../layout/column-choice.ts';
import { type MySqlSession } from '../mysql-session.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { readCascadingKeys } from './foreign-keys.ts';

export interface TableInspection {
  readonly database: string;
  readonly table: string;
  readonly engine: string;
  readonly hasKey: boolean;
  /** Null when `unsupported` or `needed` is not empty. */
  readonly layout: TableLayout | null;
  /** All columns that the user may see, the excluded ones too. */
  readonly columns: readonly string[];
  /** Those of them that are replicated. */
  readonly selected: readonly string[];
  /** Excluded columns without which the table has no key or no column. */
  readonly needed: readonly string[];
  /** Columns without a canonical form or in character sets that can't be decoded exactly, each with its reason. */
  readonly unsupported: readonly string[];
  /** Foreign keys of this table by which its rows change without row events on servers that cascade in the engine. */
  readonly cascades: readonly InspectedKey[];
}

export interface InspectedKey extends CascadingKey {
  readonly isParentIncluded: boolean;
  /** Whether rows of the table may go by it, or change their key. */
  readonly takesKeys: boolean;
}

/** What is to be known of a table whose rows foreign keys may change. */
export type CascadedTable = Pick<TableInspection, 'database' | 'table' | 'hasKey' | 'cascades'>;

/** Those of these tables with foreign keys by which their rows change. */
export async function inspectCascades(
  session: MySqlSession,
  tables: readonly TableName[],
  includes: (database: string, table: string) => boolean,
  rules: ColumnRules,
): Promise<readonly CascadedTable[]> {
  const cascading = await readCascadingKeys(session, tables);
  if (cascading.length === 0) return [];
  const describe = describeCascades(cascading, includes);
  return (await readCatalogueTables(session, cascading, { rules, facts: null })).map(describe);
}

/** The tables that exist among the included ones. */
export async function inspectTables(
  session: MySqlSession,
  includes: (database: string, table: string) => boolean,
  rules: ColumnRules,
  facts: CharacterSetFacts,
): Promise<readonly TableInspection[]> {
  const tables = await readCatalogue(session, includes, { rules, facts });
  const describe = describeCascades(await readCascadingKeys(session, tables), includes);
  return tables.map(({ database, table, engine, columns, selected, layout, unsupported, needed }) => ({
    ...describe({ database, table, layout }),
    layout,
    columns,
    selected,
    needed,
    engine,
    unsupported,
  }));
}

function describeCascades(
  cascading: readonly CascadingKey[],
  includes: (database: string, table: string) => boolean,
): (table: TableName & { readonly layout: TableLayout | null }) => CascadedTable {
  const byTable = Map.groupBy(cascading, tableKey);
  return ({ database, table, layout }) => {
    const cascades = (byTable.get(tableKey({ database, table })) ?? []).map((key) => ({
      ...key,
      isParentIncluded: includes(key.parent.database, key.parent.table),
      takesKeys: key.onDelete === 'cascade' || layout === null || isInKey(layout, key.columns),
    }));
    return { database, table, hasKey: layout === null || layout.key.length > 0, cascades };
  };
}

function isInKey({ columns, key }: TableLayout, names: readonly string[]): boolean {
  const lowered = new Set(names.map((name) => name.toLowerCase()));
  return key.some((index) => lowered.has(columns[index]?.name.toLowerCase() ?? ''));
}
