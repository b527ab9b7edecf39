import { type QueryValue } from '../mysql-session.ts';

/**
 * A condition on schema and table by which a server looks at these tables only: a schema may have ten thousand others,
 * and MariaDB opens each table that it can't leave out by name. It compares names without case there, so the caller
 * that asks for some tables has to look at the names that come.
 *
 * @param tables all of the database when null
 */
export function isAmong(
  database: string,
  tables: readonly string[] | null,
  schemaColumn = 'TABLE_SCHEMA',
): { readonly where: string; readonly values: readonly QueryValue[] } {
  if (tables === null) return { where: `${schemaColumn} = ?`, values: [database] };
  if (tables.length === 0) return { where: 'FALSE', values: [] };
  // a comparison with one name is a look-up on MariaDB, a list is not
  const names = tables.length === 1 ? '= ?' : `IN (${tables.map(() => '?').join(', ')})`;
  return { where: `${schemaColumn} = ? AND TABLE_NAME ${names}`, values: [database, ...tables] };
}
