import { type TableName } from '#change-events';
import { type MismatchKind } from '../judgement.ts';
import { type MismatchDetails, type MismatchRecord } from './mismatch-store.ts';

/**
 * `planned`: waits for its turn. `reading`: its row is read again by DSS. `verifying`: that is done and confirmed, and the
 * row is to be compared. `failed`: it will be tried again. `repaired` and `given up` are final.
 */
export type RepairState = 'planned' | 'reading' | 'verifying' | 'failed' | 'repaired' | 'given up';

/** What the sink has of the key once it was found equal. */
export interface RepairOutcome {
  /** Null when the sink has nothing, not even the trace of a deleted row. */
  readonly version: string | null;
  readonly isDeleted: boolean;
}

/** One mismatch that is being put right, or was. */
export interface RepairRecord extends TableName {
  /** Grows. */
  readonly id: string;
  readonly source: string;
  readonly sink: string;
  /** As those of the mismatch. */
  readonly key: string;
  readonly isKey: boolean;
  readonly mismatchId: string;
  readonly kind: MismatchKind;
  readonly state: RepairState;
  /** How often it was tried: its row was read again, or an error came before that. */
  readonly attempts: number;
  /** The last read that was asked for; null before the first. */
  readonly readId: string | null;
  /** What was found wrong before the first attempt. */
  readonly before: MismatchDetails;
  /** Of one that is repaired, else null. */
  readonly after: RepairOutcome | null;
  /** Who asked for it: a person, or the service by its policy. */
  readonly actor: string;
  /** Why it waits, has failed or was given up. */
  readonly reason: string | null;
  readonly plannedAtMs: number;
  /** Not before this moment. */
  readonly nextAtMs: number;
  readonly endedAtMs: number | null;
}

export interface RepairFilter {
  readonly source?: string;
  readonly database?: string;
  readonly table?: string;
  readonly sink?: string;
  readonly states?: readonly RepairState[];
  readonly mismatchId?: string;
}

export interface RepairPage {
  /** The id that the page begins after; null for the first. */
  readonly after: string | null;
  readonly limit: number;
}

export interface RepairChange {
  readonly to: RepairState;
  readonly reason?: string | null;
  readonly attempts?: number;
  readonly nextAtMs?: number;
  readonly after?: RepairOutcome;
}

/** A table in which too much differs: nothing in it is repaired by itself until a person says so. */
export interface RepairBreaker extends TableName {
  readonly source: string;
  /** Null when it is closed. */
  readonly openedAtMs: number | null;
  /** How many mismatches were found within the hour before it opened. */
  readonly found: number;
  /** When a person closed it last, and who; null for never. */
  readonly closedAtMs: number | null;
  readonly closedBy: string | null;
}

/** Repairs of this actor in these tables. */
export interface HeldRepairs {
  readonly actor: string;
  readonly tables: readonly TableName[];
}

/** A table with mismatches that nobody has taken up. */
export interface OpenTable extends TableName {
  readonly open: number;
}

/**
 * Repairs, and what bounds them. Any number of workers may use it at once: every change names the states that it begins
 * in, so what two of them do counts once.
 */
export abstract class RepairStore {
  /** One for each mismatch that has none under way; a person takes over one that only waits. Repeatable. */
  abstract plan(mismatches: readonly MismatchRecord[], actor: string, nowMs: number): Promise<void>;
  abstract find(id: string): Promise<RepairRecord | null>;
  /** Oldest first. */
  abstract list(filter: RepairFilter, page: RepairPage): Promise<readonly RepairRecord[]>;
  /** Those of a source in one of these states whose moment has come, and that are not held, oldest first. */
  abstract listDue(
    source: string,
    states: readonly RepairState[],
    nowMs: number,
    most: number,
    held?: HeldRepairs,
  ): Promise<readonly RepairRecord[]>;
  /** Those that are planned or failed begin to be read, with one attempt more. Others are left alone. */
  abstract beginRead(ids: readonly string[], readId: string): Promise<void>;
  /** Those that the read is for, and that still wait for it; always in the same order. */
  abstract listByRead(readId: string): Promise<readonly RepairRecord[]>;
  /** Resolves with how many were in one of these states. */
  abstract change(ids: readonly string[], from: readonly RepairState[], change: RepairChange): Promise<number>;

  /** Tables of a source with open mismatches. */
  abstract listOpenTables(source: string): Promise<readonly OpenTable[]>;
  /** Mismatches of a table that were found first after a moment, in whatever state. */
  abstract countFound(source: string, table: TableName, sinceMs: number): Promise<number>;
  /** Tables of a source with repairs of this actor that wait to be read. */
  abstract listWaitingTables(source: string, actor: string): Promise<readonly TableName[]>;
  /** Repairs of a table that this actor has planned after a moment. */
  abstract countPlanned(source: string, table: TableName, actor: string, sinceMs: number): Promise<number>;
  /** Those that were ever opened. */
  abstract listBreakers(source?: string): Promise<readonly RepairBreaker[]>;
  /** Resolves with false when it is open already. */
  abstract openBreaker(source: string, table: TableName, found: number, nowMs: number): Promise<boolean>;
  /** Resolves with false when it is not open. */
  abstract closeBreaker(source: string, table: TableName, actor: string, nowMs: number): Promise<boolean>;
}
