import { type Row, type TableLayout } from '#change-events';

/** One column whose value differs; the values as text, cut to a limit. */
export interface Difference {
  readonly column: string;
  readonly source: string;
  readonly sink: string;
}

/** What a sink holds for a key: a row, or the trace of a deleted one. */
export interface StoredRow {
  /** Null when it is missing or not of the form of a version. */
  readonly version: string | null;
  /** The transaction of the change that was stored; null when it has none. */
  readonly gtid: string | null;
  /** True for the trace of a row that was deleted. */
  readonly isDeleted: boolean;
  /** Why this can't be what Ditto wrote, whatever the row is; null when nothing speaks against it. */
  readonly damage: string | null;
  /** What differs from this row of the source; null when the stored values can't be decoded. */
  compare(row: Row): readonly Difference[] | null;
}

/** What verification asks of a sink. Keys are rows as `rowOfKey` makes them. */
export abstract class VerifiedSink {
  /** What is stored for each key, in the order of `keys`; null for nothing. Only what can't be lost again is seen. */
  abstract read(layout: TableLayout, keys: readonly Row[], signal: AbortSignal): Promise<readonly (StoredRow | null)[]>;
  /** The keys of all rows that are stored and not deleted, in pages of at most `limit`. */
  abstract list(layout: TableLayout, limit: number, signal: AbortSignal): AsyncIterable<readonly Row[]>;
  /** Those of `keys` whose changes wait in the quarantine of this sink. */
  abstract listQuarantined(layout: TableLayout, keys: readonly Row[], signal: AbortSignal): Promise<readonly Row[]>;
  /**
   * The row as the change with this version left it, null when that deleted it; undefined when the change is not to be
   * had any more.
   */
  abstract readChange(
    layout: TableLayout,
    key: Row,
    version: string,
    signal: AbortSignal,
  ): Promise<Row | null | undefined>;
}
