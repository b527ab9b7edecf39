import { type TableName } from '#change-events';

/** The checks of the start, for tables that a statement of the log makes or alters. */
export abstract class TableChecks {
  /**
   * Rejects with the code of the start when one of these tables can't be replicated as it is once the server has executed
   * `dispatchedSet`; with a retriable error while the server can't be asked. One that is gone passes.
   */
  abstract check(tables: readonly TableName[], signal: AbortSignal, dispatchedSet: string): Promise<void>;
}
