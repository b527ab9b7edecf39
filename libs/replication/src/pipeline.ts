import {
  GtidAccumulator,
  GtidSet,
  parseVersion,
  READ_ROW_INDEX,
  versionPrefix,
  type Checkpoint,
  type Position,
  type Row,
  type RowChanges,
  type RowImages,
  type TableLayout,
  type TransactionInfo,
  ValueImages,
} from '#change-events';
import { Backoff, DittoError, retry, sleep, toDittoError, type Logger } from '#kernel';
import { abortable } from './abortable.ts';
import { AcknowledgementTracker, PendingChanges, type Slice } from './acknowledgement-tracker.ts';
import { KnownTables } from './known-tables.ts';
import { type Acknowledgement, type ChangeSink, type SinkName } from './ports/change-sink.ts';
import { type ChangeSource, type SourceBatch, type SourceItem, type SourceTransaction } from './ports/change-source.ts';
import { type ChunkRead } from './ports/row-reader.ts';
import { StatementHandling } from './statement-handling.ts';
import { Window } from './window.ts';
import { WindowRegistry } from './window-registry.ts';

type RowsItem = Extract<SourceItem, { type: 'rows' }>;

export interface PipelineOptions {
  readonly source: string;
  /** Where to go on. What its last owner dispatched beyond its position is the replay zone. */
  readonly start: Checkpoint;
  /** Highest read sequence that may have been used before. */
  readonly readSequence: number;
  readonly changeSource: ChangeSource;
  readonly sinks: readonly ChangeSink[];
  readonly includes: (database: string, table: string) => boolean;
  /** Whether a table of the database may be included: its own statements are published then. */
  readonly reaches: (database: string) => boolean;
  /** Whether the server keeps names in lower case (`lower_case_table_names=1`) while statements say them as written. */
  readonly lowerCaseNames?: boolean;
  /** Layouts of the included tables as of now; the log's own replace them as they appear. */
  readonly tables: readonly TableLayout[];
  readonly inFlightBytes: number;
  readonly maxNotedBytes: number;
  readonly backoff: { readonly initialMs: number; readonly maxMs: number };
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** Whether the source is still this process's, by its own clock; asked before each batch and each delivery. */
  readonly mayDeliver: () => boolean;
  /** `count` changes of the log, committed about `commitMicros`, are confirmed by a sink. Called per batch, not per row. */
  readonly onConfirmed: (sink: SinkName, commitMicros: number, count: number) => void;
  /**
   * A statement left rows in an included table that the log does not show as they now are: all of it must be read.
   * Resolves when that can't be forgotten any more; only then may a checkpoint pass the statement. Tried again on a
   * retriable error.
   */
  readonly onTableUnread: (database: string, table: string) => Promise<void>;
}

export interface PipelineStatus {
  readonly phase: 'idle' | 'streaming' | 'reconnecting' | 'draining' | 'stopped';
  readonly transactions: number;
  readonly changes: number;
  readonly logBytes: number;
  readonly bytesInFlight: number;
  /** Commit time of the newest transaction that was read, microseconds since 1970. */
  readonly lastCommitMicros: number;
  readonly reconnects: number;
  /** Changes that were sent again because a crash had left them unconfirmed. */
  readonly repeatedChanges: number;
  readonly replaying: boolean;
  readonly lastError: string | null;
}

/** About what a transaction or a stretch of the stream holds, besides its changes, until it is confirmed. */
const BOOKKEEPING_BYTES = 512;

/**
 * The running replication of one source: takes the log apart, gives every change to every sink in log order, keeps
 * what was dispatched apart from what was confirmed, and holds the reader while the sinks are full (I1, I2, I9).
 */
export class Pipeline {
  /** What one row of the newest read held in the sinks, on average. */
  averageReadBytes = 1;
  private readonly options: PipelineOptions;
  private readonly tracker: AcknowledgementTracker;
  private readonly dispatched: GtidAccumulator;
  private readonly streamed: GtidAccumulator;
  /** And XA transactions that wait for their outcome: executed on the source, but seen by no read. */
  private readonly passed: GtidAccumulator;
  private readonly replayEnd: GtidSet;
  private readonly windows = new WindowRegistry();
  private readonly tables: KnownTables;
  private readonly statements: StatementHandling;
  private preparing: Promise<unknown> = Promise.resolve();
  private readonly fatal = new AbortController();
  /** Aborted when sinks may not be waited for any longer: they failed, or the drain was given up. */
  private giveUp: AbortSignal = this.fatal.signal;
  private roomWaiters: (() => void)[] = [];
  private roomCheckQueued = false;
  private transaction: TransactionInfo | null = null;
  /** The XA PREPARE that the open transaction decided. */
  private preparedGtid: string | null = null;
  /** The transaction that the stream broke off in: what was dispatched of it comes again. */
  private interruptedGtid: string | null = null;
  private lastEnded: TransactionInfo;
  private resumeOffset: number;
  private readSequence: number;
  private phase: PipelineStatus['phase'] = 'idle';
  private transactions = 0;
  private changes = 0;
  private repeatedChanges = 0;
  private logBytes = 0;
  private reconnects = 0;
  private replaying: boolean;
  private lastError: string | null = null;

  constructor(options: PipelineOptions) {
    this.options = options;
    const { start } = options;
    const known = GtidSet.parse(start.position.gtidSet);
    this.replayEnd = GtidSet.parse(start.dispatchedSet);
    this.streamed = new GtidAccumulator(known);
    this.passed = new GtidAccumulator(known);
    this.dispatched = new GtidAccumulator(known.union(this.replayEnd));
    this.replaying = !known.contains(this.replayEnd);
    this.tracker = new AcknowledgementTracker(start, () => this.queueRoomCheck());
    this.lastEnded = describeStart(start);
    this.resumeOffset = start.position.offset;
    this.readSequence = options.readSequence;
    this.tables = new KnownTables(options.tables);
    this.statements = new StatementHandling({
      ...options,
      tables: this.tables,
      windows: this.windows,
      drain: () => this.drain(this.giveUp),
      hold: (action) => this.hold(action, this.giveUp),
    });
  }

  /**
   * Streams until `signal` is aborted, then drains the sinks (given up when `drainSignal` is aborted) and resolves.
   * Rejects with a `DittoError` when the pipeline had to stop; what was confirmed until then is in `checkpoint()`.
   */
  async run(signal: AbortSignal, drainSignal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.fatal.signal]);
    this.giveUp = AbortSignal.any([drainSignal, this.fatal.signal]);
    try {
      const onFatal = (error: Error): void => this.fatal.abort(error);
      for (const sink of this.options.sinks)
        await this.hold(() => sink.open({ onFatal, mayDeliver: this.options.mayDeliver, signal: stop }), stop);
      await this.streamUntil(stop);
      this.fatal.signal.throwIfAborted();
      this.phase = 'draining';
      await this.drain(this.giveUp);
    } catch (cause) {
      if (signal.aborted && !this.fatal.signal.aborted && !drainSignal.aborted) return;
      const error = toDittoError(this.fatal.signal.aborted ? this.fatal.signal.reason : cause);
      this.lastError = describe(error);
      throw error;
    } finally {
      this.phase = 'stopped';
      this.fatal.abort(new DittoError('DITTO_PIPELINE_STOPPED', 'the pipeline has stopped', { retriable: true }));
      this.windows.failAll(this.fatal.signal.reason);
      await this.closeSinks();
    }
  }

  /** The newest checkpoint, as of now. */
  checkpoint(): Checkpoint {
    const { source, start, nowMs } = this.options;
    const { position, version, commitMicros } = this.tracker.confirmedPosition();
    const dispatchedSet = this.dispatched.toString();
    return { source, lineage: start.lineage, position, dispatchedSet, version, commitMicros, savedAtMs: nowMs() };
  }

  status(): PipelineStatus {
    const { phase, transactions, changes, logBytes, reconnects, repeatedChanges, replaying, lastError } = this;
    const lastCommitMicros = this.lastEnded.commitMicros;
    const bytesInFlight = this.bytesInFlight();
    return {
      phase,
      transactions,
      changes,
      logBytes,
      bytesInFlight,
      lastCommitMicros,
      reconnects,
      repeatedChanges,
      replaying,
      lastError,
    };
  }

  /** Whether changes of the transaction may have been delivered before, so that repeats are expected. */
  inReplayZone({ gtid }: TransactionInfo): boolean {
    if (gtid !== null && gtid === this.interruptedGtid) return true;
    return this.replaying && (gtid === null || this.replayEnd.containsGtid(gtid));
  }

  /** GTIDs of all transactions that were given to a sink, or begun to be. */
  dispatchedSet(): string {
    return this.dispatched.toString();
  }

  /** Opens a window on a table with a key; from here on the table's changes are noted. */
  openWindow(layout: TableLayout): Window {
    const readSequence = ++this.readSequence;
    const window = new Window({
      id: `${this.options.source}/${this.options.start.lineage}/${readSequence}`,
      layout,
      readSequence,
      dispatchedSet: this.dispatched.toString(),
      maxNotedBytes: this.options.maxNotedBytes,
    });
    this.windows.add(window);
    return window;
  }

  abandonWindow(window: Window): void {
    this.windows.remove(window);
  }

  /**
   * Emits the rows of a read that the log did not touch, in the stream's own order. Resolves with their number when
   * they are given to the sinks, and a promise of their confirmation; with null when the window was discarded and the
   * rows must be read again. Rejects when the pipeline stops.
   */
  async closeWindow(
    window: Window,
    read: ChunkRead,
  ): Promise<{ emittedRows: number; confirmed: Promise<void> } | null> {
    this.fatal.signal.throwIfAborted();
    if (!this.tables.isPrepared(window.layout)) await this.prepareWindow(window, read);
    this.fatal.signal.throwIfAborted();
    const settled = this.windows.await(window, read);
    this.settleWindows();
    return settled;
  }

  /** The layout of a read may be ahead of the stream by a statement; sinks must not learn of it before. */
  private async prepareWindow(window: Window, read: ChunkRead): Promise<void> {
    const passed = this.windows.waitUntilPassed(read);
    this.settleWindows();
    await passed;
    if (window.discardedBecause === null) await this.prepare(window.layout);
  }

  /** Resolves when what is held unconfirmed is within its bound; rejects with the signal's reason. */
  async waitForRoom(signal: AbortSignal): Promise<void> {
    while (this.heldBytes() > this.options.inFlightBytes) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        signal.addEventListener('abort', wake);
        this.roomWaiters.push(wake);
      });
    }
  }

  private async streamUntil(stop: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.options.backoff);
    while (!stop.aborted) {
      try {
        await this.stream(backoff, stop);
      } catch (cause) {
        await this.pauseBeforeReconnect(toDittoError(cause), backoff, stop);
      }
    }
  }

  private async stream(backoff: Backoff, stop: AbortSignal): Promise<void> {
    this.phase = 'streaming';
    const { changeSource, includes, inFlightBytes } = this.options;
    for await (const batch of changeSource.stream({ from: this.resumePosition(), includes, signal: stop })) {
      backoff.reset();
      if (!this.options.mayDeliver()) throw this.endOwnership();
      await this.process(batch);
      if (this.heldBytes() > inFlightBytes) await this.waitForRoom(stop);
      if (stop.aborted) return;
    }
    if (!stop.aborted) throw new DittoError('DITTO_SOURCE_ENDED', 'the server ended the stream', { retriable: true });
  }

  /** Frozen past the lease and woken: the batch that came is somebody else's to deliver. */
  private endOwnership(): DittoError {
    const error = new DittoError('DITTO_LEASE_LOST', 'the lease ran out before the stream went on', {
      retriable: true,
    });
    this.fatal.abort(error);
    return error;
  }

  /** Throws what waiting does not mend. */
  private async pauseBeforeReconnect(error: DittoError, backoff: Backoff, stop: AbortSignal): Promise<void> {
    if (stop.aborted) return;
    if (!error.retriable) throw error;
    const delayMs = backoff.nextMs();
    this.phase = 'reconnecting';
    this.reconnects++;
    this.lastError = describe(error);
    this.interruptedGtid = this.transaction?.gtid ?? null;
    this.transaction = null;
    this.options.logger.warn('the stream broke, going on from the last complete transaction', {
      code: error.code,
      error: error.message,
      delayMs,
    });
    await sleep(delayMs, stop).catch(() => undefined);
  }

  private resumePosition(): Position {
    const { file, serverUuid } = this.lastEnded;
    return { gtidSet: this.streamed.toString(), file, offset: this.resumeOffset, serverUuid };
  }

  private async process(batch: SourceBatch): Promise<void> {
    const slice = this.tracker.openSlice();
    this.logBytes += batch.bytes;
    try {
      for (const item of batch.items) {
        const pending = this.step(item, slice);
        if (pending === undefined) continue;
        this.flush();
        await pending;
      }
      this.flush();
    } finally {
      slice.changes.close();
    }
  }

  /** Only what has to be waited for gives a promise. */
  private step(item: SourceItem, slice: Slice): Promise<void> | undefined {
    switch (item.type) {
      case 'begin':
        this.begin(item.transaction);
        return;
      case 'rows':
        if (!this.tables.isPrepared(item.layout)) return this.prepareAndDispatch(item, slice);
        this.dispatchRows(item, slice);
        return;
      case 'statement':
        return this.statements.apply(item.database, item.sql, this.currentTransaction());
      case 'prepared':
        this.passed.add(item.gtid);
        this.settleWindows();
        return;
      case 'end':
        this.end(item.file, item.endOffset, slice);
    }
  }

  private begin(transaction: SourceTransaction): void {
    const prefix = versionPrefix(this.options.start.lineage, transaction.file, transaction.offset);
    this.assertSameLog(transaction, prefix);
    const { gtid, preparedGtid, serverId, serverUuid, file, offset, commitMicros } = transaction;
    this.preparedGtid = preparedGtid;
    if (preparedGtid !== null) this.dispatched.add(preparedGtid);
    if (gtid !== null) this.dispatched.add(gtid);
    this.transaction = { gtid, serverId, serverUuid, file, offset, commitMicros, versionPrefix: prefix };
  }

  /** Versions only order changes of one server's one log; anything else needs another lineage (I3). */
  private assertSameLog({ serverUuid, gtid, file, offset }: SourceTransaction, prefix: string): void {
    const { lastEnded } = this;
    if (serverUuid !== lastEnded.serverUuid) {
      const error = new DittoError(
        'DITTO_PIPELINE_SERVER_CHANGED',
        `server ${serverUuid} answers where ${lastEnded.serverUuid} did`,
        { retriable: true, context: { serverUuid, expected: lastEnded.serverUuid } },
      );
      this.fatal.abort(error);
      throw error;
    }
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

  private dispatchRows(item: RowsItem, slice: Slice): void {
    const { op, layout, before, after } = item;
    const transaction = this.currentTransaction();
    if (!this.windows.isEmpty) this.windows.note(layout, before, after);
    const { count } = (after ?? before) as RowImages;
    this.changes += count;
    if (this.replaying && this.inReplayZone(transaction)) this.repeatedChanges += count;
    this.sinkAcknowledgements(slice, transaction);
    const { firstRowIndex } = item;
    const changes = { op, layout, count, before, after, transaction, firstRowIndex, readSequence: 0, windowId: null };
    this.dispatch(changes, slice.changes, slice.bySink);
  }

  /** One acknowledgement for each slice and sink, so that latency costs nothing per row. */
  private sinkAcknowledgements(slice: Slice, { commitMicros }: TransactionInfo): void {
    if (slice.bySink.length > 0) return;
    const { sinks, onConfirmed } = this.options;
    for (const { name } of sinks)
      slice.bySink.push({
        acknowledge: (count) => {
          onConfirmed(name, commitMicros, count);
          slice.changes.acknowledge(count);
        },
      });
  }

  private async prepareAndDispatch(item: RowsItem, slice: Slice): Promise<void> {
    await this.prepare(item.layout);
    this.dispatchRows(item, slice);
  }

  private dispatch(changes: RowChanges, pending: PendingChanges, bySink: readonly Acknowledgement[]): void {
    const { sinks } = this.options;
    for (let index = 0; index < sinks.length; index++) {
      pending.expect(changes.count);
      sinks[index]?.accept(changes, bySink[index] ?? pending);
    }
  }

  private flush(): void {
    for (const sink of this.options.sinks) sink.flush();
  }

  private end(file: string, endOffset: number, slice: Slice): void {
    const transaction = this.currentTransaction();
    slice.endTransaction(transaction, this.preparedGtid, file, endOffset);
    if (this.preparedGtid !== null) this.addStreamed(this.preparedGtid);
    if (transaction.gtid !== null) this.addStreamed(transaction.gtid);
    this.lastEnded = transaction;
    this.resumeOffset = endOffset;
    this.transaction = null;
    this.interruptedGtid = null;
    this.transactions++;
    if (this.replaying && this.streamed.contains(this.replayEnd)) this.replaying = false;
    this.settleWindows();
  }

  private addStreamed(gtid: string): void {
    this.streamed.add(gtid);
    this.passed.add(gtid);
  }

  private settleWindows(): void {
    if (this.transaction === null) this.windows.settle(this.passed, (window, rows) => this.emitReads(window, rows));
  }

  private emitReads(window: Window, rows: readonly Row[]): Promise<void> {
    const { layout, readSequence, id } = window;
    const transaction = this.lastEnded;
    return new Promise((resolve) => {
      const pending = new PendingChanges(() => {
        this.queueRoomCheck();
        resolve();
      });
      const changes: RowChanges = {
        op: 'read',
        layout,
        count: rows.length,
        before: null,
        after: new ValueImages(layout, rows),
        transaction,
        firstRowIndex: READ_ROW_INDEX,
        readSequence,
        windowId: id,
      };
      this.changes += rows.length;
      const before = this.bytesInFlight();
      try {
        if (rows.length > 0) this.dispatch(changes, pending, []);
        this.flush();
      } catch (cause) {
        this.fatal.abort(toDittoError(cause));
        return;
      }
      if (rows.length > 0) this.averageReadBytes = Math.max(1, (this.bytesInFlight() - before) / rows.length);
      pending.close();
    });
  }

  /** One at a time: the stream and a read may both be the first to see a table. */
  private async prepare(layout: TableLayout): Promise<void> {
    const turn = this.preparing.then(() => (this.tables.isPrepared(layout) ? undefined : this.prepareNow(layout)));
    this.preparing = turn.catch(() => undefined);
    await turn;
  }

  private async prepareNow(layout: TableLayout): Promise<void> {
    this.tables.learn(layout);
    for (const sink of this.options.sinks) await this.hold(() => sink.prepareTable(layout), this.giveUp);
    this.tables.markPrepared(layout);
  }

  private async drain(signal: AbortSignal): Promise<void> {
    for (const sink of this.options.sinks) await sink.drain(signal);
  }

  private async closeSinks(): Promise<void> {
    for (const sink of this.options.sinks)
      try {
        await sink.close();
      } catch (cause) {
        const { code, message } = toDittoError(cause);
        this.options.logger.warn('a sink did not close in order', { sink: sink.name, code, error: message });
      }
  }

  /** What is down is waited for. */
  private async hold(action: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const onRetry = (cause: unknown, delayMs: number): void => {
      const error = toDittoError(cause);
      this.lastError = describe(error);
      this.options.logger.warn('holding: what the stream needs is not ready', {
        code: error.code,
        error: error.message,
        delayMs,
      });
    };
    await abortable(retry(action, { backoff: new Backoff(this.options.backoff), signal, onRetry }), signal);
  }

  private currentTransaction(): TransactionInfo {
    if (this.transaction === null)
      throw new DittoError(
        'DITTO_SOURCE_OUT_OF_STEP',
        'the log gave a row, a statement or an end outside a transaction',
      );
    return this.transaction;
  }

  private bytesInFlight(): number {
    let bytes = 0;
    for (const sink of this.options.sinks) bytes += sink.bytesInFlight;
    return bytes;
  }

  /** Bytes in flight, and what is kept of transactions that wait behind an unconfirmed one (I9). */
  private heldBytes(): number {
    const { passedTransactions, openSlices } = this.tracker;
    return this.bytesInFlight() + (this.transactions - passedTransactions + openSlices) * BOOKKEEPING_BYTES;
  }

  /** Sinks lower their counts just after they acknowledge, so waiters look one turn later. */
  private queueRoomCheck(): void {
    if (this.roomCheckQueued) return;
    this.roomCheckQueued = true;
    setImmediate(() => {
      this.roomCheckQueued = false;
      const waiters = this.roomWaiters;
      this.roomWaiters = [];
      for (const wake of waiters) wake();
    });
  }
}

function describe(error: DittoError): string {
  return `${error.code}: ${error.message}`;
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
