import {
  type Checkpoint,
  describeLogged,
  GtidAccumulator,
  GtidSet,
  laterOf,
  type LoggedTransaction,
  parseVersion,
  type Position,
  startVersion,
  transactionEndVersion,
  type TransactionInfo,
  versionPrefix,
} from '#change-events';
import { DittoError, RESYNC } from '#kernel';
import { type SourceTransaction } from '../ports/change-source.ts';

/** What `end` gives: the transaction that is complete, with the GTID of the XA PREPARE that it decided. */
export interface EndedTransaction {
  readonly transaction: TransactionInfo;
  readonly preparedGtid: string | null;
}

/**
 * How far the stream of one pipeline has come: which transactions were begun, which are complete, where it continues
 * after a break, and what in it may be a repetition.
 */
export class StreamProgress {
  /** Complete transactions of this run. */
  transactions = 0;
  /** The newest complete one; before the first, the coordinates for reads that come before it. */
  lastEnded: TransactionInfo;
  /** Whether what an owner before dispatched beyond its checkpoint may still come again. */
  isReplaying: boolean;
  /** All that was given to a sink, or begun to be. */
  readonly dispatched: GtidAccumulator;
  /** Complete transactions, and XA transactions that wait for their outcome: executed on the source, but seen by no read. */
  readonly passed: GtidAccumulator;
  /** Of the last transaction before this run: everything of it ranks below. */
  readonly startVersion: string;
  readonly #lineage: number;
  readonly #streamed: GtidAccumulator;
  readonly #start: Checkpoint;
  readonly #dispatchedBefore: GtidSet;
  /**
   * All that an owner before may have dispatched: what the checkpoint says, and, since it was saved before the last of it,
   * everything that the log held when this run began.
   */
  readonly #replayEnd: GtidSet;
  /** Where the log ended then, as the prefix of a version. The log may be ahead of `gtid_executed`. */
  readonly #replayEndPrefix: string;
  readonly #endOfLog: Position;
  #transaction: TransactionInfo | null = null;
  /** The newest that was begun, complete or not. */
  #begun: TransactionInfo | null = null;
  /** Of `lastEnded`. */
  #lastDigest = '';
  /** The XA PREPARE that the open transaction decided. */
  #preparedGtid: string | null = null;
  /** The transaction that the stream broke off in: what was dispatched of it comes again. */
  #interruptedGtid: string | null = null;
  #resumeOffset: number;

  constructor(start: Checkpoint, endOfLog: Position = start.position) {
    const known = GtidSet.parse(start.position.gtidSet);
    const dispatched = GtidSet.parse(start.dispatchedSet);
    this.#start = start;
    this.#endOfLog = endOfLog;
    this.#dispatchedBefore = dispatched;
    this.#lineage = start.lineage;
    this.#replayEnd = dispatched.union(GtidSet.parse(endOfLog.gtidSet));
    this.#replayEndPrefix = versionPrefix(start.lineage, endOfLog.file, endOfLog.offset);
    this.#streamed = new GtidAccumulator(known);
    this.passed = new GtidAccumulator(known);
    this.dispatched = new GtidAccumulator(known.union(dispatched));
    this.isReplaying = !known.contains(this.#replayEnd);
    this.lastEnded = describeStart(start);
    this.startVersion = transactionEndVersion(this.lastEnded.versionPrefix);
    this.#resumeOffset = start.position.offset;
  }

  /** Whether the stream is between two transactions. */
  get isBetween(): boolean {
    return this.#transaction === null;
  }

  get current(): TransactionInfo {
    if (this.#transaction === null)
      throw new DittoError(
        'DITTO_SOURCE_OUT_OF_STEP',
        'the log gave a row, a statement or an end outside a transaction',
      );
    return this.#transaction;
  }

  /** GTIDs up to which changes may be repetitions; null when that is over. */
  get replayingUntil(): string | null {
    return this.isReplaying ? this.#replayEnd.toString() : null;
  }

  /** The last complete transaction of this run; before the first, the last one covered by the checkpoint's. */
  get lastComplete(): LoggedTransaction | null {
    return this.transactions === 0 ? this.#start.lastCovered : describeLogged(this.lastEnded, this.#lastDigest);
  }

  /** The last transaction that was begun, by this run or one before it. */
  get lastDispatched(): LoggedTransaction | null {
    const start = this.#start;
    const begun = this.#begun;
    if (begun === null) return start.lastDispatched;
    return laterOf(start.lastDispatched, describeLogged(begun, begun === this.lastEnded ? this.#lastDigest : ''));
  }

  /** Above everything that was given to the sinks, and what the open transaction will give; reads at that place rank below. */
  get endVersion(): string {
    return transactionEndVersion((this.#transaction ?? this.lastEnded).versionPrefix);
  }

  /**
   * The coordinates of what is read now, which are the coordinates of the last complete transaction, with the time of
   * the read in place of its commit. Before the first of this run they name what the log held at the start: a quiet
   * source has nothing else.
   */
  describeRead(readAtMs: number): TransactionInfo {
    const read = { ...this.lastEnded, commitMicros: readAtMs * 1000 };
    if (this.transactions > 0) return read;
    const { file, offset } = this.#endOfLog;
    return { ...read, gtid: this.#start.lastCovered?.gtid ?? null, file, offset };
  }

  /** Behind the last complete transaction. */
  get resumePosition(): Position {
    const { file, serverUuid } = this.lastEnded;
    return { gtidSet: this.#streamed.toString(), file, offset: this.#resumeOffset, serverUuid };
  }

  /** Throws when the transaction can't come after those before: `DITTO_PIPELINE_SERVER_CHANGED`, `…_LOG_WENT_BACK`. */
  begin(source: SourceTransaction): void {
    const prefix = versionPrefix(this.#lineage, source.file, source.offset);
    this.#assertSameLog(source, prefix);
    const { gtid, preparedGtid, serverId, serverUuid, file, offset, commitMicros } = source;
    this.#preparedGtid = preparedGtid;
    if (preparedGtid !== null) this.dispatched.add(preparedGtid);
    if (gtid !== null) this.dispatched.add(gtid);
    this.#transaction = this.#begun = {
      gtid,
      serverId,
      serverUuid,
      file,
      offset,
      commitMicros,
      versionPrefix: prefix,
    };
  }

  prepared(gtid: string): void {
    this.passed.add(gtid);
    this.#endReplay();
  }

  /** `digest` is the digest of the transaction's content; '' where its source gives none. */
  end(endOffset: number, digest: string): EndedTransaction {
    const { current: transaction } = this;
    const preparedGtid = this.#preparedGtid;
    if (preparedGtid !== null) this.#addStreamed(preparedGtid);
    if (transaction.gtid !== null) this.#addStreamed(transaction.gtid);
    this.lastEnded = transaction;
    this.#lastDigest = digest;
    this.#resumeOffset = endOffset;
    this.#transaction = null;
    this.#interruptedGtid = null;
    this.transactions++;
    this.#endReplay();
    return { transaction, preparedGtid };
  }

  /** The stream broke: it continues at `resumePosition`. */
  interrupt(): void {
    this.#interruptedGtid = this.#transaction?.gtid ?? this.#interruptedGtid;
    this.#transaction = null;
  }

  /** Whether changes of the transaction may have been delivered before, so that repeats are expected. */
  inReplayZone({ gtid, versionPrefix: prefix }: TransactionInfo): boolean {
    if (gtid !== null && gtid === this.#interruptedGtid) return true;
    if (prefix < this.#replayEndPrefix) return true;
    return this.isReplaying && (gtid === null || this.#replayEnd.containsGtid(gtid));
  }

  /** Whether an owner before is known to have dispatched the transaction. */
  wasDispatched({ gtid }: TransactionInfo): boolean {
    return gtid !== null && this.#dispatchedBefore.containsGtid(gtid);
  }

  /** An undecided XA PREPARE has passed too: its rows were given to nobody. */
  #endReplay(): void {
    if (this.isReplaying && this.passed.contains(this.#replayEnd)) this.isReplaying = false;
  }

  #addStreamed(gtid: string): void {
    this.#streamed.add(gtid);
    this.passed.add(gtid);
  }

  /** Versions only order changes of one server's one log; anything else needs another lineage (I3). */
  #assertSameLog({ serverUuid, gtid, file, offset }: SourceTransaction, prefix: string): void {
    const { lastEnded } = this;
    if (serverUuid !== lastEnded.serverUuid)
      throw new DittoError(
        'DITTO_PIPELINE_SERVER_CHANGED',
        `server ${serverUuid} answers instead of ${lastEnded.serverUuid}`,
        { retriable: true, context: { serverUuid, expected: lastEnded.serverUuid } },
      );
    if (prefix < lastEnded.versionPrefix)
      throw new DittoError(
        'DITTO_PIPELINE_LOG_WENT_BACK',
        `the log gives a transaction at ${file}:${offset}, before ${lastEnded.file}:${lastEnded.offset}, which was read already`,
        {
          remedy: `The log was reset, or the server restored from a backup: ${RESYNC}.`,
          context: { gtid, file, offset, lastFile: lastEnded.file, lastOffset: lastEnded.offset },
        },
      );
  }
}

/**
 * Coordinates for reads before the first transaction of this run: the coordinates of the last transaction covered; for
 * a source that was never streamed, just below its first event, so that no change can rank under a read that came
 * before it.
 */
function describeStart({ lineage, position, version, commitMicros }: Checkpoint): TransactionInfo {
  const { file, serverUuid } = position;
  const from = version === '' ? startVersion(lineage, file, position.offset) : version;
  return {
    gtid: null,
    serverId: 0,
    serverUuid,
    file,
    offset: parseVersion(from).offset,
    commitMicros,
    versionPrefix: from.slice(0, 28),
  };
}
