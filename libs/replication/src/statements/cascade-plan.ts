import { distinctTables, tableKey, type TableName } from '#change-events';
import { type CascadingKey } from '../ports/cascade-facts.ts';

/** What a change of a parent's rows may change without row events: tables at any depth, also the parent itself. */
export interface ParentCascades {
  readonly onDelete: readonly TableName[];
  /** For updates that change one of these columns (in lower case). */
  readonly onUpdate: readonly { readonly columns: readonly string[]; readonly tables: readonly TableName[] }[];
}

/** A change that a foreign key hands on: the row is gone, or these columns of it have changed. */
type Impact = 'gone' | readonly string[];

/** Which tables change without row events when the rows of a table do. Pure. */
export class CascadePlan {
  readonly #keys: readonly CascadingKey[];
  readonly #byParent: ReadonlyMap<string, readonly CascadingKey[]>;

  constructor(keys: readonly CascadingKey[]) {
    this.#keys = keys;
    this.#byParent = Map.groupBy(keys, ({ parent }) => tableKey(parent));
  }

  /** Null for a table whose changes have no such consequence. */
  cascadesOf(table: TableName): ParentCascades | null {
    const keys = this.#byParent.get(tableKey(table)) ?? [];
    const onUpdate = keys
      .filter(({ onUpdate: action }) => action !== 'none')
      .map(({ parentColumns }) => lowered(parentColumns))
      .map((columns) => ({ columns, tables: this.#reach(table, columns) }));
    const onDelete = this.#reach(table, 'gone');
    return onDelete.length + onUpdate.length === 0 ? null : { onDelete, onUpdate };
  }

  /**
   * The tables whose foreign keys may name one of these: their own, and the foreign keys of the tables that refer to
   * them.
   */
  tablesConcernedBy(tables: readonly TableName[]): readonly TableName[] {
    const children = tables.flatMap((table) => this.#byParent.get(tableKey(table)) ?? []);
    return distinctTables([...tables, ...children.map(({ database, table }) => ({ database, table }))]);
  }

  /** The plan once these keys are all that the tables have. */
  withKeysOf(tables: readonly TableName[], keys: readonly CascadingKey[]): CascadePlan {
    const replaced = new Set(tables.map(tableKey));
    return new CascadePlan([...this.#keys.filter((key) => !replaced.has(tableKey(key))), ...keys]);
  }

  /** Every table that a change of this one's rows may reach. */
  descendantsOf(table: TableName): readonly TableName[] {
    const { onDelete = [], onUpdate = [] } = this.cascadesOf(table) ?? {};
    return distinctTables([...onDelete, ...onUpdate.flatMap(({ tables }) => tables)]);
  }

  #reach(from: TableName, impact: Impact): readonly TableName[] {
    const reached = new Map<string, TableName>();
    const seen = new Set<string>();
    const pending: { readonly table: TableName; readonly impact: Impact }[] = [{ table: from, impact }];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const state = JSON.stringify([tableKey(next.table), next.impact]);
      if (seen.has(state)) continue;
      seen.add(state);
      for (const key of this.#byParent.get(tableKey(next.table)) ?? []) {
        const handedOn = handOn(key, next.impact);
        if (handedOn === null) continue;
        const table = { database: key.database, table: key.table };
        reached.set(tableKey(table), table);
        pending.push({ table, impact: handedOn });
      }
    }
    return [...reached.values()];
  }
}

/** What becomes of the rows that refer by `key` to a row that the impact meets; null: nothing. */
function handOn({ columns, parentColumns, onDelete, onUpdate }: CascadingKey, impact: Impact): Impact | null {
  if (impact === 'gone') return onDelete === 'cascade' ? 'gone' : onDelete === 'set-null' ? lowered(columns) : null;
  const isReferred = lowered(parentColumns).some((column) => impact.includes(column));
  return isReferred && onUpdate !== 'none' ? lowered(columns) : null;
}

/** Names of columns are equal whatever their case. */
function lowered(columns: readonly string[]): readonly string[] {
  return columns.map((column) => column.toLowerCase());
}
