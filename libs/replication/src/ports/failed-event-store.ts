import { type TableName } from '#change-events';
import { type Grant } from './stores.ts';
import { type QuarantinedKey } from './quarantined-keys.ts';
import { type RefusedChange } from './refused-changes.ts';

/**
 * open: the row is in the quarantine, and is tried again; discarded: somebody has accepted that the sink lacks it, and the
 * next newer change of the row is delivered; delivered: the sink has the row again; ended: all rows of its table have ended.
 */
export type FailedEventState = 'open' | 'discarded' | 'delivered' | 'ended';

export interface NewFailedEvent extends RefusedChange {
  readonly sink: string;
  readonly code: string;
  readonly message: string;
}

/** A row that a sink lacks since it refused a change of it. Times are milliseconds since 1970. */
export interface FailedEvent extends TableName, Omit<NewFailedEvent, 'table' | 'id' | 'lackingSince'> {
  readonly id: string;
  readonly source: string;
  readonly state: FailedEventState;
  /** Of the change that was refused last, as `changeId` gives it; the same of version, place and payload. */
  readonly changeId: string;
  /** How often it was tried to deliver the row: the first time, and each retry. */
  readonly attempts: number;
  /** Changes of the row that were held back since; roughly, after a crash. */
  readonly laterChanges: number;
  readonly firstFailedMs: number;
  readonly lastFailedMs: number;
  /** Of the last change that was held back. */
  readonly lastChangeMs: number | null;
  /** When the row is read again; null when it has left the quarantine, or was discarded. */
  readonly nextRetryMs: number | null;
  /** The last read that was asked for. */
  readonly readId: string | null;
  /** Why it was discarded, and by whom. */
  readonly reason: string | null;
  readonly actor: string | null;
  readonly endedAtMs: number | null;
}

/** A failed event without what was refused. */
export type ListedFailedEvent = Omit<FailedEvent, 'payload'>;

export interface FailedEventFilter {
  readonly source?: string;
  readonly database?: string;
  readonly table?: string;
  readonly sink?: string;
  readonly code?: string;
  readonly key?: string;
  readonly states?: readonly FailedEventState[];
}

export interface FailedEventCount extends TableName {
  readonly source: string;
  readonly sink: string;
  readonly state: FailedEventState;
  readonly count: number;
}

/** A row that is in the quarantine of a sink. */
export interface StoredQuarantinedKey extends QuarantinedKey {
  readonly sink: string;
  /** Of the change that was refused last. */
  readonly version: string;
  /** As `FailedEvent.changeId`. */
  readonly changeId: string;
  readonly isDiscarded: boolean;
}

/** What has become of the quarantine of a source since it was stored last. */
export interface QuarantineChanges {
  readonly held: readonly (QuarantinedKey & {
    readonly sink: string;
    readonly count: number;
    readonly lastMs: number;
  })[];
  /** Rows that a sink has taken, with the version of the change. */
  readonly delivered: readonly (QuarantinedKey & { readonly sink: string; readonly version: string })[];
  readonly endedTables: readonly (TableName & { readonly sink: string; readonly version: string })[];
}

/**
 * Rows that sinks lack: one record for each row and sink. Writes of the owner are under the same fencing rule as
 * `CheckpointStore`; others may retry and discard.
 */
export abstract class FailedEventStore {
  /** The quarantine of a source: what is open, and what was discarded; or one of the two. */
  abstract load(source: string, state?: 'open' | 'discarded'): Promise<readonly StoredQuarantinedKey[]>;
  /**
   * Resolves when it is durable, with the audit entry of a row that was not in the quarantine before. False: the row stays
   * discarded, since it was for this change, or a newer one, that is delivered again, or the row was only read.
   */
  abstract record(grant: Grant, event: NewFailedEvent, nextRetryMs: number): Promise<boolean>;
  abstract settle(grant: Grant, changes: QuarantineChanges): Promise<void>;
  abstract find(id: string): Promise<FailedEvent | null>;
  /** Oldest first. */
  abstract list(
    filter: FailedEventFilter,
    page: { readonly after: string | null; readonly limit: number },
  ): Promise<readonly ListedFailedEvent[]>;
  /** Those of the keys that are in the quarantine of the sink. */
  abstract findQuarantined(
    source: string,
    sink: string,
    table: TableName,
    keys: readonly string[],
  ): Promise<readonly string[]>;
  /** Which of these changes the sink lacks because they were refused or held back; also where the row has left since. */
  abstract findLacking(
    source: string,
    sink: string,
    table: TableName,
    changes: readonly { readonly key: string; readonly version: string }[],
  ): Promise<readonly boolean[]>;
  /** Open ones whose time to be read again has come, and whose last read has ended; those that wait longest first. */
  abstract listDue(source: string, nowMs: number, most: number): Promise<readonly ListedFailedEvent[]>;
  /** A read of these was asked for; the next comes after a time that doubles with each attempt. */
  abstract retried(
    ids: readonly string[],
    readId: string,
    nowMs: number,
    backoff: { readonly initialMs: number; readonly maxMs: number },
  ): Promise<void>;
  /** False when it is not open. */
  abstract discard(id: string, reason: string, actor: string): Promise<boolean>;
  /** Those that are open or discarded. */
  abstract count(): Promise<readonly FailedEventCount[]>;
}
