import { type TableName } from '#change-events';

/** What a foreign key does to the rows that refer to a row which goes or changes; `none`: it refuses. */
export type ReferentialAction = 'cascade' | 'set-null' | 'none';

/** A foreign key of an included table by which the server changes rows that are not in its log. */
export interface CascadingKey extends TableName {
  readonly name: string;
  readonly columns: readonly string[];
  readonly parent: TableName;
  /** The columns that `columns` refer to, in their order. */
  readonly parentColumns: readonly string[];
  readonly onDelete: ReferentialAction;
  readonly onUpdate: ReferentialAction;
}

/** What the server whose log is streamed says of the changes that it does not log. */
export abstract class CascadeFacts {
  /**
   * The foreign keys of these tables as of now; now is not before the server has executed `dispatchedSet`. Rejects with a coded error
   * that is not retriable when there is one that can't be followed.
   */
  abstract read(
    signal: AbortSignal,
    dispatchedSet: string,
    tables: readonly TableName[],
  ): Promise<readonly CascadingKey[]>;
}
