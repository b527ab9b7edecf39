import { everyColumn, parseTableName, tableKey, type ColumnSelection } from '#change-events';
import { type CheckFinding, DittoError, findError } from '#kernel';

/**
 * Key columns that the configuration names: `database.table`, names with a point in backquotes, → column names. They
 * serve instead of MySQL's own.
 */
export type KeyOverrides = Readonly<Record<string, readonly string[]>>;

/** What the configuration says about the columns of tables; snapshot and stream must go by the same. */
export interface ColumnRules {
  /** By `tableKey`. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  /** Which columns are replicated. */
  readonly columns: ColumnSelection;
}

/** The parts of the configuration that they are made of; all columns and no keys of its own by default. */
export interface ColumnRuleOptions {
  readonly keys?: KeyOverrides | undefined;
  readonly columns?: ColumnSelection | undefined;
}

export function columnRules({ keys = {}, columns = everyColumn }: ColumnRuleOptions): ColumnRules {
  const named = Object.entries(keys).flatMap(([name, key]) => {
    const table = parseTableName(name);
    return table === null ? [] : [[tableKey(table), key] as const];
  });
  return { keys: new Map(named), columns };
}

/** Which columns of a table its layout has. */
export interface ColumnChoice {
  /** By column of the table: its index in the layout, -1 where it is excluded. */
  readonly places: readonly number[];
  /** Columns of the key in key order, as indexes of the table's columns. */
  readonly key: readonly number[];
  /** Names of the excluded columns without which the table has no key or no column; with any there is no layout. */
  readonly needed: readonly string[];
}

export function chooseColumns(
  rules: ColumnRules,
  { database, table }: { readonly database: string; readonly table: string },
  names: readonly string[],
  primaryKey: readonly number[],
): ColumnChoice {
  const key = resolveKey(rules.keys.get(tableKey({ database, table })), names, primaryKey);
  let count = 0;
  const places = names.map((name) => (rules.columns(database, table, name) ? count++ : -1));
  const needed = count === 0 ? names : key.flatMap((index) => (places[index] === -1 ? [names[index] ?? ''] : []));
  return { places, key, needed: [...new Set(needed)] };
}

/** The key's columns as indexes of the layout. Only without `needed` columns. */
export function keyPlaces({ places, key }: ColumnChoice): readonly number[] {
  return key.map((index) => places[index] ?? -1);
}

/**
 * Indexes of the configured key columns, or the primary key's. Names that the table lacks make it keyless. The
 * configuration comes first because in the log a primary key looks like a unique key that serves as one.
 */
function resolveKey(
  names: readonly string[] | undefined,
  columnNames: readonly string[],
  primaryKey: readonly number[],
): readonly number[] {
  if (names === undefined) return primaryKey;
  const indexes = names.map((name) => columnNames.indexOf(name));
  return indexes.includes(-1) ? [] : indexes;
}

/** What is wrong with a selection that leaves out these columns, each as `database.table.column`. */
export function neededColumnsProblem(columns: readonly string[]): CheckFinding {
  return findError(
    'DITTO_SOURCE_COLUMN_NEEDED',
    `excluded columns are part of a key, or all that a table has: ${columns.join(', ')}`,
    'Narrow the patterns under `excludeColumns` in ditto.yaml so that none of them matches these columns, name other unique not-null columns under `keys`, or exclude the table.',
  );
}

export function neededColumnsError(columns: readonly string[]): DittoError {
  const { code, message, remedy } = neededColumnsProblem(columns);
  return new DittoError(code, message, { remedy, context: { columns } });
}
