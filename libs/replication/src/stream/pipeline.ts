import {
  type Checkpoint,
  type ColumnSelection,
  type Position,
  type RowImages,
  type TableLayout,
  type TableName,
  type TableNames,
  type TransactionInfo,
} from '#change-events';
import {
  abortable,
  Backoff,
  DittoError,
  formatError,
  retry,
  sleep,
  toDittoError,
  type Logger,
  type Waits,
} from '#kernel';
import { AcknowledgementTracker, type Slice } from './acknowledgement-tracker.ts';
import { CascadeHandling, type CascadeOptions } from '../statements/cascade-handling.ts';
import { KeyChanges } from './key-changes.ts';
import { KnownTables } from '../tables/known-tables.ts';
import { type ChangeSink, type SinkOpenOptions } from '../ports/change-sink.ts';
import { type ChangeSource, type SourceBatch, type SourceItem } from '../ports/change-source.ts';
import { type RefusedChanges, StopAtRefusal } from '../ports/refused-changes.ts';
import { type TableChecks } from '../ports/table-checks.ts';
import { type UndecodableChange } from './undecodable-changes.ts';
import { ReadSequences, type ReadSequencesOptions } from '../windows/read-sequences.ts';
import { RoomGate } from './room-gate.ts';
import { SinkGroup } from './sink-group.ts';
import { StatementHandling } from '../statements/statement-handling.ts';
import { StreamPauses } from './stream-pauses.ts';
import { StreamProgress } from './stream-progress.ts';
import { StreamWindows } from './stream-windows.ts';
import { TableEndings } from '../tables/table-endings.ts';
import { TableKeys } from '../tables/table-keys.ts';
import { type TableRecords } from '../tables/table-records.ts';
import { WindowRegistry } from '../windows/window-registry.ts';
import { type ReadStream } from '../windows/windowed-read.ts';

type RowsItem = Extract<SourceItem, { type: 'rows' }>;
type EndItem = Extract<SourceItem, { type: 'end' }>;

export interface PipelineOptions {
  readonly source: string;
  /** Where to continue. What its last owner dispatched beyond its position is the replay zone. */
  readonly start: Checkpoint;
  /**
   * Where the log of the server ended before this run began: what lies between may have been dispatched by an owner before,
   * also beyond what it saved. By default nothing lies between.
   */
  readonly endOfLog?: Position;
  /** Of the numbers of reads; a store that is down is waited for. */
  readonly readSequences: ReadSequencesOptions;
  readonly changeSource: ChangeSource;
  readonly sinks: readonly ChangeSink[];
  /** What becomes of changes that a sink will never take; by default the pipeline stops at them. */
  readonly refusedChanges?: RefusedChanges;
  readonly includes: (database: string, table: string) => boolean;
  /** Which columns are replicated; all by default. What reads rows must go by the same. */
  readonly columns?: ColumnSelection;
  /** Whether a table of the database may be included: its own statements are published then. */
  readonly reaches: (database: string) => boolean;
  /** Whether the server keeps names in lower case (`lower_case_table_names=1`) while statements say them as written. */
  readonly lowerCaseNames?: boolean;
  /** Layouts of the included tables as of now; the log's own replace them as they appear. */
  readonly tables: readonly TableLayout[];
  /** They say by which keys and layouts the sinks have rows. */
  readonly records: TableRecords;
  /** What the included tables are called in each sink; those that are there at the start are taken in already. */
  readonly names?: readonly TableNames[];
  /** The checks that the tables that are there at the start have passed already. */
  readonly checks?: TableChecks;
  readonly inFlightBytes: number;
  readonly maxNotedBytes: number;
  readonly backoff: { readonly initialMs: number; readonly maxMs: number };
  readonly logger: Logger;
  readonly waits: Waits;
  readonly nowMs: () => number;
  /** Whether the source is still this process's, by its own clock; asked before each batch and each delivery. */
  readonly mayDeliver: () => boolean;
  /** `count` changes of the log, committed about `commitMicros`, are confirmed by a sink. Called per batch, not per row. */
  readonly onConfirmed: (sink: string, commitMicros: number, count: number) => void;
  /**
   * The log does not show the rows of an included table as they now are: all of it must be read. `losesRows`: rows that
   * are gone must be looked for.
   * Resolves when that can't be forgotten any more; only then may a checkpoint pass the statement. Tried again on a
   * retriable error.
   */
  readonly onTableUnread: (table: TableName, losesRows: boolean) => Promise<void>;
  /** A statement may have given an included table another key, which shows only in its next row. */
  readonly onKeyDoubted: (table: TableName) => void;
  /** The stream broke and is tried again, at each attempt; null: it continues, or has ended. */
  readonly onBreak?: (error: DittoError | null) => void;
  /** The included tables that are there now; now is not before what was dispatched. */
  readonly listTables: (signal: AbortSignal) => Promise<readonly TableName[]>;
  /** Whether rows that are gone can be found by what a sink has. */
  readonly canLookUpRows: boolean;
  /** Null where the log shows what foreign keys change. */
  readonly cascades: CascadeOptions | null;
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
  /** Changes that were sent again because a crash had left them unconfirmed, as far as the checkpoint knows of them. */
  readonly repeatedChanges: number;
  /** GTIDs up to which changes may be repetitions, after a crash; null when that is over. */
  readonly replayingUntil: string | null;
  readonly lastError: string | null;
}

/** A stream that has lasted so long is not broken any more. */
const SETTLED_AFTER_MS = 30_000;

/** About what a stretch of the stream holds, in addition to its changes, until it is confirmed. */
const BOOKKEEPING_BYTES = 1024;

/**
 * The running replication of one source: takes the log apart, gives every change to every sink in log order, keeps
 * what was dispatched apart from what was confirmed, and holds the reader while the sinks are full (I1, I2, I9).
 */
export class Pipeline {
  readonly #streamWindows: StreamWindows;
  readonly #options: PipelineOptions;
  readonly #refusedChanges: RefusedChanges;
  readonly #progress: StreamProgress;
  readonly #tracker: AcknowledgementTracker;
  readonly #windows = new WindowRegistry();
  readonly #tables: KnownTables;
  readonly #keys: TableKeys;
  readonly #keyChanges: KeyChanges;
  readonly #pauses: StreamPauses;
  readonly #sinks: SinkGroup;
  readonly #room: RoomGate;
  readonly #statements: StatementHandling;
  readonly #cascades: CascadeHandling | null;
  readonly #fatal = new AbortController();
  /** Aborted when sinks may not be waited for any longer: they failed, or the drain was given up. */
  #giveUp: AbortSignal = this.#fatal.signal;
  #phase: PipelineStatus['phase'] = 'idle';
  #changes = 0;
  #repeatedChanges = 0;
  #logBytes = 0;
  #reconnects = 0;
  #lastError: string | null = null;
  /** While the stream is broken: ends the wait for the server. */
  #endOfBreak: (() => void) | null = null;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#refusedChanges = options.refusedChanges ?? new StopAtRefusal();
    const { start, endOfLog, inFlightBytes, waits } = options;
    const hold = (action: () => Promise<void>): Promise<void> => this.#hold(action, this.#giveUp);
    const windows = this.#windows;
    this.#progress = new StreamProgress(start, endOfLog);
    this.#room = new RoomGate({
      waits,
      maxBytes: inFlightBytes,
      heldBytes: () => this.#heldBytes(),
      readBytes: () => windows.readBytes,
    });
    // a record of an earlier version of Ditto says no version
    const confirmed = { ...start, version: this.#progress.startVersion };
    this.#tracker = new AcknowledgementTracker(confirmed, () => this.#room.changed());
    const tables = (this.#tables = new KnownTables(options.tables, options.names));
    const keys = (this.#keys = new TableKeys(options.records, () => this.#progress.endVersion));
    this.#sinks = new SinkGroup({ ...options, tables, keys, hold });
    this.#streamWindows = new StreamWindows({
      ...options,
      lineage: start.lineage,
      progress: this.#progress,
      sequences: new ReadSequences({
        ...options.readSequences,
        reserve: (upTo) => hold(() => options.readSequences.reserve(upTo)),
      }),
      tables,
      sinks: this.#sinks,
      windows,
      keyChanges: () => this.#keyChanges,
      stopped: this.#fatal.signal,
      room: this.#room,
      onFatal: (cause) => this.#fatal.abort(toDittoError(cause)),
    });
    this.#cascades =
      options.cascades &&
      new CascadeHandling({
        ...options,
        ...options.cascades,
        tables,
        signal: this.#fatal.signal,
        dispatchedSet: () => this.dispatchedSet(),
        hold,
      });
    const drain = (): Promise<void> =>
      waits.during('the sinks to confirm all that comes before the end of rows', this.#sinks.drain(this.#giveUp));
    const refusedChanges = this.#refusedChanges;
    const endings = new TableEndings({ ...options, refusedChanges, tables, keys, drain, hold });
    const pauses = (this.#pauses = new StreamPauses(() => this.#progress.isBetween));
    this.#keyChanges = new KeyChanges({
      ...options,
      lineage: start.lineage,
      keys,
      tables,
      windows,
      endings,
      pauses,
      isReplaying: () => this.#progress.isReplaying,
      lastEnded: () => this.#progress.lastEnded,
      nextReadSequence: () => this.#streamWindows.nextSecuredSequence(),
      hold,
    });
    this.#statements = new StatementHandling({
      ...options,
      tables,
      windows,
      endings,
      cascades: this.#cascades,
      check: async (defining) =>
        options.checks &&
        hold(() => (options.checks as TableChecks).check(defining, this.#fatal.signal, this.dispatchedSet())),
      hold,
      listTables: () => options.listTables(this.#fatal.signal),
    });
  }

  /**
   * Streams until `signal` is aborted, then drains the sinks (given up when `drainSignal` is aborted) and resolves.
   * Rejects with a `DittoError` when the pipeline had to stop; what was confirmed until then is in `checkpoint()`.
   */
  async run(signal: AbortSignal, drainSignal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#fatal.signal]);
    this.#giveUp = AbortSignal.any([drainSignal, this.#fatal.signal]);
    try {
      await this.#openSinks(stop);
      await this.#streamUntil(stop);
      this.#fatal.signal.throwIfAborted();
      this.#phase = 'draining';
      await this.#options.waits.during('the sinks to confirm what is in flight', this.#sinks.drain(this.#giveUp));
    } catch (cause) {
      if (signal.aborted && !this.#fatal.signal.aborted && !drainSignal.aborted) return;
      const error = toDittoError(this.#fatal.signal.aborted ? this.#fatal.signal.reason : cause);
      this.#lastError = formatError(error);
      throw error;
    } finally {
      this.#phase = 'stopped';
      this.#endBreak();
      this.#fatal.abort(new DittoError('DITTO_PIPELINE_STOPPED', 'the pipeline has stopped', { retriable: true }));
      this.#windows.failAll(this.#fatal.signal.reason);
      this.#pauses.failAll(toDittoError(this.#fatal.signal.reason));
      await this.#sinks.close();
    }
  }

  /** The newest checkpoint, as of now. */
  checkpoint(): Checkpoint {
    const { source, start, nowMs } = this.#options;
    return {
      source,
      lineage: start.lineage,
      ...this.#tracker.confirmedPosition(),
      dispatchedSet: this.dispatchedSet(),
      lastDispatched: this.#progress.lastDispatched,
      savedAtMs: nowMs(),
    };
  }

  status(): PipelineStatus {
    const phase = this.#phase;
    const repeatedChanges = this.#repeatedChanges;
    const logBytes = this.#logBytes;
    const reconnects = this.#reconnects;
    const lastError = this.#lastError;
    const { transactions, lastEnded, replayingUntil } = this.#progress;
    return {
      phase,
      transactions,
      changes: this.#changes + this.#streamWindows.emittedRows,
      logBytes,
      bytesInFlight: this.#sinks.bytesInFlight + this.#windows.readBytes,
      lastCommitMicros: lastEnded.commitMicros,
      reconnects,
      repeatedChanges,
      replayingUntil,
      lastError,
    };
  }

  /** Whether changes of the transaction may have been delivered before, so that repeats are expected. */
  inReplayZone(transaction: TransactionInfo): boolean {
    return this.#progress.inReplayZone(transaction);
  }

  /** GTIDs of all transactions that were given to a sink, or begun to be. */
  dispatchedSet(): string {
    return this.#progress.dispatched.toString();
  }

  /** As `describeKey` says it: the key that the table's rows have in the sinks; undefined when they were given none. */
  keyOf(table: TableName): string | undefined {
    return this.#keys.keyOf(table);
  }

  /** Ends a table that is gone without a statement about it in the log. Resolves when every sink has confirmed it. */
  endTable(table: TableName): Promise<void> {
    return this.#keyChanges.endTable(table);
  }

  /** Where rows that were read join the stream. */
  get reads(): Pick<StreamWindows, keyof ReadStream | 'waitUntilBehind' | 'nextVersion'> {
    return this.#streamWindows;
  }

  get lineage(): number {
    return this.#options.start.lineage;
  }

  /** All that was given to a sink before this run, and may be given again, has a version above this one. */
  get startVersion(): string {
    return this.#progress.startVersion;
  }

  /** Resolves when all that was given to the sinks until now, by the log and by reads, is confirmed. */
  async waitUntilConfirmed(): Promise<void> {
    await Promise.all([this.#tracker.waitUntilConfirmed(), this.#streamWindows.waitUntilConfirmed()]);
  }

  async #openSinks(signal: AbortSignal): Promise<void> {
    const { sinks, mayDeliver } = this.#options;
    const refusedChanges = this.#refusedChanges;
    const onFatal = (error: Error): void => this.#fatal.abort(error);
    for (const sink of sinks) {
      const refuse: SinkOpenOptions['refuse'] = (...of) => refusedChanges.record(sink.name, ...of);
      const quarantined = refusedChanges.keysOf(sink.name);
      await this.#hold(() => sink.open({ onFatal, refuse, quarantined, mayDeliver, signal }), signal);
    }
  }

  async #streamUntil(stop: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#options.backoff);
    while (!stop.aborted) {
      try {
        await this.#stream(backoff, stop);
      } catch (cause) {
        await this.#pauseBeforeReconnect(toDittoError(cause), backoff, stop);
      }
    }
  }

  async #stream(backoff: Backoff, stop: AbortSignal): Promise<void> {
    this.#phase = 'streaming';
    const { changeSource, includes } = this.#options;
    const { resumePosition: from, lastComplete, lastDispatched } = this.#progress;
    const proof = [lastComplete, lastDispatched];
    // a quiet server gives no batch; one that does not answer, or is silent, ends the stream earlier
    const quiet = setTimeout(() => this.#endBreak(), SETTLED_AFTER_MS).unref();
    try {
      for await (const batch of changeSource.stream({ from, proof, includes, signal: stop })) {
        backoff.reset();
        if (this.#endOfBreak !== null) this.#endBreak();
        if (!this.#options.mayDeliver()) throw this.#endOwnership();
        await this.#process(batch);
        if (this.#room.isFull) await this.#room.wait(stop);
        if (stop.aborted) return;
      }
    } finally {
      clearTimeout(quiet);
    }
    if (!stop.aborted) throw new DittoError('DITTO_SOURCE_ENDED', 'the server ended the stream', { retriable: true });
  }

  /** Frozen past the lease and woken: the batch that came is somebody else's to deliver. */
  #endOwnership(): DittoError {
    const error = new DittoError('DITTO_LEASE_LOST', 'the lease ran out before the stream continued', {
      retriable: true,
    });
    this.#fatal.abort(error);
    return error;
  }

  #endBreak(): void {
    if (this.#endOfBreak === null) return;
    this.#endOfBreak();
    this.#endOfBreak = null;
    this.#options.onBreak?.(null);
  }

  /** Throws what connecting again does not fix. */
  async #pauseBeforeReconnect(error: DittoError, backoff: Backoff, stop: AbortSignal): Promise<void> {
    if (stop.aborted) return;
    if (!error.retriable || error.code === 'DITTO_PIPELINE_SERVER_CHANGED') throw error;
    const delayMs = backoff.nextMs();
    this.#phase = 'reconnecting';
    this.#reconnects++;
    const isNew = this.#endOfBreak === null || this.#lastError !== formatError(error);
    this.#lastError = formatError(error);
    this.#endOfBreak ??= this.#options.waits.begin(() => `the server of the source: ${this.#lastError ?? ''}`);
    this.#progress.interrupt();
    this.#options.onBreak?.(error);
    if (isNew)
      this.#options.logger.warn('the stream broke, continuing from the last complete transaction', {
        code: error.code,
        error: error.message,
        delayMs,
      });
    await sleep(delayMs, stop).catch(() => undefined);
  }

  async #process(batch: SourceBatch): Promise<void> {
    await this.#pauses.next();
    const slice = this.#tracker.openSlice();
    this.#logBytes += batch.bytes;
    try {
      for (const item of batch.items) {
        const pending = this.#step(item, slice);
        if (pending === undefined) continue;
        this.#sinks.flush();
        await pending;
      }
      this.#sinks.flush();
    } finally {
      slice.changes.close();
    }
  }

  /** Only what has to be waited for gives a promise. */
  #step(item: SourceItem, slice: Slice): Promise<void> | undefined {
    switch (item.type) {
      case 'begin':
        this.#progress.begin(item.transaction);
        return;
      case 'rows':
        if (!this.#tables.isPrepared(item.layout)) return this.#prepareAndDispatch(item, slice);
        return this.#dispatch(item, slice);
      case 'statement':
        return this.#statements.apply(item, this.#progress.current);
      case 'prepared':
        if (item.gtid !== null) {
          this.#progress.prepared(item.gtid);
          slice.prepare(item.gtid);
        }
        this.#streamWindows.settle();
        return;
      case 'end': {
        // what foreign keys changed as well is on record before the transaction counts as ended (I1)
        const recorded = this.#cascades?.record();
        if (recorded !== undefined) return recorded.then(() => this.#end(item, slice));
        return this.#end(item, slice);
      }
    }
  }

  #end({ file, endOffset, digest = '' }: EndItem, slice: Slice): Promise<void> | undefined {
    const { transaction, preparedGtid } = this.#progress.end(endOffset, digest);
    slice.endTransaction(transaction, preparedGtid, { file, endOffset, digest });
    this.#streamWindows.settle();
    const settled = this.#keyChanges.settle();
    return settled === undefined ? this.#pauses.next() : settled.then(() => this.#pauses.next());
  }

  async #prepareAndDispatch(item: RowsItem, slice: Slice): Promise<void> {
    // a read may have been the first to come to the table, with another key
    while (!this.#tables.isPrepared(item.layout)) {
      await this.#keyChanges.meet(item.layout);
      await this.#sinks.prepare(item.layout);
    }
    await this.#dispatch(item, slice);
  }

  #dispatch(item: RowsItem, slice: Slice): Promise<void> | undefined {
    const { op, layout, before, after, firstRowIndex } = item;
    const transaction = this.#progress.current;
    if (!this.#windows.isEmpty) this.#windows.note(layout, before, after);
    if (this.#cascades !== null) this.#cascades.note(layout, before, after);
    const { count } = (after ?? before) as RowImages;
    this.#changes += count;
    if (this.#progress.isReplaying && this.#progress.wasDispatched(transaction)) this.#repeatedChanges += count;
    this.#sinkAcknowledgements(slice, transaction);
    const changes = { op, layout, count, before, after, transaction, firstRowIndex, readSequence: 0, windowId: null };
    const undecodable = this.#sinks.accept(changes, slice.changes, slice.bySink);
    return undecodable === null ? undefined : this.#refuse(undecodable);
  }

  /** Nothing that comes later is read before it is recorded (I6). */
  async #refuse(undecodable: readonly UndecodableChange[]): Promise<void> {
    for (const { sink, refused, error, acknowledgement } of undecodable) {
      // what the sink has not confirmed of the row comes before, and may be held back, too
      const lackingSince = this.#tracker.confirmedVersion;
      for (const one of refused)
        await this.#hold(() => this.#refusedChanges.record(sink, { ...one, lackingSince }, error), this.#giveUp);
      acknowledgement.acknowledge(1);
    }
  }

  /** One acknowledgement for each slice and sink, so that latency costs nothing per row. */
  #sinkAcknowledgements(slice: Slice, { commitMicros }: TransactionInfo): void {
    if (slice.bySink.length > 0) return;
    const { sinks, onConfirmed } = this.#options;
    for (const { name } of sinks)
      slice.bySink.push({
        acknowledge: (count) => {
          onConfirmed(name, commitMicros, count);
          slice.changes.acknowledge(count);
        },
      });
  }

  /** What is down is waited for; its error is logged when it is another than before. */
  async #hold(action: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { backoff, logger, waits } = this.#options;
    const log = { logger, message: 'holding: what the stream needs is not ready' };
    let because = 'no answer yet';
    const onRetry = (error: unknown): void => {
      because = this.#lastError = formatError(error);
    };
    const work = retry(action, { backoff: new Backoff(backoff), signal, log, onRetry });
    await waits.during(() => `a server that the stream needs: ${because}`, abortable(work, signal));
  }

  /** Bytes in flight, and what is kept of stretches that wait after an unconfirmed one (I9). */
  #heldBytes(): number {
    return this.#sinks.bytesInFlight + this.#tracker.openSlices * BOOKKEEPING_BYTES;
  }
}
