import { type RowDataPacket } from 'mysql2';
import { tableKey, type TableLayout } from '#change-events';
import { type CascadingKey } from '#replication';
import { readCatalogue } from '../layout/catalogue-layout.ts';
import { type ColumnRules } from '../layout/column-choice.ts';
import { type MySqlSession } from '../mysql-session.ts';
import { textDecoder, type CharacterSetFacts } from '../values/charset.ts';
import { readCascadingKeys } from './foreign-keys.ts';

export interface TableInspection {
  readonly database: string;
  readonly table: string;
  readonly engine: string;
  readonly hasKey: boolean;
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

interface EngineRow extends RowDataPacket {
  readonly db: string;
  readonly tbl: string;
  readonly engine: string | null;
}

/** What is to be known of a table whose rows foreign keys may change. */
export type CascadedTable = Pick<TableInspection, 'database' | 'table' | 'hasKey' | 'cascades'>;

/** The included tables with foreign keys by which their rows change. */
export async function inspectCascades(
  session: MySqlSession,
  includes: (database: string, table: string) => boolean,
  rules: ColumnRules,
): Promise<readonly CascadedTable[]> {
  const cascading = await readCascadingKeys(session, ({ database, table }) => includes(database, table));
  if (cascading.length === 0) return [];
  const tables = await readCatalogue(session, includes, rules);
  return tables
    .map((table) => describeCascades(table, cascading, includes))
    .filter(({ cascades }) => cascades.length > 0);
}

/** The tables that exist among the included ones. */
export async function inspectTables(
  session: MySqlSession,
  includes: (database: string, table: string) => boolean,
  rules: ColumnRules,
  facts: CharacterSetFacts,
): Promise<readonly TableInspection[]> {
  const tables = await readCatalogue(session, includes, rules);
  const engines = await session.query<EngineRow>(
    "SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tbl, ENGINE AS engine FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')",
  );
  const cascades = await readCascadingKeys(session, ({ database, table }) => includes(database, table));
  const engineOf = new Map(
    engines.map(({ db, tbl, engine }) => [tableKey({ database: db, table: tbl }), engine ?? '']),
  );
  return tables.map(({ database, table, columns, selected, layout, unsupported, needed }) => ({
    ...describeCascades({ database, table, layout }, cascades, includes),
    columns,
    selected,
    needed,
    engine: engineOf.get(tableKey({ database, table })) ?? '',
    unsupported: [
      ...unsupported,
      ...(layout?.columns ?? []).flatMap(({ name, kind, charset }) =>
        (kind === 'text' || kind === 'enum' || kind === 'set') && !canDecode(charset, facts)
          ? [`${name} (CHARACTER SET ${charset ?? '?'})`]
          : [],
      ),
    ],
  }));
}

function describeCascades(
  { database, table, layout }: { database: string; table: string; layout: TableLayout | null },
  cascading: readonly CascadingKey[],
  includes: (database: string, table: string) => boolean,
): CascadedTable {
  const own = cascading.filter((key) => key.database === database && key.table === table);
  const cascades = own.map((key) => ({
    ...key,
    isParentIncluded: includes(key.parent.database, key.parent.table),
    takesKeys: key.onDelete === 'cascade' || layout === null || isInKey(layout, key.columns),
  }));
  return { database, table, hasKey: layout === null || layout.key.length > 0, cascades };
}

function isInKey({ columns, key }: TableLayout, names: readonly string[]): boolean {
  const lowered = new Set(names.map((name) => name.toLowerCase()));
  return key.some((index) => lowered.has(columns[index]?.name.toLowerCase() ?? ''));
}

function canDecode(charset: string | null, facts: CharacterSetFacts): boolean {
  return charset === null || charset === 'binary' || textDecoder(charset, facts, false) !== null;
}
