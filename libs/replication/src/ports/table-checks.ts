import { type SqlMode, type TableName } from '#change-events';

/** A statement of the log that makes or alters tables. */
export interface DefiningStatement {
  /** The included ones among them. */
  readonly tables: readonly TableName[];
  readonly sql: string;
  readonly sqlMode: SqlMode;
}

/** The checks of the start, for tables that a statement of the log makes or alters. */
export abstract class TableChecks {
  /**
   * Rejects with the code of the start when one of the tables can't be replicated: as the statement defines it, or as it
   * is once the server has executed `dispatchedSet`; with a retriable error while the server can't be asked. One that is
   * gone passes.
   */
  abstract check(statement: DefiningStatement, signal: AbortSignal, dispatchedSet: string): Promise<void>;
}
