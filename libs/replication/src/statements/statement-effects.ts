import {
  type ColumnSelection,
  distinctTables,
  type Statement,
  type StatementScope,
  type StatementTable,
  type TableLayout,
  type TableName,
} from '#change-events';
import { DittoError, RESYNC } from '#kernel';
import { type KnownTables } from '../tables/known-tables.ts';

/** What a statement in the log means for the sinks and for reads. */
export interface StatementEffects {
  /** What holds tables whose open windows have rows that the statement may have made wrong. */
  readonly discarded: readonly StatementScope[];
  /** Tables whose rows all end, in the order of the statement. */
  readonly ended: readonly { readonly op: 'truncate' | 'drop'; readonly layout: TableLayout }[];
  /** Included tables whose rows the log does not show as they now are: all of them must be read. */
  readonly unread: readonly TableName[];
  /** Whether rows of `unread` may be gone that do not end in another way. */
  readonly losesRows: boolean;
  /** Included tables that may have another key from now on. */
  readonly doubted: readonly TableName[];
  /** Included tables that are there from now on. */
  readonly created: readonly TableName[];
  /** Those of `created` of which the log has every row. */
  readonly empty: readonly TableName[];
}

const NO_EFFECTS: StatementEffects = {
  discarded: [],
  ended: [],
  unread: [],
  losesRows: false,
  doubted: [],
  created: [],
  empty: [],
};

export interface StatementContext {
  /** The statement's default database. */
  readonly database: string;
  readonly sql: string;
  readonly includes: (database: string, table: string) => boolean;
  /** Which columns are replicated; all by default. */
  readonly columns?: ColumnSelection;
  readonly tables: KnownTables;
  /** Whether rows that are gone can be found by what a sink has. */
  readonly canLookUpRows: boolean;
}

/**
 * Reads a statement of the log. Throws a coded error for a change of rows that is in
 * the log as a statement: nothing of it has been dispatched then, and the checkpoint is before it.
 */
export function statementEffects(statement: Statement, context: StatementContext): StatementEffects {
  switch (statement.kind) {
    case 'neutral':
      return neutral(statement, context);
    case 'truncate':
    case 'drop':
      return end(statement, statement.kind, context);
    case 'rename':
      return rename(statement, context);
    case 'reread':
      return reread(statement, context);
    case 'unparsed':
      return suspect(statement, context);
    case 'restart':
      return restart(statement, context);
    case 'data':
      return refuseData(statement, context);
    case 'xa':
      return NO_EFFECTS;
  }
}

/** The included tables whose definition a statement may change; to be asked before a drop makes them unknown. */
export function definedTables(
  { tables: named, definition, kind }: Statement,
  { includes, tables }: Pick<StatementContext, 'includes' | 'tables'>,
): readonly TableName[] {
  if (definition === undefined && kind !== 'unparsed') return [];
  const included = named.flatMap(({ database, table, to }): TableName[] => {
    if (table === null) return tables.namesIn(database);
    return [{ database, table }, ...(to === undefined ? [] : [to])].filter((name) =>
      includes(name.database, name.table),
    );
  });
  return distinctTables(included);
}

/** Layouts of the included tables that a statement names. */
function includedOf(statement: Statement, context: StatementContext): TableLayout[] {
  return namesOf(statement, context).map(
    ({ database, table }) => context.tables.layoutOf(database, table) ?? assumeLayout(database, table),
  );
}

/** The included tables that a statement names; of a whole database those that are known. */
function namesOf({ tables: named }: Statement, { includes, tables }: StatementContext): TableName[] {
  return named.flatMap(({ database, table }) => {
    if (table === null) return tables.namesIn(database);
    return includes(database, table) ? [{ database, table }] : [];
  });
}

/** An index that comes or goes, or a column that may be NULL from now on, changes no row, but may change the key. */
function neutral(statement: Statement, context: StatementContext): StatementEffects {
  if (statement.definition === 'create')
    return { ...NO_EFFECTS, created: namesOf(statement, context), empty: emptyOf(statement, context) };
  const named = statement.tables.filter(({ table }) => table !== null);
  return { ...NO_EFFECTS, doubted: namesOf({ ...statement, tables: named }, context) };
}

function end(statement: Statement, op: 'truncate' | 'drop', context: StatementContext): StatementEffects {
  const ended = includedOf(statement, context).map((layout) => ({ op, layout }));
  const created = statement.definition === 'create' ? namesOf(statement, context) : [];
  return { ...NO_EFFECTS, discarded: statement.tables, ended, created, empty: emptyOf(statement, context) };
}

/** A table that is known may be the one that was there already. */
function emptyOf(statement: Statement, context: StatementContext): TableName[] {
  const { startsEmpty } = statement;
  if (startsEmpty === undefined) return [];
  return namesOf(statement, context).filter((name) => startsEmpty === 'yes' || !context.tables.knows(name));
}

/** A table under a new name ends under the old one; its rows were never in the log under the new one. */
function rename(statement: Statement, context: StatementContext): StatementEffects {
  const { before, after } = netRenames(statement.tables);
  const unread = after.filter(({ database, table }) => context.includes(database, table));
  return {
    ...NO_EFFECTS,
    discarded: [...before, ...after],
    ended: includedOf({ ...statement, tables: before }, context).map((layout) => ({ op: 'drop', layout })),
    unread,
    created: unread,
  };
}

/** Names that ended and names that appeared; those in between (RENAME a TO tmp, b TO a, tmp TO b) are neither. */
function netRenames(pairs: readonly StatementTable[]): { readonly before: TableName[]; readonly after: TableName[] } {
  const before: TableName[] = [];
  const after: TableName[] = [];
  for (const { database, table, to } of pairs) {
    if (table === null) continue;
    const made = after.findIndex((name) => name.database === database && name.table === table);
    if (made === -1) before.push({ database, table });
    else after.splice(made, 1);
    if (to !== undefined) after.push(to);
  }
  return { before, after };
}

function reread(statement: Statement, context: StatementContext): StatementEffects {
  const [layout] = includedOf(statement, context);
  if (layout !== undefined && isUnseen(statement, layout, context)) return neutral(statement, context);
  if (layout !== undefined && mayChangeKeys(statement, layout)) return restart(statement, context);
  return { ...NO_EFFECTS, discarded: statement.tables, unread: namesOf(statement, context) };
}

/**
 * What can't be read may have done anything: rows that went are looked for, or all end where nothing shows which there
 * were.
 */
function suspect(statement: Statement, context: StatementContext): StatementEffects {
  if (!context.canLookUpRows) return restart(statement, context);
  return { ...NO_EFFECTS, discarded: statement.tables, unread: namesOf(statement, context), losesRows: true };
}

/**
 * Whether it only changes excluded columns. Without a known primary key it does not count: another unique key may serve
 * as the key from now on.
 */
function isUnseen({ onlyColumns = [] }: Statement, layout: TableLayout, { columns }: StatementContext): boolean {
  if (columns === undefined || onlyColumns.length === 0) return false;
  const { database, table, key, fingerprint } = layout;
  return key.length > 0 && fingerprint !== ASSUMED && onlyColumns.every((column) => !columns(database, table, column));
}

/** Whether rows may change their keys: the layout may be of a later time, so a doubt counts as yes. */
function mayChangeKeys({ keyChanges = [], convertsText = false }: Statement, layout: TableLayout): boolean {
  if (layout.fingerprint === ASSUMED) return keyChanges.length > 0 || convertsText;
  const changed = new Set(keyChanges.map((name) => name.toLowerCase()));
  return layout.key.some((index) => {
    const column = layout.columns[index];
    return (
      column !== undefined && (changed.has(column.name.toLowerCase()) || (convertsText && column.charset !== null))
    );
  });
}

/** Rows that vanished can't be recognized: all end, and those that are there are read again. */
function restart(statement: Statement, context: StatementContext): StatementEffects {
  // what has no key can't be read again, so its rows must not end
  const keyed = includedOf(statement, context).filter(({ key }) => key.length > 0);
  const ended = keyed.map((layout) => ({ op: 'truncate' as const, layout }));
  return { ...NO_EFFECTS, discarded: statement.tables, ended, unread: namesOf(statement, context) };
}

function refuseData(statement: Statement, context: StatementContext): StatementEffects {
  const { sql, database, tables } = context;
  if (namesOf(statement, context).length === 0 && tables.namesIn(database).length === 0) return NO_EFFECTS;
  throw new DittoError(
    'DITTO_SOURCE_STATEMENT_FORMAT',
    `the log holds a change as a statement, not as rows: ${excerpt(sql)}`,
    {
      remedy: `SET GLOBAL binlog_format = 'ROW'; have every session that set it otherwise reconnect; then ${RESYNC}.`,
      context: { statement: excerpt(sql) },
    },
  );
}

const ASSUMED = 'assumed';

/**
 * Stands for a table whose layout nobody knows any more, in statements that end all its rows. It is taken to have a
 * key, as tables with a mirror and a compacted topic have; for one without, the same message does no harm.
 */
export function assumeLayout(database: string, table: string): TableLayout {
  const facts = { type: 'int', unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] };
  return {
    database,
    table,
    columns: [{ name: 'unknown', kind: 'integer', ...facts }],
    key: [0],
    fingerprint: ASSUMED,
  };
}

function excerpt(sql: string): string {
  return sql.length > 200 ? `${sql.slice(0, 200)}…` : sql;
}
