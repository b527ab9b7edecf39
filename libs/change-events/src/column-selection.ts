import { DittoError } from '#kernel';
import { compileName } from './name-pattern.ts';
import { type TableName } from './names.ts';

/** Whether a column of an included table is replicated. */
export type ColumnSelection = (database: string, table: string, column: string) => boolean;

export const everyColumn: ColumnSelection = () => true;

/** Database, table and column, each plain, with `*`, or in backquotes; the first two points outside backquotes separate. */
const PATTERN = /^(`(?:[^`]|``)+`|[^`.]+)\.(`(?:[^`]|``)+`|[^`.]+)\.(`(?:[^`]|``)+`|[^`]+)$/;

interface ColumnPattern {
  readonly database: RegExp;
  readonly table: RegExp;
  readonly column: RegExp;
}

function compilePattern(pattern: string): ColumnPattern | null {
  const match = PATTERN.exec(pattern.trim());
  if (match === null) return null;
  const [, database = '', table = '', column = ''] = match;
  // MySQL takes column names without regard to case, whatever the server's settings (MySQL manual, "Identifier Case Sensitivity")
  return { database: compileName(database), table: compileName(table), column: compileName(column, 'i') };
}

function compilePatterns(exclude: readonly string[]): readonly ColumnPattern[] {
  const compiled = exclude.map(compilePattern);
  const invalid = exclude.filter((_, i) => compiled[i] === null);
  if (invalid.length > 0) {
    const list = invalid.map((pattern) => `"${pattern}"`).join(', ');
    throw new DittoError('DITTO_CONFIG_COLUMN_PATTERN_INVALID', `Not of the form database.table.column: ${list}.`, {
      remedy: 'Write database.table.column, with * for any characters: shop.customers.email, shop.*.secret_*.',
      context: { patterns: invalid },
    });
  }
  return compiled.filter((pattern) => pattern !== null);
}

function namesTable({ database, table }: ColumnPattern, name: TableName): boolean {
  return database.test(name.database) && table.test(name.table);
}

/**
 * Compiles which columns a source replicates: all that no pattern matches. Letter case matters in databases and tables,
 * as in `compileTableSelection`, not in columns. Throws one `DITTO_CONFIG_COLUMN_PATTERN_INVALID` naming all patterns
 * that are not valid.
 */
export function compileColumnSelection(exclude: readonly string[]): ColumnSelection {
  const patterns = compilePatterns(exclude);
  if (patterns.length === 0) return everyColumn;
  return (database, table, column) =>
    !patterns.some((pattern) => namesTable(pattern, { database, table }) && pattern.column.test(column));
}

/** The patterns that match no column of these tables. */
export function findIdleColumnPatterns(
  exclude: readonly string[],
  tables: readonly (TableName & { readonly columns: readonly string[] })[],
): readonly string[] {
  const patterns = compilePatterns(exclude);
  return exclude.filter((_, i) => {
    const pattern = patterns[i];
    return (
      pattern !== undefined &&
      !tables.some((table) => namesTable(pattern, table) && table.columns.some((column) => pattern.column.test(column)))
    );
  });
}

/**
 * The tables whose columns another selection may see otherwise: those that a pattern of only one of the two names. Which
 * columns they have does not count: one that is gone by now may still be in the sinks.
 */
export function findReselectedTables<Table extends TableName>(
  before: readonly string[],
  after: readonly string[],
  tables: readonly Table[],
): readonly Table[] {
  const changed = [...after.filter((one) => !before.includes(one)), ...before.filter((one) => !after.includes(one))];
  const patterns = compilePatterns(changed);
  return tables.filter((table) => patterns.some((pattern) => namesTable(pattern, table)));
}
