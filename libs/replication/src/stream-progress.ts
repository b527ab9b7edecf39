import {
  type Checkpoint,
  GtidAccumulator,
  GtidSet,
  parseVersion,
  type Position,
  transactionEndVersion,
  type TransactionInfo,
  versionPrefix,
} from '#change-events';
import { DittoError } from '#kernel';
import { type SourceTransaction } from './ports/change-source.ts';

/** What `end` gives: the transaction that is complete, with the GTID of the XA PREPARE that it decided. */
export interface EndedTransaction {
  readonly transaction: TransactionInfo;
  readonly preparedGtid: string | null;
}

/**
 * How far the stream of one pipeline has come: which transactions were begun, which are complete, where it goes on
 * after a break, and what in it may be a repetition.
 */
export class StreamProgress {
  /** Complete transactions of this run. */
  transactions = 0;
  /** The newest complete one; before the first, the coordinates for reads that come before it. */
  lastEnded: TransactionInfo;
  /** Whether what the last owner dispatched beyond its checkpoint may still come again. */
  isReplaying: boolean;
  /** All that was given to a sink, or begun to be. */
  readonly dispatched: GtidAccumulator;
  /** Complete transactions, and XA transactions that wait for their outcome: executed on the source, but seen by no read. */
  readonly passed: GtidAccumulator;
  /** Of the last transaction before this run: everything of it ranks below. */
  readonly startVersion: string;
  private readonly lineage: number;
  private readonly streamed: GtidAccumulator;
  private readonly replayEnd: GtidSet;
  private transaction: TransactionInfo | null = null;
  /** The XA PREPARE that the open transaction decided. */
  private preparedGtid: string | null = null;
  /** The transaction that the stream broke off in: what was dispatched of it comes again. */
  private interruptedGtid: string | null = null;
  private resumeOffset: number;

  constructor(start: Checkpoint) {
    const known = GtidSet.parse(start.position.gtidSet);
    this.lineage = start.lineage;
    this.replayEnd = GtidSet.parse(start.dispatchedSet);
    this.streamed = new GtidAccumulator(known);
    this.passed = new GtidAccumulator(known);
    this.dispatched = new GtidAccumulator(known.union(this.replayEnd));
    this.isReplaying = !known.contains(this.replayEnd);
    this.lastEnded = describeStart(start);
    this.startVersion = transactionEndVersion(this.lastEnded.versionPrefix);
    this.resumeOffset = start.position.offset;
  }

  /** Whether the stream stands between two transactions. */
  get isBetween(): boolean {
    return this.transaction === null;
  }

  get current(): TransactionInfo {
    if (this.transaction === null)
      throw new DittoError(
        'DITTO_SOURCE_OUT_OF_STEP',
        'the log gave a row, a statement or an end outside a transaction',
      );
    return this.transaction;
  }

  /** Above everything that was given to the sinks, and what the open transaction will give; reads at that place rank below. */
  get endVersion(): string {
    return transactionEndVersion((this.transaction ?? this.lastEnded).versionPrefix);
  }

  /** Behind the last complete transaction. */
  get resumePosition(): Position {
    const { file, serverUuid } = this.lastEnded;
    return { gtidSet: this.streamed.toString(), file, offset: this.resumeOffset, serverUuid };
  }

  /** Throws when the transaction can't come behind those before: `DITTO_PIPELINE_SERVER_CHANGED`, `…_LOG_WENT_BACK`. */
  begin(source: SourceTransaction): void {
    const prefix = versionPrefix(this.lineage, source.file, source.offset);
    this.assertSameLog(source, prefix);
    const { gtid, preparedGtid, serverId, serverUuid, file, offset, commitMicros } = source;
    this.preparedGtid = preparedGtid;
    if (preparedGtid !== null) this.dispatched.add(preparedGtid);
    if (gtid !== null) this.dispatched.add(gtid);
    this.transaction = { gtid, serverId, serverUuid, file, offset, commitMicros, versionPrefix: prefix };
  }

  prepared(gtid: string): void {
    this.passed.add(gtid);
  }

  end(endOffset: number): EndedTransaction {
    const { current: transaction, preparedGtid } = this;
    if (preparedGtid !== null) this.addStreamed(preparedGtid);
    if (transaction.gtid !== null) this.addStreamed(transaction.gtid);
    this.lastEnded = transaction;
    this.resumeOffset = endOffset;
    this.transaction = null;
    this.interruptedGtid = null;
    this.transactions++;
    if (this.isReplaying && this.streamed.contains(this.replayEnd)) this.isReplaying = false;
    return { transaction, preparedGtid };
  }

  /** The stream broke: it goes on at `resumePosition`. */
  interrupt(): void {
    this.interruptedGtid = this.transaction?.gtid ?? this.interruptedGtid;
    this.transaction = null;
  }

  /** Whether changes of the transaction may have been delivered before, so that repeats are expected. */
  inReplayZone({ gtid }: TransactionInfo): boolean {
    if (gtid !== null && gtid === this.interruptedGtid) return true;
    return this.isReplaying && (gtid === null || this.replayEnd.containsGtid(gtid));
  }

  private addStreamed(gtid: string): void {
    this.streamed.add(gtid);
    this.passed.add(gtid);
  }

  /** Versions only order changes of one server's one log; anything else needs another lineage (I3). */
  private assertSameLog({ serverUuid, gtid, file, offset }: SourceTransaction, prefix: string): void {
    const { lastEnded } = this;
    if (serverUuid !== lastEnded.serverUuid)
      throw new DittoError(
        'DITTO_PIPELINE_SERVER_CHANGED',
        `server ${serverUuid} answers where ${lastEnded.serverUuid} did`,
        { retriable: true, context: { serverUuid, expected: lastEnded.serverUuid } },
      );
    if (prefix < lastEnded.versionPrefix)
      throw new DittoError(
        'DITTO_PIPELINE_LOG_WENT_BACK',
        `the log gives a transaction at ${file}:${offset}, before ${lastEnded.file}:${lastEnded.offset}, which was read already`,
        {
          remedy:
            'The log was reset, or the server restored from a backup: resync the source (npm run ditto -- resync --source <name>).',
          context: { gtid, file, offset, lastFile: lastEnded.file, lastOffset: lastEnded.offset },
        },
      );
  }
}

/**
 * Coordinates for reads before the first transaction of this run: those of the last transaction covered; for a source
 * that was never streamed, just below its first event, so that no change can rank under a read that came before it.
 */
function describeStart({ lineage, position, version, commitMicros }: Checkpoint): TransactionInfo {
  const offset = version === '' ? Math.max(0, position.offset - 1) : parseVersion(version).offset;
  const file = position.file;
  return {
    gtid: null,
    serverId: 0,
    serverUuid: position.serverUuid,
    file,
    offset,
    commitMicros,
    versionPrefix: version === '' ? versionPrefix(lineage, file, offset) : version.slice(0, 28),
  };
}
