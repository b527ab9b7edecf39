import { type RowImages, ValueImages } from './row-images.ts';
import { type Row, type TableLayout } from './table-layout.ts';
import { READ_ROW_INDEX } from './version.ts';

/** The transaction that changes belong to; one object for all of them. */
export interface TransactionInfo {
  /** `uuid:number` or `uuid:tag:number`; null where the source has no GTIDs. */
  readonly gtid: string | null;
  readonly serverId: number;
  /** UUID of the server whose log was read (not of the one that the transaction began on). */
  readonly serverUuid: string;
  readonly file: string;
  /** Byte offset of the transaction's first event in `file`; may exceed 32 bits. */
  readonly offset: number;
  /** Commit time on the server where it was first committed, microseconds since 1970. */
  readonly commitMicros: number;
  /** The first three parts of the version of its changes: lineage, file number, offset; 28 hexadecimal digits. */
  readonly versionPrefix: string;
}

export type RowOperation = 'create' | 'update' | 'delete' | 'read';

/**
 * One row change. `before` is null for create and read, `after` is null for delete. A delete that a read found out (the
 * row is no longer there) has what a read has: its window, read sequence and row index.
 */
export interface RowChange {
  readonly op: RowOperation;
  readonly layout: TableLayout;
  readonly before: Row | null;
  readonly after: Row | null;
  /** For what a read found: the last dispatched transaction when its window closed. */
  readonly transaction: TransactionInfo;
  /** Index of the row image in its transaction from 0; 0xffffffff for what a read found. */
  readonly rowIndex: number;
  /** 0 for a change from the log; for what a read found the sequence number of its window. */
  readonly readSequence: number;
  /** For what a read found: the identity of its window; null for a change from the log. */
  readonly windowId: string | null;
  /** True for the delete and the create that an update of the key was split into (`splitKeyChange`). */
  readonly isHalfOfKeyChange?: boolean;
}

/** The changes of one rows event of the log, or of one read: of one table, one operation, one transaction. */
export interface RowChanges {
  readonly op: RowOperation;
  readonly layout: TableLayout;
  readonly count: number;
  /** One image for each change of an update or delete; else null. */
  readonly before: RowImages | null;
  /** One image for each change of a create, update or read; else null. */
  readonly after: RowImages | null;
  readonly transaction: TransactionInfo;
  /** Row index of the first change; the others count on from it. What a read found has `READ_ROW_INDEX` throughout. */
  readonly firstRowIndex: number;
  readonly readSequence: number;
  readonly windowId: string | null;
}

export function rowIndexAt({ windowId, firstRowIndex }: RowChanges, index: number): number {
  return windowId !== null ? READ_ROW_INDEX : firstRowIndex + index;
}

/** One of the changes by itself, with its values. */
export function changeAt(changes: RowChanges, index: number): RowChange {
  const { op, layout, before, after, transaction, readSequence, windowId } = changes;
  return {
    op,
    layout,
    before: before === null ? null : before.row(index),
    after: after === null ? null : after.row(index),
    transaction,
    rowIndex: rowIndexAt(changes, index),
    readSequence,
    windowId,
  };
}

/** One change as the only one of its kind. */
export function asRowChanges({ op, layout, before, after, transaction, rowIndex, ...read }: RowChange): RowChanges {
  const { readSequence, windowId } = read;
  const images = (row: Row | null): RowImages | null => (row === null ? null : new ValueImages(layout, [row]));
  return {
    op,
    layout,
    count: 1,
    before: images(before),
    after: images(after),
    transaction,
    firstRowIndex: rowIndex,
    readSequence,
    windowId,
  };
}

/** What ends all rows of a table at once: a statement of the log, a key that changed, or a resync. */
export interface TableChange {
  readonly op: 'truncate' | 'drop';
  readonly layout: TableLayout;
  readonly transaction: TransactionInfo;
  readonly rowIndex: number;
  /** With what reads have for a row index, where it is not a statement of the log: above all that was read until then. */
  readonly readSequence?: number;
  /** Its identity when it is in no log; left out otherwise. */
  readonly id?: string;
}
