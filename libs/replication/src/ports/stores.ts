import { type Checkpoint, type StoredCheckpoint } from '#change-events';

/** The right to move a source's state: whoever holds the newest token (I5). */
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

export type TableSnapshotState = 'pending' | 'running' | 'done' | 'unavailable';

export interface TableSnapshotProgress {
  readonly database: string;
  readonly table: string;
  readonly state: TableSnapshotState;
  /** JSON text of the canonical key of the last confirmed chunk's last row (`encodeKeyValues`); null before the first. */
  readonly lastKey: string | null;
  readonly rowsRead: number;
  readonly estimatedRows: number;
  /** Why a table is `unavailable`; else null. */
  readonly reason: string | null;
  /**
   * Set when the read also ends rows that are gone: '' until it begins, then a version that outranks all that was given
   * to the sinks before. Documents below it that the read does not meet are looked up by key. Null: the read ends none.
   */
  readonly endsBelow: string | null;
  /** While it is `running`: the table was asked for once more, and is read again when this read is complete. */
  readonly again: boolean;
}

/** Durable progress of a source's snapshot, under the same fencing rule as `CheckpointStore`. */
export abstract class SnapshotStore {
  abstract load(source: string): Promise<readonly TableSnapshotProgress[]>;
  /** Saves all of it or nothing; a table is in it once at most. */
  abstract save(grant: Grant, progress: readonly TableSnapshotProgress[]): Promise<void>;
  /** Keeps that numbers of reads up to this one may be in use. */
  abstract reserveReads(grant: Grant, upTo: number): Promise<void>;
  /** The highest number that was reserved in the current lineage; 0 at first. */
  abstract reservedReads(source: string): Promise<number>;
}

/**
 * A resync that was asked for and is not finished. It outlives every process: whoever owns the source next finishes it.
 * Writes are under the same fencing rule as `CheckpointStore`.
 */
export abstract class ResyncStore {
  /** Who asked for it; null when none is pending. */
  abstract pendingFor(source: string): Promise<string | null>;
  abstract request(grant: Grant, askedBy: string): Promise<void>;
  /** Snapshot progress of these tables is `pending` again, before the first row: of all of them, or of none. */
  abstract startOver(
    grant: Grant,
    tables: readonly { readonly database: string; readonly table: string }[],
  ): Promise<void>;
  /** The sinks have no row: none has a key any more (`KeyStore`). */
  abstract finish(grant: Grant): Promise<void>;
}

/**
 * An operator's word that a source may go on in a log that can't be proven to be the one that was read. It outlives every
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

/** The key that the rows of a table have in the sinks. */
export interface TableKey {
  readonly database: string;
  readonly table: string;
  /** As `describeKey` says it. */
  readonly key: string;
  /** The version that the stream was at when rows were first delivered under it. */
  readonly since: string;
}

/** Keys of tables, durable, under the same fencing rule as `CheckpointStore`. A resync that is finished forgets all. */
export abstract class KeyStore {
  abstract load(source: string): Promise<readonly TableKey[]>;
  abstract save(grant: Grant, keys: readonly TableKey[]): Promise<void>;
  abstract forget(grant: Grant, table: { readonly database: string; readonly table: string }): Promise<void>;
}

/** Which columns the rows in the sinks are made without, as the patterns of the configuration. */
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
