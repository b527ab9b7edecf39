import {
  describeLogged,
  GtidAccumulator,
  GtidSet,
  type LoggedTransaction,
  transactionEndVersion,
  type Position,
  type TransactionInfo,
} from '#change-events';
import { DittoError } from '#kernel';
import { type Acknowledgement } from '../ports/change-sink.ts';

/** Counts what was accepted against what was confirmed; `onDone` runs once, when it is closed and all is confirmed. */
export class PendingChanges implements Acknowledgement {
  #pending = 0;
  #open = true;
  readonly #onDone: () => void;

  constructor(onDone: () => void) {
    this.#onDone = onDone;
  }

  get done(): boolean {
    return !this.#open && this.#pending === 0;
  }

  /** Says that `count` changes are about to be given to one sink. */
  expect(count: number): void {
    this.#pending += count;
  }

  acknowledge(count: number): void {
    this.#pending -= count;
    if (this.#pending < 0)
      throw new DittoError(
        'DITTO_REPLICATION_ACKNOWLEDGED_TWICE',
        'a sink acknowledged more changes than it was given',
      );
    if (this.done) this.#onDone();
  }

  /** No more will be expected. */
  close(): void {
    this.#open = false;
    if (this.#pending === 0) this.#onDone();
  }
}

/** What the log says where a transaction ends; the digest is '' where its source gives none. */
export interface TransactionEnd {
  readonly file: string;
  readonly endOffset: number;
  readonly digest: string;
}

/** A stretch of the stream: what was dispatched together, and the transactions that ended in it. */
export class Slice {
  readonly changes: PendingChanges;
  /** What each sink acknowledges to, by its index. */
  readonly bySink: Acknowledgement[] = [];
  /** Of those transactions: a set, so that thousands of them are a few numbers while they wait. */
  readonly gtids = new GtidAccumulator();
  /** The XA PREPAREs in it; their outcome may lie in it too. Null when there are none. */
  prepared: GtidAccumulator | null = null;
  last: (TransactionEnd & { readonly transaction: TransactionInfo }) | null = null;

  constructor(onDone: () => void) {
    this.changes = new PendingChanges(onDone);
  }

  prepare(gtid: string): void {
    this.prepared ??= new GtidAccumulator();
    this.prepared.add(gtid);
  }

  endTransaction(transaction: TransactionInfo, preparedGtid: string | null, end: TransactionEnd): void {
    if (preparedGtid !== null) this.gtids.add(preparedGtid);
    if (transaction.gtid !== null) this.gtids.add(transaction.gtid);
    this.last = { transaction, ...end };
  }
}

/** The newest place that every earlier slice has been confirmed up to. */
export interface ConfirmedPosition {
  readonly position: Position;
  readonly undecidedSet: string;
  readonly version: string;
  readonly commitMicros: number;
  readonly lastCovered: LoggedTransaction | null;
}

/**
 * Turns acknowledgements, which come in any order, into the newest transaction end before which nothing is
 * unconfirmed (I1). Slices are opened in stream order; the confirmed position moves over a slice when it and all
 * before it are confirmed, and only to the last transaction that ended in it.
 */
export class AcknowledgementTracker {
  readonly #confirmed: GtidAccumulator;
  /** The XA PREPAREs up to the confirmed position whose outcome was not, when it was last asked for. */
  #undecided: GtidAccumulator;
  readonly #slices: Slice[] = [];
  #head = 0;
  #passed = 0;
  /** Those who wait until so many slices have been passed. */
  #waiters: { readonly until: number; readonly wake: () => void }[] = [];
  #file: string;
  #offset: number;
  #serverUuid: string;
  #version: string;
  #commitMicros: number;
  readonly #lastCovered: LoggedTransaction | null;
  /** The last transaction passed, with its digest. */
  #last: { readonly transaction: TransactionInfo; readonly digest: string } | null = null;

  readonly #onSliceConfirmed: () => void;

  constructor(start: ConfirmedPosition, onSliceConfirmed: () => void) {
    this.#onSliceConfirmed = onSliceConfirmed;
    this.#confirmed = new GtidAccumulator(GtidSet.parse(start.position.gtidSet));
    this.#undecided = new GtidAccumulator(GtidSet.parse(start.undecidedSet));
    this.#file = start.position.file;
    this.#offset = start.position.offset;
    this.#serverUuid = start.position.serverUuid;
    this.#version = start.version;
    this.#commitMicros = start.commitMicros;
    this.#lastCovered = start.lastCovered;
  }

  /** Slices that are not confirmed yet. */
  get openSlices(): number {
    return this.#slices.length - this.#head;
  }

  openSlice(): Slice {
    const slice = new Slice(() => {
      this.#advance();
      this.#onSliceConfirmed();
    });
    this.#slices.push(slice);
    return slice;
  }

  /** Resolves when every slice that is open now is confirmed. */
  waitUntilConfirmed(): Promise<void> {
    const until = this.#passed + this.openSlices;
    if (until === this.#passed) return Promise.resolve();
    return new Promise((wake) => {
      this.#waiters.push({ until, wake });
    });
  }

  /** As `confirmedPosition` says it. */
  get confirmedVersion(): string {
    return this.#version;
  }

  confirmedPosition(): ConfirmedPosition {
    const file = this.#file;
    const offset = this.#offset;
    const serverUuid = this.#serverUuid;
    const version = this.#version;
    const commitMicros = this.#commitMicros;
    const last = this.#last;
    const position = { gtidSet: this.#confirmed.toString(), file, offset, serverUuid };
    const lastCovered = last === null ? this.#lastCovered : describeLogged(last.transaction, last.digest);
    return { position, undecidedSet: this.#findUndecided(), version, commitMicros, lastCovered };
  }

  /** What was decided is dropped here, so that a slice costs nothing for it. */
  #findUndecided(): string {
    if (this.#undecided.isEmpty) return '';
    const undecided = this.#undecided.toSet().subtract(this.#confirmed.toSet());
    this.#undecided = new GtidAccumulator(undecided);
    return undecided.toString();
  }

  #advance(): void {
    while (this.#head < this.#slices.length && (this.#slices[this.#head] as Slice).changes.done) {
      this.#pass(this.#slices[this.#head] as Slice);
      this.#head++;
      this.#passed++;
    }
    if (this.#waiters.length > 0) this.#wakeWaiters();
    if (this.#head === this.#slices.length || this.#head > 1024) {
      this.#slices.splice(0, this.#head);
      this.#head = 0;
    }
  }

  #wakeWaiters(): void {
    const passed = this.#passed;
    for (const { until, wake } of this.#waiters) if (until <= passed) wake();
    this.#waiters = this.#waiters.filter(({ until }) => until > passed);
  }

  #pass(slice: Slice): void {
    this.#confirmed.unite(slice.gtids);
    if (slice.prepared !== null) this.#undecided.unite(slice.prepared);
    if (slice.last === null) return;
    const { transaction, file, endOffset } = slice.last;
    this.#last = slice.last;
    this.#file = file;
    this.#offset = endOffset;
    this.#serverUuid = transaction.serverUuid;
    this.#version = transactionEndVersion(transaction.versionPrefix);
    this.#commitMicros = transaction.commitMicros;
  }
}
