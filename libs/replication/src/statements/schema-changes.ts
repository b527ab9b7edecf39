import { type SchemaChange, type Statement, type TableDefinitionChange, type TransactionInfo } from '#change-events';
import { type StatementContext } from './statement-effects.ts';

const TYPES = { create: 'CREATE', alter: 'ALTER', drop: 'DROP' } as const;

/**
 * What is published of a statement: null for one that changes no definition (views, routines, users, temporary tables),
 * and for one that touches neither an included table nor a database that may hold one.
 */
export function schemaChangeOf(
  statement: Statement,
  context: StatementContext & { readonly reaches: (database: string) => boolean },
  transaction: TransactionInfo,
): SchemaChange | null {
  const { includes, reaches, sql } = context;
  if (statement.definition === undefined && statement.kind !== 'unparsed') return null;
  const isTouched = statement.tables.some(({ database, table, to }) =>
    table === null
      ? reaches(database)
      : includes(database, table) || (to !== undefined && includes(to.database, to.table)),
  );
  if (!isTouched) return null;
  const [first] = statement.tables;
  return {
    database: first?.database ?? context.database,
    ddl: sql,
    tables: definitionChanges(statement, context),
    transaction,
  };
}

function definitionChanges(
  { kind, definition, tables: named }: Statement,
  { includes, tables }: StatementContext,
): TableDefinitionChange[] {
  if (definition === undefined || kind === 'truncate') return [];
  const type = TYPES[definition];
  return named.flatMap(({ database, table, to }): TableDefinitionChange[] => {
    if (table === null)
      return definition === 'drop' ? tables.namesIn(database).map((known) => ({ type, table: known })) : [];
    if (to !== undefined) {
      const isIncluded = includes(database, table) || includes(to.database, to.table);
      return isIncluded ? [{ type, table: to, previous: { database, table } }] : [];
    }
    return includes(database, table) ? [{ type, table: { database, table } }] : [];
  });
}
