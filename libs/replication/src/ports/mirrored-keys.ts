import { type Row, type RowSelection, type TableLayout, type TableName } from '#change-events';

/** Lists what a mirror holds of a table. */
export abstract class MirroredKeys {
  /** The highest version of a lineage up to this one that a document or tombstone has; '' when there is none. */
  abstract newestVersion(table: TableName, lineage: number): Promise<string>;
  /**
   * Rows as `rowOfKey` makes them, in pages of at most `limit`: those whose document has a version above `above` ('' for
   * any) and below `below` and is no tombstone, and with `tombstonesAbove` also those whose tombstone has a version
   * between that and `below`. What a majority
   * has confirmed is seen; what changes during that may be listed or not. A document whose `_id` is not a key of the
   * layout is left out, with a warning.
   */
  abstract list(request: {
    readonly layout: TableLayout;
    readonly above: string;
    readonly below: string;
    readonly tombstonesAbove: string | null;
    readonly limit: number;
  }): AsyncIterable<readonly Row[]>;
  /**
   * Rows as `rowOfKey` makes them, from the beginning or after an earlier page: those that are no tombstones and belong to
   * the selection. Where the mirror can't tell, others too: `isExact` says whether it can. What is seen, and left out, as
   * of `list`.
   */
  abstract select(request: {
    readonly layout: TableLayout;
    readonly selection: RowSelection;
    readonly after: string | null;
    readonly limit: number;
  }): AsyncIterable<SelectedKeys>;
}

export interface SelectedKeys {
  readonly keys: readonly Row[];
  readonly isExact: boolean;
  /** Where the listing continues after this page, also in another process. */
  readonly after: string;
}
