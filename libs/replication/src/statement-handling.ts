import {
  classifyStatement,
  type ColumnSelection,
  type Statement,
  tableKey,
  type TableName,
  type TransactionInfo,
} from '#change-events';
import { type CascadeHandling } from './cascade-handling.ts';
import { type KnownTables } from './known-tables.ts';
import { type DefiningStatement } from './ports/table-checks.ts';
import { type ChangeSink } from './ports/change-sink.ts';
import { type StatementItem } from './ports/change-source.ts';
import { schemaChangeOf } from './schema-changes.ts';
import { definedTables, statementEffects, type StatementEffects } from './statement-effects.ts';
import { type WindowRegistry } from './window-registry.ts';

export interface StatementHandlingOptions {
  readonly includes: (database: string, table: string) => boolean;
  /** Which columns are replicated; all by default. */
  readonly columns?: ColumnSelection;
  /** Whether a table of the database may be included. */
  readonly reaches: (database: string) => boolean;
  /** Whether the server keeps names in lower case (`lower_case_table_names=1`) while statements say them as written. */
  readonly lowerCaseNames?: boolean;
  readonly sinks: readonly ChangeSink[];
  readonly tables: KnownTables;
  readonly windows: WindowRegistry;
  /** Resolves when no sink has anything in flight. */
  readonly drain: () => Promise<void>;
  /** Runs the action until it works; what is down is waited for. */
  readonly hold: (action: () => Promise<void>) => Promise<void>;
  /** The table's rows do not stand in the log as they now are; resolves when that can't be forgotten any more. */
  readonly onTableUnread: (database: string, table: string) => Promise<void>;
  /** Null where the log shows what foreign keys change. */
  readonly cascades: CascadeHandling | null;
  /** Resolves when the tables have passed the checks of the start; rejects with their code. */
  readonly check: (statement: DefiningStatement) => Promise<void>;
}

/** Carries the statements of the log to sinks and reads, in the stream's own order. */
export class StatementHandling {
  private readonly options: StatementHandlingOptions;

  constructor(options: StatementHandlingOptions) {
    this.options = options;
  }

  /**
   * Resolves when the log may go on: the statement is published, rows that ended have ended in every sink, and what must
   * be read is recorded. What was read before the statement and not emitted yet is read again. A crash repeats the whole.
   */
  async apply({ database, sql, sqlMode }: StatementItem, transaction: TransactionInfo): Promise<void> {
    const { tables, windows, sinks, hold, onTableUnread, cascades, check } = this.options;
    const context = { ...this.options, database, sql };
    const written = classifyStatement(sql, database, sqlMode);
    const statement = this.options.lowerCaseNames === true ? inLowerCase(written) : written;
    const effects = statementEffects(statement, context);
    const change = schemaChangeOf(statement, context, transaction);
    const defined = definedTables(statement, context);
    if (defined.length > 0 && statement.kind !== 'drop') await check({ tables: defined, sql, sqlMode });
    if (change !== null) for (const sink of sinks) await hold(() => sink.publishStatement(change));
    for (const table of effects.discarded) windows.discard(table.database, table.table, 'a statement on the table');
    await this.end(effects, transaction);
    for (const table of effects.created) tables.add(table);
    for (const table of distinct(effects.unread)) await hold(() => onTableUnread(table.database, table.table));
    await cascades?.learnFrom(statement, sql, defined);
  }

  private async end({ ended }: StatementEffects, transaction: TransactionInfo): Promise<void> {
    const { sinks, tables, drain, hold } = this.options;
    if (ended.length > 0) await drain();
    for (const { op, layout } of ended) {
      for (const sink of sinks) await hold(() => sink.applyTableChange({ op, layout, transaction, rowIndex: 0 }));
      if (op === 'drop') tables.forget(layout);
      else tables.unprepare(layout);
    }
  }
}

function inLowerCase(statement: Statement): Statement {
  const lower = ({ database, table }: TableName): TableName => ({
    database: database.toLowerCase(),
    table: table.toLowerCase(),
  });
  const tables = statement.tables.map(({ to, ...name }) => ({
    ...lower(name),
    ...(to === undefined ? {} : { to: lower(to) }),
  }));
  return { ...statement, tables };
}

function distinct(tables: readonly TableName[]): TableName[] {
  return [...new Map(tables.map((table) => [tableKey(table), table])).values()];
}
