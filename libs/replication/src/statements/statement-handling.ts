import {
  classifyStatement,
  type ColumnSelection,
  distinctTables,
  type Statement,
  type TableName,
  type TransactionInfo,
} from '#change-events';
import { type CascadeHandling } from './cascade-handling.ts';
import { type KnownTables } from '../tables/known-tables.ts';
import { type DefiningStatement } from '../ports/table-checks.ts';
import { type ChangeSink } from '../ports/change-sink.ts';
import { type StatementItem } from '../ports/change-source.ts';
import { schemaChangeOf } from './schema-changes.ts';
import { definedTables, statementEffects } from './statement-effects.ts';
import { type TableEndings } from '../tables/table-endings.ts';
import { beginEmpty, newRecord } from '../tables/table-record.ts';
import { type TableRecords } from '../tables/table-records.ts';
import { type WindowRegistry } from '../windows/window-registry.ts';

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
  readonly records: TableRecords;
  readonly windows: WindowRegistry;
  readonly endings: TableEndings;
  /** Runs the action until it works; what is down is waited for. */
  readonly hold: (action: () => Promise<void>) => Promise<void>;
  /** The table's rows are not in the log as they now are; resolves when that can't be forgotten any more. */
  readonly onTableUnread: (table: TableName, losesRows: boolean) => Promise<void>;
  /** The table may have another key now. */
  readonly onKeyDoubted: (table: TableName) => void;
  /** The included tables that are there now; now is not before the statement. */
  readonly listTables: () => Promise<readonly TableName[]>;
  /** Whether rows that are gone can be found by what a sink has. */
  readonly canLookUpRows: boolean;
  /** Null where the log shows what foreign keys change. */
  readonly cascades: CascadeHandling | null;
  /** Resolves when the tables have passed the checks of the start; rejects with their code. */
  readonly check: (statement: DefiningStatement) => Promise<void>;
}

/** Carries the statements of the log to sinks and reads, in the stream's own order. */
export class StatementHandling {
  readonly #options: StatementHandlingOptions;

  constructor(options: StatementHandlingOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the log may continue: the statement is published, rows that ended have ended in every sink, and what
   * must be read is recorded. What was read before the statement and not emitted yet is read again. A crash repeats the
   * whole.
   */
  async apply({ database, sql, sqlMode }: StatementItem, transaction: TransactionInfo): Promise<void> {
    const { tables, windows, sinks, endings, hold, onTableUnread, cascades, check } = this.#options;
    const context = { ...this.#options, database, sql };
    const written = classifyStatement(sql, database, sqlMode);
    const statement = this.#options.lowerCaseNames === true ? inLowerCase(written) : written;
    if (statement.kind === 'unparsed') await this.#learnNames(statement);
    const effects = statementEffects(statement, context);
    const change = schemaChangeOf(statement, context, transaction);
    const defined = definedTables(statement, context);
    if (defined.length > 0 && statement.kind !== 'drop') await check({ tables: defined, sql, sqlMode });
    if (change !== null) for (const sink of sinks) await hold(() => sink.publishStatement(change));
    for (const table of effects.discarded) windows.discard(table.database, table.table, 'a statement on the table');
    await endings.end(effects.ended.map((ended) => ({ ...ended, transaction, rowIndex: 0 })));
    for (const table of effects.created) tables.add(table);
    for (const table of effects.empty) await hold(() => this.#countAsCopied(table));
    for (const table of distinctTables(effects.unread)) await hold(() => onTableUnread(table, effects.losesRows));
    for (const table of effects.doubted) this.#options.onKeyDoubted(table);
    await cascades?.learnFrom(statement, sql, defined);
  }

  /** The log has all rows of the table: there is nothing to copy. Resolves when that is recorded. */
  async #countAsCopied(table: TableName): Promise<void> {
    const { records } = this.#options;
    const record = records.get(table) ?? newRecord(table);
    const copied = beginEmpty(record);
    if (copied !== record) records.set(copied);
    await records.save([table]);
  }

  /** A statement that can't be read may have made tables, or given them other names. */
  async #learnNames(statement: Statement): Promise<void> {
    const { reaches, hold, listTables, tables } = this.#options;
    if (!statement.tables.some(({ database }) => reaches(database))) return;
    await hold(async () => {
      for (const table of await listTables()) tables.add(table);
    });
  }
}

function inLowerCase(statement: Statement): Statement {
  const lower = ({ database, table }: TableName): TableName => ({
    database: database.toLowerCase(),
    table: table.toLowerCase(),
  });
  const tables = statement.tables.map((scope) => {
    if (scope.table === null) return { ...scope, database: scope.database.toLowerCase() };
    return { ...lower(scope), ...(scope.to === undefined ? {} : { to: lower(scope.to) }) };
  });
  return { ...statement, tables };
}
