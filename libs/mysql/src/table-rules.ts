import {
  type ColumnSelection,
  compileColumnSelection,
  compileDatabaseSelection,
  compileTableSelection,
  GtidSet,
} from '#change-events';
import { type KeyOverrides } from './layout/column-choice.ts';

/** What the configuration says of the tables of a source. All that reads its servers goes by the same. */
export interface TableRules {
  readonly includes: (database: string, table: string) => boolean;
  /** Whether a table of the database may be included. */
  readonly reaches: (database: string) => boolean;
  readonly keys: KeyOverrides;
  /** Which columns are replicated. */
  readonly columns: ColumnSelection;
  /** Transactions that nothing waits for: the operator answers for them. */
  readonly acceptGtids: GtidSet;
}

/** The options of a source that they are made of. */
export interface TableRuleOptions {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly excludeColumns: readonly string[];
  readonly keys: KeyOverrides;
  readonly acceptGtids: string;
}

export function compileTableRules({
  include,
  exclude,
  excludeColumns,
  keys,
  acceptGtids,
}: TableRuleOptions): TableRules {
  const selection = { include: [...include], exclude: [...exclude] };
  return {
    includes: compileTableSelection(selection),
    reaches: compileDatabaseSelection(selection),
    keys,
    columns: compileColumnSelection(excludeColumns),
    acceptGtids: GtidSet.parse(acceptGtids),
  };
}
