import { type ServerKind } from '../server-kind.ts';
import { ColumnType, type PhysicalColumn } from './wire-types.ts';

/**
 * MariaDB keeps the hash of a unique key that is too long for a tree, or made USING HASH, in a column of its own: not
 * shown by the catalogue, not selected by `*`, but at the end of the rows in the log (MariaDB source, `add_hash_field` in
 * `sql/sql_table.cc`). MySQL leaves the hidden columns of its functional indexes out of the log.
 */
export function isHiddenName(name: string): boolean {
  return /^DB_ROW_HASH_\d+$/i.test(name);
}

/** How many of a table's columns in the log are its own; those after them are hidden. */
export function countVisible(
  {
    columns,
    names,
    unsigned,
  }: {
    readonly columns: readonly PhysicalColumn[];
    readonly names: readonly string[];
    readonly unsigned: readonly boolean[];
  },
  kind: ServerKind,
): number {
  let count = columns.length;
  if (kind === 'mariadb')
    while (count > 0 && isHidden(columns[count - 1]?.type, names[count - 1], unsigned[count - 1])) count--;
  return count;
}

function isHidden(type = 0, name = '', unsigned = false): boolean {
  return type === ColumnType.longlong && unsigned && isHiddenName(name);
}
