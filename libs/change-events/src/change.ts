import { type Row, type TableLayout } from './table-layout.ts';

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

/** One row change. `before` is null for create and read, `after` is null for delete. */
export interface RowChange {
  readonly op: RowOperation;
  readonly layout: TableLayout;
  readonly before: Row | null;
  readonly after: Row | null;
  /** For a read: the last dispatched transaction when its window closed. */
  readonly transaction: TransactionInfo;
  /** Index of the row image in its transaction from 0; 0xffffffff for a read. */
  readonly rowIndex: number;
  /** 0 for a change from the log; for a read the sequence number of its window. */
  readonly readSequence: number;
  /** For a read: the identity of its window; else null. */
  readonly windowId: string | null;
  /** True for the delete and the create that an update of the key was split into (`splitKeyChange`). */
  readonly isHalfOfKeyChange?: boolean;
}

/** What ends all rows of a table at once: a statement of the log, or a resync. */
export interface TableChange {
  readonly op: 'truncate' | 'drop';
  readonly layout: TableLayout;
  readonly transaction: TransactionInfo;
  readonly rowIndex: number;
  /** Its identity when it stands in no log; else left out. */
  readonly id?: string;
}
