import {
  type GtidSet,
  keyValues,
  type ReadRows,
  type Row,
  rowOfKey,
  type RowSelection,
  type TableLayout,
} from '#change-events';

/** One column whose value differs. A value as text, cut to a limit; null for a column that this side does not have. */
export interface Difference {
  readonly column: string;
  readonly source: string | null;
  readonly sink: string | null;
}

/** How many stored rows were compared in which way. */
export interface ComparisonCounters {
  /** Equal to the last byte, which is where it ends for nearly all. */
  byBytes: number;
  /** The others, column by column. */
  byValue: number;
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
  /** A higher version that was stored before this one, in a sink whose readers can have met it. */
  readonly outrankedBy?: string | null;
  /** Equal for two reads exactly when the same bytes were stored; short enough to be kept. */
  readonly fingerprint: string;
  /** What differs from this row of the source; null when the stored values can't be decoded. */
  compare(row: Row): readonly Difference[] | null;
}

/** What a checkpoint covers. */
export interface CoveredChanges {
  readonly version: string;
  readonly covered: GtidSet;
}

/** A part of a table by its keys: those after `after` and not after `upTo`, canonical values in key order; null is no bound. */
export interface KeyRange {
  readonly after: Row | null;
  readonly upTo: Row | null;
}

/** Rows of the source, in the order of their keys. */
export interface RowsOfChunk {
  readonly rows: ReadRows;
  /** Where these were all rows of the source; null when there may have been others between them. */
  readonly range: KeyRange | null;
}

/** What a sink holds of a chunk's rows. */
export interface StoredChunk {
  /** Rows that are stored as the source has them, by a change that the checkpoint covers, and undamaged. */
  readonly equal: number;
  /** The others, by their indexes; there may be equal ones among them. */
  readonly others: readonly number[];
  /** What is stored of them, in their order. */
  readonly stored: readonly (StoredRow | null)[];
  /** False: in the range of the chunk nothing else is stored than its rows, and traces of deleted ones. */
  readonly mayHaveExtras: boolean;
}

/** Something stored under what is not a key of the layout: no change ever overwrites it, no row is it. */
export interface ForeignRow {
  /** Names it to `demote`; opaque. */
  readonly id: string;
  /** What it is stored under, as text for people, cut to a limit. */
  readonly shown: string;
  /** As of a `StoredRow`. */
  readonly fingerprint: string;
}

/** What a sink holds, in no order that means anything. */
export interface ListedPage {
  readonly keys: readonly Row[];
  /** Only true while the table has the layout: the caller makes sure that its generation has not changed. */
  readonly foreign: readonly ForeignRow[];
  /** Whether all keys belong to the selection that was asked for. */
  readonly isExact: boolean;
  /** Where the listing continues after this page, also in another process. */
  readonly after: string;
}

/**
 * What verification asks of a sink. Keys are rows as `rowOfKey` makes them. Where a sink can't be asked at all, `read` and
 * `list` reject with a `notVerifiable`.
 */
export abstract class VerifiedSink {
  /** What is stored for each key, in the order of `keys`; null for nothing. Only what can't be lost again is seen. */
  abstract read(layout: TableLayout, keys: readonly Row[], signal: AbortSignal): Promise<readonly (StoredRow | null)[]>;
  /**
   * Whether `readChunk` sees what else is stored in the range of a chunk. Always the same for a layout's key. What ranges
   * of keys never have in them is still to be listed.
   */
  seesExtras(layout: TableLayout): boolean;
  seesExtras(): boolean {
    return false;
  }
  /**
   * As `read`, of the rows of a chunk; a sink that can tell that a row is equal without making anything of it only counts
   * it. By default it counts none.
   */
  async readChunk(
    layout: TableLayout,
    { rows }: RowsOfChunk,
    _checkpoint: CoveredChanges,
    signal: AbortSignal,
  ): Promise<StoredChunk> {
    const others = Array.from({ length: rows.count }, (_, i) => i);
    const keys = others.map((i) => rowOfKey(layout, keyValues(layout, rows.row(i))));
    return { equal: 0, others, stored: await this.read(layout, keys, signal), mayHaveExtras: true };
  }
  /**
   * The keys of all rows that are stored and not deleted, in pages of about `limit`, from the beginning or after an
   * earlier page. What is stored or changed meanwhile may be given or not, or twice; a page may be empty. With a selection
   * only its rows, as far as the sink can tell, and those that it can't tell. With a part only that: a range, or what is in
   * no range at all; only for a layout of which `seesExtras` says yes.
   */
  abstract list(
    request: {
      readonly layout: TableLayout;
      readonly selection?: RowSelection;
      readonly part?: KeyRange | 'no range';
      readonly after: string | null;
      readonly limit: number;
    },
    signal: AbortSignal,
  ): AsyncIterable<ListedPage>;
  /** Those of `keys` whose changes wait in the quarantine of this sink. */
  abstract listQuarantined(layout: TableLayout, keys: readonly Row[], signal: AbortSignal): Promise<readonly Row[]>;
  /**
   * Makes a damaged row one that any change overwrites, and removes a foreign one, if it is still the one with this
   * fingerprint; a row stays visible. No change that comes in between is lost. True also when a foreign one is gone; false
   * when something else is stored by now; null when this sink can't do that.
   */
  abstract demote(
    layout: TableLayout,
    place: { readonly key: Row } | { readonly foreign: string },
    fingerprint: string,
    signal: AbortSignal,
  ): Promise<boolean | null>;
}
