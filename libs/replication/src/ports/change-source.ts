import {
  type FilePosition,
  type LoggedTransaction,
  type Position,
  type RowImages,
  type SqlMode,
  type TableLayout,
} from '#change-events';

/** What a source says about the transaction that begins; the pipeline adds the lineage. */
export interface SourceTransaction {
  /** Null where the server gave none; only in a stream from a `FilePosition`. */
  readonly gtid: string | null;
  /** GTID of the XA PREPARE that this transaction decided, by commit or rollback; null for all others. */
  readonly preparedGtid: string | null;
  readonly serverId: number;
  readonly serverUuid: string;
  readonly file: string;
  readonly offset: number;
  readonly commitMicros: number;
}

export interface StatementItem {
  readonly type: 'statement';
  /** The session's default database; '' when it had none. */
  readonly database: string;
  readonly sql: string;
  /** How the session that wrote the statement meant its quotes. */
  readonly sqlMode: SqlMode;
}

/** One event of the log, in log order. A transaction is begin, any number of rows or one statement, end. */
export type SourceItem =
  | { readonly type: 'begin'; readonly transaction: SourceTransaction }
  | {
      readonly type: 'rows';
      readonly op: 'create' | 'update' | 'delete';
      readonly layout: TableLayout;
      /** One per row for update and delete, in the order of the log; else null. */
      readonly before: RowImages | null;
      /** One per row for create and update; else null. */
      readonly after: RowImages | null;
      /** Index in its transaction of the first row here. */
      readonly firstRowIndex: number;
    }
  /** A statement in the log other than BEGIN, COMMIT and SAVEPOINT: DDL, or something that row format should not hold. */
  | StatementItem
  /**
   * An XA transaction was prepared: its rows come with its outcome, or never. Nothing to confirm, and not to be counted
   * as read: who continues before its outcome must get it again. Without a GTID only in a stream from a `FilePosition`.
   */
  | { readonly type: 'prepared'; readonly gtid: string | null }
  /**
   * The transaction is complete and committed; `endOffset` is just after its last event. `digest` identifies its
   * content where the log has no exact commit time (MariaDB).
   */
  | { readonly type: 'end'; readonly file: string; readonly endOffset: number; readonly digest?: string };

/** Items that arrived together; `bytes` is their size in the log. A long transaction comes in several batches. */
export interface SourceBatch {
  readonly items: readonly SourceItem[];
  readonly bytes: number;
}

/**
 * The log of one server as an async sequence.
 *
 * - From a `Position` the stream starts just after `gtidSet`; nothing in that set is delivered, everything else is, in
 *   log order. File and offset do not say where it starts. A transaction without a GTID ends the sequence with
 *   `DITTO_SOURCE_ANONYMOUS_TRANSACTION`, also one that was written while nobody read, as long as the server is the one
 *   of the position and its log still has that file.
 * - Before the first batch each transaction of `proof` is looked for: the log must hold it as it is described, on the same
 *   server at the same place. `DITTO_SOURCE_LOG_REPLACED`: it holds another one in its place, so GTIDs prove nothing;
 *   `DITTO_SOURCE_LOG_UNPROVEN`: the file that held it is purged.
 * - From a `FilePosition` it starts with what begins at that offset of that file, whether transactions have GTIDs or not.
 *   Its server must be the one that answers (`DITTO_SOURCE_OTHER_SERVER`), and something must begin or end there
 *   (`DITTO_SOURCE_PLACE_INVALID`). File and `endOffset` of any `end` item, with the UUID of its server, are the position
 *   whose stream delivers exactly what follows; after an XA transaction that was prepared before it and has no outcome yet
 *   that stream ends with a code at the outcome.
 * - Back-pressure: while the consumer does not ask for the next batch, the adapter buffers a bounded amount and then
 *   stops reading its socket. No memory beyond that.
 * - Rows of tables for which `includes` says no are not delivered; their transactions still begin and end.
 * - A prepared XA transaction gives nothing until it is decided: then its rows (none when it was rolled back) come under
 *   the coordinates of the decision, and both GTIDs are given. A stream that starts from a set without the GTID of an
 *   undecided XA PREPARE reads it again.
 * - Anything that can't be decoded, a lost connection, and settings that lose data end the sequence with a `DittoError`
 *   (`retriable` says whether starting again from the checkpoint helps). Nothing is skipped.
 * - Aborting `signal` ends the sequence without an error, leaving no connection and no timer behind.
 *
 * Not promised: that a batch ends at a transaction's end; that two streams cut their batches alike.
 */
export abstract class ChangeSource {
  abstract stream(options: {
    readonly from: Position | FilePosition;
    readonly proof?: readonly (LoggedTransaction | null)[];
    readonly includes: (database: string, table: string) => boolean;
    readonly signal: AbortSignal;
  }): AsyncIterable<SourceBatch>;
}
