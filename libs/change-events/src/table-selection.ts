import { DittoError } from '#kernel';
import { compileName } from './name-pattern.ts';
import { splitTableName } from './names.ts';

export interface TableSelectionOptions {
  /** Patterns `database.table`; `*` means any characters within a name. */
  readonly include: readonly string[];
  readonly exclude?: readonly string[];
}

export type TableSelection = (database: string, table: string) => boolean;

/** MySQL's own: only a pattern that names one of them in full reaches into it. */
const SYSTEM_DATABASES = new Set(['mysql', 'sys', 'information_schema', 'performance_schema']);

interface TablePattern {
  readonly database: RegExp;
  readonly table: RegExp;
  readonly hasWildcardDatabase: boolean;
  readonly hasEveryTable: boolean;
}

function compilePattern(pattern: string): TablePattern | null {
  const parts = splitTableName(pattern);
  if (parts === null) return null;
  const [database, table] = parts;
  return {
    database: compileName(database),
    table: compileName(table),
    hasWildcardDatabase: !database.startsWith('`') && database.includes('*'),
    hasEveryTable: table === '*',
  };
}

function matches(pattern: TablePattern, database: string, table: string): boolean {
  return pattern.database.test(database) && pattern.table.test(table);
}

function compilePatterns({ include, exclude = [] }: TableSelectionOptions): {
  readonly include: readonly TablePattern[];
  readonly exclude: readonly TablePattern[];
} {
  const invalid = [...include, ...exclude].filter((pattern) => compilePattern(pattern) === null);
  if (invalid.length > 0) {
    const list = invalid.map((pattern) => `"${pattern}"`).join(', ');
    throw new DittoError('DITTO_CONFIG_TABLE_PATTERN_INVALID', `Not of the form database.table: ${list}.`, {
      remedy: 'Write database.table, with * for any characters: shop.orders, shop.*, *.audit_*.',
      context: { patterns: invalid },
    });
  }
  return {
    include: include.map(compilePattern).filter((pattern) => pattern !== null),
    exclude: exclude.map(compilePattern).filter((pattern) => pattern !== null),
  };
}

/**
 * Compiles which tables a source replicates: those that an `include` pattern matches and no `exclude` pattern does.
 * Letter case matters. A name with `.` or `*` in it is written in backquotes: `` `a.b`.orders ``. A `*` in the place of
 * the database does not reach MySQL's own databases. Throws one `DITTO_CONFIG_TABLE_PATTERN_INVALID` naming all
 * patterns that are not valid.
 */
export function compileTableSelection(options: TableSelectionOptions): TableSelection {
  const { include, exclude } = compilePatterns(options);
  return (database, table) => {
    const isSystem = isSystemDatabase(database);
    const isIncluded = include.some(
      (pattern) => !(isSystem && pattern.hasWildcardDatabase) && matches(pattern, database, table),
    );
    return isIncluded && !exclude.some((pattern) => matches(pattern, database, table));
  };
}

/** Compiles in which databases the selection may include a table, whether one is there or not. */
export function compileDatabaseSelection(options: TableSelectionOptions): (database: string) => boolean {
  const { include, exclude } = compilePatterns(options);
  return (database) => {
    const isSystem = isSystemDatabase(database);
    const isReached = include.some(
      (pattern) => !(isSystem && pattern.hasWildcardDatabase) && pattern.database.test(database),
    );
    return isReached && !exclude.some((pattern) => pattern.hasEveryTable && pattern.database.test(database));
  };
}

function isSystemDatabase(database: string): boolean {
  return SYSTEM_DATABASES.has(database.toLowerCase());
}
