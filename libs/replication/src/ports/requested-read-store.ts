import { type TableName } from '#change-events';
import { type Grant } from './stores.ts';

/** What is to be read of a table. */
export type ReadScope =
  /** All rows; rows that are gone end, if there is a mirror. */
  | { readonly kind: 'table' }
  /** The rows with these keys (`encodeKeyValues`), in any order; those that the table does not have end in the sinks. */
  | { readonly kind: 'keys'; readonly keys: readonly string[] };

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
  /** Reads and deletes that were given to the sinks: the log was newer for the others. Null for a whole table. */
  readonly emitted: number | null;
  /** Keys that the source did not have. Null for a whole table. */
  readonly gone: number | null;
}

/** How far a read has come. It ends as done, failed or cancelled, and stays so. */
export interface ReadProgress {
  readonly state: 'accepted' | 'running' | 'done' | 'failed' | 'cancelled';
  readonly counts: ReadCounts;
  /** Keys from the front of the list that are confirmed by every sink. */
  readonly confirmedKeys: number;
  /** Why it failed; else null. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface RequestedRead extends NewRead, ReadProgress {
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}

/**
 * Reads that were asked for. They outlive every process: any may accept one, and whoever owns the source executes it, at
 * least once. Writes of the owner are under the same fencing rule as `CheckpointStore`.
 */
export abstract class RequestedReadStore {
  /** Nothing happens when its id is known. */
  abstract accept(read: NewRead): Promise<void>;
  abstract find(id: string): Promise<RequestedRead | null>;
  /** Those that have not ended, oldest first. */
  abstract listOpen(source: string, most: number): Promise<readonly RequestedRead[]>;
  /** Resolves with false, and changes nothing, when the read has ended. */
  abstract save(grant: Grant, id: string, progress: ReadProgress): Promise<boolean>;
  /** The owner stops at its next step. Resolves with false when the read has ended. */
  abstract cancel(id: string): Promise<boolean>;
}
