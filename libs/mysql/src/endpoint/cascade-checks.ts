import { type CheckFinding, findError } from '#kernel';
import { quoteTable } from '../reader/quoting.ts';
import { type ServerSettings } from './mysql-endpoint.ts';
import { type CascadedTable, type InspectedKey } from './table-inspection.ts';

/** What the configuration wants of rows that the server changes by foreign keys and does not log. */
export interface CascadeHandlingChoice {
  readonly cascades: 'refuse' | 'reread';
  /** Whether the source has a mirror: only the mirror shows which rows there were. */
  readonly hasMirror: boolean;
}

const REFUSED: CascadeHandlingChoice = { cascades: 'refuse', hasMirror: false };
const LOG_THEM = 'on MySQL 9.6 and later start the server with innodb_native_foreign_keys = OFF';

/** With native foreign keys off (MySQL 9.6 and later) cascades are executed above the engine and are in the log. */
export function logsCascades(settings: ServerSettings): boolean {
  return settings.innodbNativeForeignKeys === 'OFF';
}

/** Foreign keys of the included tables that can't be followed, all of them. */
export function checkCascades(
  tables: readonly CascadedTable[],
  settings: ServerSettings,
  { cascades, hasMirror }: CascadeHandlingChoice = REFUSED,
): readonly CheckFinding[] {
  const cascading = tables.filter((table) => table.cascades.length > 0);
  if (cascading.length === 0 || logsCascades(settings)) return [];
  if (cascades === 'refuse') return cascading.map(refuse);
  return [...checkParents(cascading), ...cascading.flatMap((table) => checkReread(table, hasMirror))];
}

function refuse(table: CascadedTable): CheckFinding {
  return unlogged(
    `foreign keys of ${nameOf(table)} change its rows without row events: ${namesOf(table.cascades)}`,
    `Set sources.<name>.cascades to reread; or exclude the table; or ${dropKeys(table)}; ${LOG_THEM}.`,
  );
}

/** One problem for all of them: who includes one parent wants to know of the others. */
function checkParents(tables: readonly CascadedTable[]): CheckFinding[] {
  const keys = tables.flatMap((table) => table.cascades.filter(({ isParentIncluded }) => !isParentIncluded));
  if (keys.length === 0) return [];
  const parents = [...new Set(keys.map(({ parent }) => nameOf(parent)))];
  const followed = keys.map((key) => `${nameOf(key)} by ${key.name} of ${nameOf(key.parent)}`).join(', ');
  return [
    unlogged(
      `rows change without row events when rows of tables change that are not included: ${followed}`,
      `Include ${parents.join(', ')}; or drop these foreign keys and add them again with RESTRICT, or exclude their tables; or ${LOG_THEM}.`,
    ),
  ];
}

function checkReread(table: CascadedTable, hasMirror: boolean): CheckFinding[] {
  if (!table.hasKey)
    return [
      unlogged(
        `foreign keys of ${nameOf(table)} change its rows without row events, and without a key it can't be read again: ${namesOf(table.cascades)}`,
        `ALTER TABLE ${quoteTable(table.database, table.table)} ADD PRIMARY KEY (…); or name its unique columns under "keys"; or ${dropKeys(table)}; or ${LOG_THEM}.`,
      ),
    ];
  const taking = table.cascades.filter(({ takesKeys }) => takesKeys);
  if (hasMirror || taking.length === 0) return [];
  return [
    unlogged(
      `foreign keys delete rows of ${nameOf(table)}, or change their keys, without row events, and without a mirror nothing shows which: ${namesOf(taking)}`,
      `Add mongo to the sinks of the source; or exclude the table; or ${dropKeys(table)}; or ${LOG_THEM}.`,
    ),
  ];
}

function dropKeys({ database, table }: CascadedTable): string {
  return `ALTER TABLE ${quoteTable(database, table)} DROP FOREIGN KEY … and add it again with RESTRICT`;
}

function unlogged(message: string, remedy: string): CheckFinding {
  return findError('DITTO_SOURCE_CASCADES_UNLOGGED', message, remedy);
}

function namesOf(keys: readonly InspectedKey[]): string {
  return keys.map(({ name }) => name).join(', ');
}

function nameOf({ database, table }: { readonly database: string; readonly table: string }): string {
  return `${database}.${table}`;
}
