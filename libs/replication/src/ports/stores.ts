import { type Checkpoint, type StoredCheckpoint, type TableLayout } from '#change-events';

/** The right to move a source's state: held by the owner of the newest token (I5). */
export interface Grant {
  readonly source: string;
  readonly owner: string;
  /** Grows with each grant of the source. */
  readonly token: number;
}

/**
 * Keeps checkpoints. `save` accepts only the newest fencing token of the source: an older one gets
 * `DITTO_LEASE_FENCED` (not retriable); one that ranks below what is there (`checkpointRank`) changes nothing. A store that
 * can't be reached throws a retriable error.
 */
export abstract class CheckpointStore {
  abstract load(source: string): Promise<StoredCheckpoint | null>;
  abstract save(grant: Grant, checkpoint: Checkpoint): Promise<void>;
}

/**
 * How far the copy of a table has come. Rows that are gone: rows that the sinks know and the table does not have, although
 * the log has not said so. They end after a reading of the table, among the documents whose version is below `goneBelow`,
 * which outranks all that was given to the sinks before the reading began.
 */
export type CopyState =
  /** Nobody asked for a copy: snapshots are off, or the table is not included. */
  | { readonly state: 'none' }
  /** To be read from its first row. `endsGone`: rows that are gone end as well. */
  | { readonly state: 'pending'; readonly endsGone: boolean }
  | {
      readonly state: 'copying';
      /** JSON text of the canonical key of the last confirmed chunk's last row (`encodeKeyValues`); null before the first. */
      readonly after: string | null;
      readonly rowsRead: number;
      /** Null: this reading ends no rows. */
      readonly goneBelow: string | null;
      /** The table was asked for again: it is read again, and rows that are gone end, when this reading is complete. */
      readonly again: boolean;
    }
  /**
   * All rows are read and confirmed; rows that are gone are looked for. With `above` only rows and tombstones whose version
   * is above it are in doubt: what only a lost server had may have changed them, and all of them are looked up.
   */
  | {
      readonly state: 'ending';
      readonly rowsRead: number;
      readonly goneBelow: string;
      readonly above?: string;
      readonly again: boolean;
    }
  | { readonly state: 'done'; readonly rowsRead: number }
  /** It can't be read: it has no key, or is not there. */
  | { readonly state: 'unavailable'; readonly reason: string };

/** By what the rows of a table in the sinks are made. */
export interface AdoptedLayout {
  /** As `describeKey` says it: the key that they have. */
  readonly key: string;
  /** The version that the stream was at when rows were first delivered under this key. */
  readonly since: string;
  /** Columns without the excluded ones, and key; null when that is from before layouts were kept. */
  readonly layout: TableLayout | null;
}

/** What is durable of one table. */
export interface TableRecord {
  readonly database: string;
  readonly table: string;
  readonly estimatedRows: number;
  readonly copy: CopyState;
  /**
   * Never falls. Raised by whatever makes the sinks differ from the table for a while: a copy, a re-read, a resync, other
   * columns, another key, the end of the table. It is stored before a checkpoint passes the cause. So who sees the table
   * copied, compares it with the sinks, and then sees it copied under the same number knows that none of these came between.
   */
  readonly generation: number;
  /** Null: the sinks were given no row. */
  readonly adopted: AdoptedLayout | null;
}

/** What is durable of a source's tables, and of their reads, under the same fencing rule as `CheckpointStore`. */
export abstract class TableStore {
  abstract load(source: string): Promise<readonly TableRecord[]>;
  /**
   * Saves all of it or nothing; a table is in it once at most. `hasSameAdopted` says of which records the store has the
   * adopted layout already; it need not be written again.
   */
  abstract save(
    grant: Grant,
    records: readonly TableRecord[],
    hasSameAdopted?: (record: TableRecord) => boolean,
  ): Promise<void>;
  /** Keeps that numbers of reads up to this one may be in use. */
  abstract reserveReads(grant: Grant, upTo: number): Promise<void>;
  /** The highest number that was reserved in the current lineage; 0 at first. */
  abstract reservedReads(source: string): Promise<number>;
}

export interface PendingResync {
  /** Null where it is part of a loss that is given up: it is done only where that is proven anew. */
  readonly askedBy: string | null;
}

/**
 * A resync that was asked for and is not finished. It outlives every process: the next owner of the source finishes it.
 * Writes are under the same fencing rule as `CheckpointStore`.
 */
export abstract class ResyncStore {
  abstract pendingFor(source: string): Promise<PendingResync | null>;
  /** One that is part of a loss does not take the place of one that an operator asked for. */
  abstract request(grant: Grant, askedBy: string | null): Promise<void>;
  /** The one that is part of a loss is not to be done: nothing is lost any more, or the loss is not given up. */
  abstract withdraw(grant: Grant): Promise<void>;
  /** The copies of these tables are `pending` again: of all of them, or of none. */
  abstract startOver(
    grant: Grant,
    tables: readonly { readonly database: string; readonly table: string }[],
  ): Promise<void>;
  /** The sinks have no row: no table has an adopted layout any more. */
  abstract finish(grant: Grant): Promise<void>;
}

/**
 * An operator's word that a source may continue in a log that can't be proven to be the one that was read. It outlives every
 * process and is used up by the next start. Writes are under the same fencing rule as `CheckpointStore`.
 */
export abstract class LogAcceptanceStore {
  /** Who gave it; null when there is none. */
  abstract acceptedBy(source: string): Promise<string | null>;
  abstract accept(grant: Grant, acceptedBy: string): Promise<void>;
  abstract finish(grant: Grant): Promise<void>;
}

/**
 * A rewind that was asked for and is not finished: streaming again from before the place where a sink has lost what it had
 * confirmed. It outlives every process. Writes are under the same fencing rule as `CheckpointStore`.
 */
export abstract class RewindStore {
  /** Who asked for it; null when none is pending. */
  abstract pendingFor(source: string): Promise<string | null>;
  abstract request(grant: Grant, askedBy: string): Promise<void>;
  /** It can't be done; what was lost stays recorded. */
  abstract giveUp(grant: Grant): Promise<void>;
  /**
   * What was lost is forgotten, and the copies of these tables begin again before the first row, of those that have begun:
   * all of it or nothing.
   */
  abstract finish(
    grant: Grant,
    tables: readonly { readonly database: string; readonly table: string }[],
  ): Promise<void>;
}

export interface PendingSwitch {
  /** `host:port` */
  readonly to: string;
  /** Null where Ditto itself decided it. */
  readonly askedBy: string | null;
  /** GTIDs that were given to the sinks and are lost for good: the server need not have them. '' where it must have all. */
  readonly givesUp: string;
}

/** A checkpoint of the past: all of its GTID set has a version up to its own, everything else a higher one. */
export type PastCheckpoint = Pick<Checkpoint, 'lineage' | 'version' | 'lastCovered' | 'savedAtMs'> & {
  readonly gtidSet: string;
};

/** Some of the checkpoints that a source had: closely for the last minutes, thinned out for the last day. */
export abstract class CheckpointTrail {
  /** The one with the highest version first. */
  abstract list(source: string): Promise<readonly PastCheckpoint[]>;
}

/**
 * A switch to another endpoint that was asked for and is not done. It outlives every process. Writes are under the same
 * fencing rule as `CheckpointStore`.
 */
export abstract class SwitchStore {
  abstract pendingFor(source: string): Promise<PendingSwitch | null>;
  /** One that Ditto itself decided does not take the place of one that an operator asked for: then false, and it is not kept. */
  abstract request(grant: Grant, wanted: PendingSwitch): Promise<boolean>;
  /** This one is done, or can't be done; one that was asked for since stays. */
  abstract finish(grant: Grant, done: PendingSwitch): Promise<void>;
}

/**
 * Which columns the rows in the sinks are made without, as the patterns of the configuration: adopted layouts do not show
 * a column that is excluded from one that a statement took away.
 */
export abstract class ColumnStore {
  /** Sorted; null for a source of which none were ever kept. */
  abstract excludedBy(source: string): Promise<readonly string[] | null>;
  /**
   * Keeps the patterns and has these tables read from their first row: all of it or nothing. Under the same fencing rule
   * as `CheckpointStore`.
   */
  abstract adopt(
    grant: Grant,
    patterns: readonly string[],
    tables: readonly { readonly database: string; readonly table: string }[],
  ): Promise<void>;
}

/** Lineages, raised in one transaction of the state database before the first change that uses them. */
export abstract class LineageStore {
  /** The current lineage; 0 when the source was never seen. */
  abstract current(source: string): Promise<number>;
  abstract raise(grant: Grant, to: number, reason: string): Promise<void>;
}
