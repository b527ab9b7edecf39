import { type RowScope, type TableName } from '#change-events';
import { type Grant } from './stores.ts';

/** What is to be read. Rows that are gone end in the sinks: those of keys always, others if there is a mirror. */
export type ReadScope =
  /** All included tables that have a key; the read has no table, both of its names are ''. */
  | { readonly kind: 'source' }
  /** All rows of the table. */
  | { readonly kind: 'table' }
  /** Some. Once the read has ended its keys are not kept. */
  | RowScope;

/** A read that is asked for. */
export interface NewRead extends TableName {
  /** Unique. Whoever asks chooses it, so that a request that is sent twice is one. */
  readonly id: string;
  readonly source: string;
  readonly scope: ReadScope;
  /** Why, for whoever looks at it later. */
  readonly reason: string;
  readonly actor: string;
  readonly acceptedAtMs: number;
}

export interface ReadCounts {
  /** Rows that the source had. */
  readonly read: number;
  /** Reads and deletes that were given to the sinks: the log was newer for the others. Null for whole tables. */
  readonly emitted: number | null;
  /** Keys that the source did not have. Null for whole tables. */
  readonly gone: number | null;
}

/** Where the read of a range or a filter goes on. `gone`: what the mirror has is looked up in the source. */
export interface ReadPlace {
  readonly phase: 'rows' | 'gone';
  /** The last key, or the mirror's own place, that is confirmed; null for the beginning. */
  readonly after: string | null;
}

/** How far a read has come. It ends as done, failed or cancelled, and stays so. */
export interface ReadProgress {
  readonly state: 'accepted' | 'running' | 'done' | 'failed' | 'cancelled';
  readonly counts: ReadCounts;
  /** Keys from the front of the list that are confirmed by every sink. */
  readonly confirmedKeys: number;
  /** Null before the first row of a range or a filter, and for other reads. */
  readonly place: ReadPlace | null;
  /** Rows of the whole tables that are read, roughly; null where that is not known. */
  readonly estimatedRows: number | null;
  /** Why it failed, or why its last attempt did when it is tried again; else null. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface RequestedRead extends NewRead, ReadProgress {
  /** How many keys were asked for; null for other scopes. */
  readonly keyCount: number | null;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}

/** Without the rows that it reads: their keys can be a mebibyte. */
export interface ListedRead extends Omit<RequestedRead, 'scope'> {
  readonly kind: ReadScope['kind'];
}

/** A read that may be next. */
export interface NextRead extends TableName {
  readonly id: string;
  readonly kind: ReadScope['kind'];
}

/** Which reads are listed. */
export interface ReadListing {
  /** Only those that have not ended. */
  readonly onlyOpen: boolean;
  /** The read that the last page ended with; null for the first page. */
  readonly before: string | null;
  readonly limit: number;
  /** Only those that surely read this row: all tables, its table as a whole, or its key (`encodeKeyValues`) as long as keys are kept. */
  readonly ofRow?: TableName & { readonly key: string };
}

/**
 * Reads that were asked for. They outlive every process: any may accept one, and whoever owns the source executes it, at
 * least once. Writes of the owner are under the same fencing rule as `CheckpointStore`.
 */
export abstract class RequestedReadStore {
  /**
   * Nothing happens when its id is known, for the same rows of the same source; for others it is rejected with
   * `DITTO_READ_ID_TAKEN`.
   */
  abstract accept(read: NewRead): Promise<void>;
  abstract find(id: string): Promise<RequestedRead | null>;
  /** Of each table, and each kind of scope, the oldest that has not ended; oldest first. */
  abstract listNext(source: string): Promise<readonly NextRead[]>;
  /** Newest first. */
  abstract list(source: string, listing: ReadListing): Promise<readonly ListedRead[]>;
  /** Resolves with false, and changes nothing, when the read has ended. */
  abstract save(grant: Grant, id: string, progress: ReadProgress): Promise<boolean>;
  /** The owner stops at its next step. Resolves with false when the read has ended. */
  abstract cancel(id: string): Promise<boolean>;
}
