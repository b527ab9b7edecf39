import { type TableName } from '#change-events';
import { type MismatchKind } from '../judgement.ts';
import { type Difference } from './verified-sink.ts';

/**
 * `open`: waits for a repair or a person. `repairing`: a repair has it. `given up`: its repair was; it waits for a person.
 * `repaired`: a repair was verified. `gone`: found equal later without a repair. `ignored`: a person has said that it may
 * stay; it is one no more when it is found equal.
 */
export type MismatchState = 'open' | 'repairing' | 'given up' | 'repaired' | 'gone' | 'ignored';

/** In these states the sink was not found equal since. There is at most one such record for each key of a sink. */
export const CURRENT_STATES: readonly MismatchState[] = ['open', 'repairing', 'given up', 'ignored'];

/** By which way of comparing something was found: the values by Ditto's own codecs, or texts made without them. */
export type Way = 'first' | 'second';

export interface MismatchDetails {
  /** `second`: only the second way has found it; the first finds the row equal. */
  readonly way: Way;
  /** Of a `different` row; values as text, cut to a limit. */
  readonly differences: readonly Difference[];
  /** Of a `damaged` one: what is wrong with it. */
  readonly damage: string | null;
  /** What the sink has; null when it has nothing, or nothing of the form of a version. */
  readonly storedVersion: string | null;
  /** Of what the sink has, as of a `StoredRow`: a damaged one may be overwritten only while it has this. */
  readonly fingerprint: string | null;
  /** What is not stored under a key: its place, as text for people. */
  readonly shown: string | null;
  /** Of a `gap`. */
  readonly change?: LostChange;
}

/** A change of the log that a topic has no message of. */
export interface LostChange {
  /** `ditto.id` */
  readonly id: string;
  readonly version: string;
  /** Of its transaction, and the place where that begins in the log. */
  readonly gtid: string | null;
  readonly file: string;
  readonly offset: number;
  /** Index of the row in the transaction. */
  readonly row: number;
  readonly op: 'create' | 'update' | 'delete';
  /** As in the messages of the row. */
  readonly key: string;
}

/** What a verification has found. */
export interface NewMismatch extends TableName {
  readonly source: string;
  readonly sink: string;
  /** As `encodeKeyValues`; of a `ForeignRow`, its id; of a `gap`, the `ditto.id` of the change. */
  readonly key: string;
  /** False for a `ForeignRow`, something that is stored under no key of the table, and for a `gap`. */
  readonly isKey: boolean;
  readonly kind: MismatchKind;
  readonly details: MismatchDetails;
  /** Null when it was found outside of a run. */
  readonly runId: string | null;
  readonly seenAtMs: number;
}

export interface MismatchRecord extends Omit<NewMismatch, 'seenAtMs'> {
  /** Grows. */
  readonly id: string;
  /** The newest run that found it; null when none has. */
  readonly runId: string | null;
  readonly state: MismatchState;
  /** Why it has this state, and who decided so; null for what a verification decides. */
  readonly reason: string | null;
  readonly actor: string | null;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  /** How many runs have found it. */
  readonly timesSeen: number;
  readonly changedAtMs: number;
}

export interface MismatchFilter {
  readonly source?: string;
  readonly database?: string;
  readonly table?: string;
  /** As `encodeKeyValues`. */
  readonly key?: string;
  readonly sink?: string;
  readonly kind?: MismatchKind;
  readonly exceptKind?: MismatchKind;
  readonly states?: readonly MismatchState[];
  readonly runId?: string;
  /** Those that were seen last before this moment. */
  readonly seenBeforeMs?: number;
}

export interface MismatchPage {
  /** The id that the page begins after; null for the first. */
  readonly after: string | null;
  readonly limit: number;
}

export interface StateChange {
  readonly to: MismatchState;
  readonly reason?: string;
  readonly actor?: string;
}

export interface MismatchCount {
  readonly source: string;
  readonly sink: string;
  readonly kind: MismatchKind;
  readonly state: MismatchState;
  readonly count: number;
}

/** Rows that were found to differ. A key that differs for a while has one record, however often that is found. */
export abstract class MismatchStore {
  /**
   * A known one keeps its state, and its run when it is found again outside of one; all else is as found now. Repeatable:
   * a run counts once. Resolves with those that are new, in their order.
   */
  abstract record(found: readonly NewMismatch[]): Promise<readonly NewMismatch[]>;
  /** How many of these are ignored now. */
  abstract countIgnored(found: readonly NewMismatch[]): Promise<number>;
  abstract find(id: string): Promise<MismatchRecord | null>;
  /** Oldest first. */
  abstract list(filter: MismatchFilter, page: MismatchPage): Promise<readonly MismatchRecord[]>;
  /** Resolves with false, and changes nothing, when its state is not one of `from`. */
  abstract changeState(id: string, from: readonly MismatchState[], change: StateChange): Promise<boolean>;
  /** Of those that are current. */
  abstract count(): Promise<readonly MismatchCount[]>;
  /** Removes those that ended, repaired or gone, before this moment; at most `most`. Resolves with how many. */
  abstract sweep(beforeMs: number, most: number): Promise<number>;
}
