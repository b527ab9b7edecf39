import { type RowChanges, type SchemaChange, type TableChange, type TableLayout } from '#change-events';
import { type DittoError } from '#kernel';
import { type QuarantinedKeys } from './quarantined-keys.ts';
import { type RefusedChange } from './refused-changes.ts';

/** What a sink acknowledges to. One object for many changes; cheap to hold and to call. */
export interface Acknowledgement {
  /** `count` of the changes that were accepted with this object are confirmed durably. */
  acknowledge(count: number): void;
}

/** Counters since the process started; read by metrics and status, never reset. */
export interface SinkStatus {
  readonly bytesInFlight: number;
  readonly changesInFlight: number;
  readonly confirmedChanges: number;
  readonly retries: number;
  /** What only this sink counts, by name. */
  readonly counters: Readonly<Record<string, number>>;
  /** The error that the sink is backing off from; null while it works. */
  readonly holdingBecause: string | null;
}

export interface SinkOpenOptions {
  /** Takes the error that ends the sink as a whole; called once. */
  readonly onFatal: (error: Error) => void;
  /**
   * Takes a change of a row that this sink will never take, for a reason that other changes do not share: the row is too
   * large, or the server refuses one of its values. Resolves when that is recorded durably; the change then counts as
   * confirmed. What it rejects with is what the delivery fails with: a retriable error brings the change again, any
   * other is fatal. One change may come more than once.
   */
  readonly refuse: (refused: RefusedChange, error: DittoError) => Promise<void>;
  /** Rows whose changes are held back. */
  readonly quarantined: QuarantinedKeys;
  readonly mayDeliver: () => boolean;
  readonly signal: AbortSignal;
}

/**
 * A place that changes are delivered to.
 *
 * Legal order: `open`, then for each layout `prepareTable` before its first change, then any mix of `accept`;
 * `drain` before `applyTableChange`; `close` last.
 *
 * - Changes of one key are delivered in the order of `accept`; unrelated keys go in parallel.
 * - `accept` is synchronous, takes everything, and never throws for what the server might say; it throws only for an
 *   image that can't be decoded, having taken the changes before it. The caller keeps `bytesInFlight` within its bounds
 *   by not calling while it is high.
 * - Nothing of the images is kept that would hold their source's bytes for longer than the sink counts them in flight.
 * - Each accepted change is acknowledged exactly once: Kafka by all in-sync replicas, MongoDB by a majority. A change
 *   that a newer document makes needless counts as confirmed. A change that this sink does not carry (a table without a
 *   key in the mirror) is acknowledged at once.
 * - A server that is down, slow or failing over is not an error: the sink holds, backs off, continues.
 * - Before each delivery `mayDeliver` is asked; once it says no, nothing is delivered any more: a process that was frozen
 *   past its lease must not go on with what it had queued (I5). `onFatal` is told `DITTO_LEASE_LOST` then.
 * - What the server refuses of one row only is given to `refuse`, alone: the changes that were to be delivered with it
 *   are delivered. What follows it is delivered only after `refuse` has resolved.
 * - Of rows that are `quarantined` when their turn to be delivered comes, changes are held back and count as confirmed. What
 *   `Admission` admits is tried, and leads the row out when the server takes it.
 * - A change of a table without a key, a statement and the end of a table are no row that could be repaired: refused, they end the sink.
 * - Any other error that can't be healed by waiting is given to `onFatal` once; nothing is acknowledged after that.
 */
export abstract class ChangeSink {
  /** Of its kind: one in each source. */
  abstract readonly name: string;
  abstract open(options: SinkOpenOptions): Promise<void>;
  /** Creates or checks what the table needs (topic, collection). Called for several tables side by side, of each for one layout at a time. */
  abstract prepareTable(layout: TableLayout): Promise<void>;
  /** Takes the changes; delivery begins with the next `flush` at the latest. */
  abstract accept(changes: RowChanges, acknowledgement: Acknowledgement): void;
  /** Starts delivering what was accepted. Called when the stream has nothing more ready, not for each change. */
  abstract flush(): void;
  /** Resolves when nothing is in flight; rejects with the signal's reason or the fatal error. */
  abstract drain(signal: AbortSignal): Promise<void>;
  /**
   * Ends every row of a table. Only with nothing in flight. Resolves when confirmed; repeatable. The layout may be one
   * that the rows never had, and the table one that was never prepared: where the sink has nothing of it, nothing is made.
   */
  abstract applyTableChange(change: TableChange): Promise<void>;
  /**
   * Publishes a statement on definitions. Resolves when that is confirmed, and with it everything that was accepted before;
   * nothing is accepted until then. Repeatable. A sink that carries no statements does nothing.
   */
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- what a sink that carries them is given
  publishStatement(change: SchemaChange): Promise<void> {
    return Promise.resolve();
  }
  /**
   * Memory that is held for what is accepted and not confirmed, slack of buffers included, as `status` says; cheap, asked
   * for each batch.
   */
  abstract get bytesInFlight(): number;
  abstract status(): SinkStatus;
  /** Stops sending and closes its connections; what is in flight stays unacknowledged. */
  abstract close(): Promise<void>;
}
