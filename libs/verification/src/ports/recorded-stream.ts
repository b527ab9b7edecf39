import { type TableLayout, type TableName } from '#change-events';

/** How far the sinks are known to be. */
export interface RecordedCheckpoint {
  /** Every change of these transactions is confirmed by every sink. */
  readonly gtidSet: string;
  /**
   * No confirmed change has a higher version, except of a lineage before, or what was given to a sink before a rewind. Before
   * the first transaction it is the version of the stream's start.
   */
  readonly version: string;
  /** GTIDs of XA PREPAREs whose outcome is not known: no sink has their rows, and no SELECT sees them. */
  readonly undecidedSet: string;
}

/** A table as DSS has adopted it. */
export interface RecordedTable {
  /**
   * Grows, before the checkpoint passes the cause, with everything that makes a copy differ from the source for a while:
   * a copy, a re-read for DDL or a cascade, a resync, other columns or another key.
   */
  readonly generation: number;
  /** `no`: a copy or re-read is not complete. `never`: this sink does not get the rows of this table. */
  readonly copied: 'yes' | 'no' | 'never';
  /** The selected columns and the key that the sinks' rows have. */
  readonly layout: TableLayout;
}

/** What DSS has recorded of one source, as it is at the moment of the call. */
export abstract class RecordedStream {
  abstract readCheckpoint(signal: AbortSignal): Promise<RecordedCheckpoint>;
  /**
   * Null for a table that DSS has never seen. While a table has the same layout, its `layout` is the same object in
   * nearly all calls, so that what is compiled for a layout can be kept by it; who compares layouts compares fingerprints.
   */
  abstract readTable(table: TableName, signal: AbortSignal): Promise<RecordedTable | null>;
  /**
   * A version that is above that of every change which DSS can have given to a sink by now: of the newest lineage, at the
   * end of the log that is streamed.
   */
  abstract readHighestVersion(signal: AbortSignal): Promise<string>;
}
