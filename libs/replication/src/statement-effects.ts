import { classifyStatement, type TableLayout } from '#change-events';
import { DittoError } from '#kernel';

/** What a statement in the log means for the sinks. */
export interface StatementEffects {
  /** Tables whose rows all end, in the order of the statement. */
  readonly ended: readonly { readonly op: 'truncate' | 'drop'; readonly layout: TableLayout }[];
  /** Included tables that now hold rows which the log never showed under this name. */
  readonly appeared: readonly { readonly database: string; readonly table: string }[];
}

const NO_EFFECTS: StatementEffects = { ended: [], appeared: [] };

/**
 * Reads a statement of the log (design, section 5, DDL text). Throws a coded error for what this version can't carry
 * to the sinks: nothing of it has been dispatched then, and the checkpoint stands before it.
 *
 * @param layouts newest known layouts of included tables, by `<database>\0<table>`
 */
export function statementEffects(options: {
  readonly database: string;
  readonly sql: string;
  readonly includes: (database: string, table: string) => boolean;
  readonly layouts: ReadonlyMap<string, TableLayout>;
}): StatementEffects {
  const { includes, layouts, sql } = options;
  const statement = classifyStatement(sql, options.database);
  const included = statement.tables.flatMap(({ database, table }) =>
    table === '*'
      ? [...layouts.values()].filter((layout) => layout.database === database)
      : includes(database, table)
        ? [layouts.get(`${database}\0${table}`) ?? assumeLayout(database, table)]
        : [],
  );
  switch (statement.kind) {
    case 'neutral':
      return NO_EFFECTS;
    case 'truncate':
    case 'drop': {
      const op = statement.kind;
      return { ended: included.map((layout) => ({ op, layout })), appeared: [] };
    }
    case 'rename':
      return {
        ended: included.map((layout) => ({ op: 'drop', layout })),
        appeared: statement.tables.flatMap(({ to }) =>
          to !== undefined && includes(to.database, to.table) ? [to] : [],
        ),
      };
    case 'rows-changed':
    case 'unparsed':
      if (included.length === 0) return NO_EFFECTS;
      throw new DittoError(
        'DITTO_PIPELINE_DDL_CHANGES_ROWS',
        `the statement may change rows without saying so in the log: ${excerpt(sql)}`,
        {
          remedy:
            'This version cannot follow it. Resync the source (npm run ditto -- resync --source <name>): it goes on behind the statement and reads every row again.',
          context: { statement: excerpt(sql), tables: included.map(({ database, table }) => `${database}.${table}`) },
        },
      );
    case 'data':
      if (included.length === 0 && ![...layouts.values()].some((layout) => layout.database === options.database))
        return NO_EFFECTS;
      throw new DittoError(
        'DITTO_SOURCE_STATEMENT_FORMAT',
        `the log holds a change as a statement, not as rows: ${excerpt(sql)}`,
        {
          remedy:
            "SET GLOBAL binlog_format = 'ROW'; have every session that set it otherwise reconnect; then resync the source (npm run ditto -- resync --source <name>).",
          context: { statement: excerpt(sql) },
        },
      );
    case 'xa':
      return NO_EFFECTS;
  }
}

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
    fingerprint: 'assumed',
  };
}

function excerpt(sql: string): string {
  return sql.length > 200 ? `${sql.slice(0, 200)}…` : sql;
}
