import { type RowScope, type TableName } from '#change-events';
import { type TableCoverage } from '../coverage.ts';

export type RunScope =
  | { readonly kind: 'source' }
  | { readonly kind: 'tables'; readonly tables: readonly TableName[] }
  | (RowScope & TableName);

export type RunState = 'running' | 'paused' | 'done' | 'failed' | 'cancelled';

/** Who wanted the run. */
export type RunTrigger = 'request' | 'schedule' | 'continuous';

export interface NewRun {
  /** Unique. Whoever asks chooses it, so that a request that is sent twice is one. */
  readonly id: string;
  readonly source: string;
  readonly scope: RunScope;
  readonly sinks: readonly string[];
  readonly trigger: RunTrigger;
  readonly actor: string;
  /** Most rows per second of all workers together; null for no bound. */
  readonly rowsPerSecond: number | null;
  /** Of the rows, how many are compared by the second way too, from 0 to 1. */
  readonly secondWayShare: number;
  readonly createdAtMs: number;
}

export interface RunError {
  readonly code: string;
  readonly message: string;
}

export interface RunRecord extends NewRun {
  readonly state: RunState;
  /** Why it failed; else null. */
  readonly error: RunError | null;
  readonly endedAtMs: number | null;
}

/**
 * `planning`: what is known of the table is read. `rows`: each row of the source is compared. `extras`: what the sink has
 * is looked up in the source. `rechecks`: mismatches of earlier runs that this one did not meet are looked up.
 */
export type TablePhase = 'planning' | 'rows' | 'extras' | 'rechecks' | 'done';

export interface RowCounts {
  /** Rows of the source, and keys of the sink that were looked up. */
  readonly rows: number;
  readonly equal: number;
  readonly mismatches: number;
  /** Of the mismatches, those that were ignored when they were met. */
  readonly ignored: number;
  readonly unsettled: number;
  readonly quarantined: number;
}

/** Why nothing is judged, and since when. */
export interface TableHold {
  readonly state: 'waiting' | 'being re-read' | 'not verifiable' | 'failed';
  readonly reason: string;
  readonly sinceMs: number;
}

/** A table in a sink, as part of a run. */
export interface RunTable extends TableName {
  readonly runId: string;
  readonly sink: string;
  readonly phase: TablePhase;
  /** Of the phase `rows`; what differs of all phases. */
  readonly counts: RowCounts;
  /** What was compared by the second way. */
  readonly secondWay: RowCounts;
  /** Keys that the sink has and that were looked up, or met among the rows. */
  readonly listed: number;
  readonly estimatedRows: number;
  /** What `after` and `until` of its chunks are texts of; null before it was planned. */
  readonly keySignature: string | null;
  /** In the phase `done`: why it could not be judged. Before: what it waits for. */
  readonly hold: TableHold | null;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}

/** A part of a table in one phase. Any worker may do it; the first that ends it counts. */
export interface RunChunk extends TableName {
  readonly id: string;
  readonly runId: string;
  readonly sink: string;
  readonly phase: TablePhase;
  /** Of the phase, from 0, in the order in which they were made. */
  readonly number: number;
  /** Where it begins: the key text, or the sink's own place, that it comes after; null for the beginning. */
  readonly after: string | null;
  /** Where it ends, known once it was read for the first time: the last key that belongs to it. */
  readonly end: ChunkEnd | null;
  readonly attempts: number;
}

export interface ChunkEnd {
  /** Null when the chunk has no end but the table's. */
  readonly until: string | null;
  /** True when no chunk follows. */
  readonly isLast: boolean;
}

/** A chunk that a worker may begin. */
export interface DueChunk {
  readonly id: string;
  /** How often it was taken. */
  readonly attempts: number;
  readonly notBeforeMs: number;
}

/** What a worker needs to do a chunk. */
export interface TakenChunk {
  readonly chunk: RunChunk;
  readonly run: RunRecord;
  readonly table: RunTable;
}

export interface RunFilter {
  readonly source?: string;
  readonly states?: readonly RunState[];
  readonly trigger?: RunTrigger;
}

/**
 * The runs, and how far they are. They outlive every process. A chunk is taken by one worker for a time that the worker
 * prolongs; when that has run out, any other takes it over.
 */
export abstract class VerificationRunStore {
  /** Nothing happens when its id is known. Resolves with the chunks that begin it. */
  abstract create(run: NewRun, tables: readonly TableName[]): Promise<readonly DueChunk[]>;
  abstract find(id: string): Promise<RunRecord | null>;
  /** Newest first. */
  abstract list(filter: RunFilter, limit: number): Promise<readonly RunRecord[]>;
  /** Of tables that a run has compared as a whole, or is about to. Runs of some rows do not count. */
  abstract listCoverage(source: string): Promise<readonly TableCoverage[]>;
  abstract listTables(runId: string): Promise<readonly RunTable[]>;
  /** Resolves with false, and changes nothing, when its state is not one of `from`. */
  abstract changeState(id: string, from: readonly RunState[], to: RunState, error?: RunError): Promise<boolean>;

  /** Chunks of running runs that nobody has and that may begin. */
  abstract listDue(nowMs: number, most: number): Promise<readonly DueChunk[]>;
  /** Null when it is done, not due, or another worker has it, or its run does not go on. */
  abstract take(chunkId: string, worker: string, leaseMs: number): Promise<TakenChunk | null>;
  /** False when the worker has lost it, or its run does not go on. */
  abstract prolong(chunkId: string, worker: string, leaseMs: number): Promise<boolean>;
  /**
   * Where a chunk ends, known as soon as it was read; records the next one. An end that was recorded before stays, and is
   * what this resolves with. `rows`: those of the chunk, for the rate of the run.
   */
  abstract recordEnd(
    chunk: RunChunk,
    end: ChunkEnd,
    rows: number,
  ): Promise<{ readonly end: ChunkEnd; readonly next: DueChunk | null }>;
  /**
   * Ends a chunk whose end is known at `at` instead, which is in it, and leaves what comes after to a new one. Resolves with
   * both, to be done from their beginning; with none when another worker has the chunk by now.
   */
  abstract cut(chunk: RunChunk, worker: string, at: string): Promise<readonly DueChunk[]>;
  /**
   * Ends a chunk, once: counts it, and begins what comes next. Resolves with the chunks that this begins. `listed`: keys of
   * the sink that were looked up, as of `RunTable`; none by default.
   */
  abstract complete(
    chunk: RunChunk,
    counts: RowCounts,
    secondWay: RowCounts,
    listed?: number,
  ): Promise<readonly DueChunk[]>;
  /** After the chunk of the phase `planning`: what is known of the table. */
  abstract plan(
    chunk: RunChunk,
    plan: { readonly estimatedRows: number; readonly keySignature: string },
  ): Promise<readonly DueChunk[]>;
  /**
   * Gives a chunk back: it is tried again later. The hold begins when the table is not on hold yet. Nothing when another
   * worker has the chunk by now.
   */
  abstract postpone(chunk: RunChunk, worker: string, hold: Omit<TableHold, 'sinceMs'>, untilMs: number): Promise<void>;
  /** Gives a chunk back without a reason: the worker ends. */
  abstract release(chunkId: string, worker: string): Promise<void>;
  /** Ends the table as one that can't be judged. Nothing when another worker has the chunk by now. */
  abstract giveUp(chunk: RunChunk, worker: string, hold: Omit<TableHold, 'sinceMs'>): Promise<void>;
  /** Begins the table again: its key is another one now. */
  abstract restart(chunk: RunChunk): Promise<readonly DueChunk[]>;
}
