import {
  type Checkpoint,
  type ColumnSelection,
  type Position,
  type TableLayout,
  type TableNames,
} from '#change-events';
import { type DittoError, toDittoError, type Logger, type Waits } from '#kernel';
import {
  CheckpointSaver,
  Pipeline,
  WindowedSnapshot,
  type ChangeSink,
  type CascadeOptions,
  type ChangeSource,
  type CheckpointStore,
  type Grant,
  type MirroredKeys,
  type Quarantine,
  type QuarantineStatus,
  RequestedReads,
  type RequestedReadStore,
  type RefusedChange,
  type RowReader,
  type SinkStatus,
  type TableChecks,
  type TableRecord,
  TableRecords,
  type TableStore,
} from '#replication';
import { type Healing } from '../opening/heal.ts';
import { type RefusedServer } from '../switching/judge-servers.ts';
import { type PurgeForecast } from '../purging/purge-forecast.ts';
import { type Loss } from '../switching/find-loss.ts';
import { type ServerWatch } from '../switching/server-watch.ts';

/** Everything that one ownership of a source works with; built again for each grant. */
export interface SourceParts {
  readonly changeSource: ChangeSource;
  /** Of the server whose log is streamed: the stream waits for no other. */
  readonly catalogue: Pick<RowReader, 'listTables'>;
  readonly reader: RowReader;
  readonly sinks: readonly ChangeSink[];
  readonly tables: readonly TableLayout[];
  /** As the last owner of the source left them. */
  readonly records: readonly TableRecord[];
  /** What the included tables are called in each sink. */
  readonly names: readonly TableNames[];
  readonly checks: TableChecks;
  readonly includes: (database: string, table: string) => boolean;
  readonly columns: ColumnSelection;
  readonly reaches: (database: string) => boolean;
  /** Whether the server keeps names in lower case. */
  readonly lowerCaseNames: boolean;
  /** Null where the log shows what foreign keys change. */
  readonly cascades: Pick<CascadeOptions, 'facts' | 'keys' | 'rereads'> | null;
  readonly mirror: MirroredKeys | null;
  readonly close: () => Promise<void>;
}

/** The server whose log is streamed. */
export interface StreamedServer {
  /** `host:port` */
  readonly endpoint: string;
  readonly serverUuid: string;
}

/** A move of a source from one server to another, or an attempt that failed. */
export interface SwitchOutcome {
  /** UUID of the server that it was streamed from. */
  readonly from: string;
  /** `host:port` */
  readonly to: string;
  /** Null where the source moved by itself. */
  readonly askedBy: string | null;
  /** Why it was not done; null when it was. */
  readonly error: DittoError | null;
  /** What was given up because the server did not have it; null where nothing was. */
  readonly healing: Healing | null;
}

export interface SourceRunOptions {
  readonly grant: Grant;
  readonly server: StreamedServer;
  /** Null where the source stays on its server whatever happens. */
  readonly watch: ServerWatch | null;
  readonly parts: SourceParts;
  readonly start: Checkpoint;
  /** Where the log ended when this ownership began. */
  readonly endOfLog: Position;
  /** See `TableStore`. */
  readonly reservedReads: number;
  readonly stores: {
    readonly dcs: CheckpointStore;
    readonly state: CheckpointStore;
    readonly tables: TableStore;
    readonly reads: RequestedReadStore;
  };
  /** Null: the source stops at whatever a sink refuses. */
  readonly quarantine: Quarantine | null;
  readonly snapshot: {
    readonly copiesAll: boolean;
    readonly chunkRows: number;
    readonly pauseMs: number;
    readonly cascadePauseMs: number;
  };
  readonly dcsIntervalMs: number;
  readonly stateIntervalMs: number;
  readonly inFlightBytes: number;
  readonly drainDeadlineMs: number;
  readonly logger: Logger;
  readonly hooks: OwnershipHooks;
}

/** What an ownership asks of, and reports to, the holder of its lease. */
export interface OwnershipHooks {
  readonly onConfirmed: (sink: string, commitMicros: number, count: number) => void;
  /** Whether the lease still stands, by this process's own clock. */
  readonly mayDeliver: () => boolean;
  /** What the source waits for is reported here. */
  readonly waits: Waits;
  /** The server is lost and another one may take its place: ends this ownership in order, so that it is opened there. */
  readonly leaveServer: (serverUuid: string, lostSinceMs: number) => void;
  /**
   * The server stands still, and these endpoints (`host:port`) are ahead of it: leaves a mark that the source moves to the
   * first of them where that has not just failed, and ends this ownership in order. Resolves with that one; null where
   * there is none, or an operator has asked for a switch.
   */
  readonly leaveStandstill: (endpoints: readonly string[]) => Promise<string | null>;
  /**
   * What the server lacks is lost for good: ends this ownership in order, so that it is given up and the source opened there;
   * not once the signal is aborted.
   */
  readonly giveUp: (loss: Loss, lostSinceMs: number, signal: AbortSignal) => void;
  readonly onSwitch: (outcome: SwitchOutcome) => void;
  /** How long the server keeps what was not read; null where it is not known. */
  readonly onForecast: (forecast: PurgeForecast | null) => void;
  /** Once, when the server may soon remove log that was not read. */
  readonly onPurgeNear: (forecast: PurgeForecast) => void;
  /** A row that a sink has refused is set aside. */
  readonly onQuarantined: (sink: string, refused: RefusedChange, error: DittoError) => void;
  /** No server can be used for now; called again and again while that is so. */
  readonly onNoServer: (error: DittoError, refused: readonly RefusedServer[]) => void;
}

/** More than half of what may be in flight would let no two reads go side by side. */
const MOST_CHUNK_BYTES = 4 * 1024 * 1024;
const BACKOFF = { initialMs: 100, maxMs: 5000 };

/** One ownership of a source: pipeline, snapshot and checkpoint savers, living and ending together. */
export class SourceRun {
  readonly pipeline: Pipeline;
  readonly snapshot: WindowedSnapshot;
  readonly reads: RequestedReads;
  readonly #options: SourceRunOptions;
  readonly #savers: readonly CheckpointSaver[];

  constructor(options: SourceRunOptions) {
    this.#options = options;
    const { grant, parts, start, stores, logger } = options;
    const { waits } = options.hooks;
    const records = new TableRecords({ grant, store: stores.tables, known: parts.records });
    this.pipeline = new Pipeline({
      source: grant.source,
      start,
      endOfLog: options.endOfLog,
      readSequences: {
        reserved: options.reservedReads,
        reserve: (upTo) => stores.tables.reserveReads(grant, upTo),
      },
      changeSource: parts.changeSource,
      sinks: parts.sinks,
      ...(options.quarantine && { refusedChanges: options.quarantine }),
      includes: parts.includes,
      columns: parts.columns,
      reaches: parts.reaches,
      lowerCaseNames: parts.lowerCaseNames,
      tables: parts.tables,
      records,
      names: parts.names,
      checks: parts.checks,
      inFlightBytes: options.inFlightBytes,
      maxNotedBytes: 16 * 1024 * 1024,
      backoff: BACKOFF,
      logger,
      nowMs: Date.now,
      ...options.hooks,
      onBreak: (error) => (error === null ? options.watch?.over() : options.watch?.broken()),
      onTableUnread: (table, losesRows) => this.snapshot.request(table, losesRows),
      onKeyDoubted: (table) => this.snapshot.checkKey(table),
      listTables: (signal) => parts.catalogue.listTables(signal, this.pipeline.dispatchedSet()),
      canLookUpRows: parts.mirror !== null,
      cascades: parts.cascades && {
        ...parts.cascades,
        isAsked: (tables) => this.snapshot.isAsked(tables),
        onCascade: (tables) => this.snapshot.ask(tables),
      },
    });
    const settings = {
      reader: parts.reader,
      ...options.snapshot,
      chunkBytes: Math.min(MOST_CHUNK_BYTES, Math.floor(options.inFlightBytes / 2)),
      backoff: BACKOFF,
      logger,
    };
    this.snapshot = new WindowedSnapshot({
      ...settings,
      records,
      pipeline: this.pipeline,
      mirror: parts.mirror,
      chunksInFlight: 8,
      tablesInFlight: 8,
      waits,
      nowMs: Date.now,
    });
    this.reads = new RequestedReads({
      grant,
      store: stores.reads,
      snapshot: this.snapshot,
      settings: { ...settings, reads: this.pipeline.reads },
      mirror: parts.mirror,
      onReadKeys: (table, keys) => options.quarantine?.tryNext(table, keys),
      waitUntilConfirmed: () => this.pipeline.waitUntilConfirmed(),
      dispatchedSet: () => this.pipeline.dispatchedSet(),
      nowMs: Date.now,
    });
    const checkpoint = (): Checkpoint => this.pipeline.checkpoint();
    this.#savers = [
      new CheckpointSaver({ grant, store: stores.dcs, intervalMs: options.dcsIntervalMs, checkpoint, logger }),
      new CheckpointSaver({ grant, store: stores.state, intervalMs: options.stateIntervalMs, checkpoint, logger }),
    ];
  }

  /**
   * Runs until `signal` is aborted, then drains within the deadline and writes the last checkpoint; rejects with what
   * stopped it otherwise. `ownership` ends it at once, without a last checkpoint: somebody else may own the source.
   */
  async run(signal: AbortSignal, ownership: AbortSignal): Promise<void> {
    const { logger, drainDeadlineMs, parts, quarantine } = this.#options;
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, ownership, failed.signal]);
    const drain = new AbortController();
    let deadline: NodeJS.Timeout | undefined;
    const giveUp = (): void => drain.abort(new Error('the drain deadline has passed'));
    stop.addEventListener('abort', () => (deadline = setTimeout(giveUp, drainDeadlineMs)), { once: true });
    const guard = async (part: Promise<unknown>): Promise<void> => {
      try {
        await part;
      } catch (cause) {
        // the pipeline itself says why it stopped; those who waited for it only learn that it did
        if (!stop.aborted && toDittoError(cause).code !== 'DITTO_PIPELINE_STOPPED') failed.abort(cause);
      }
    };
    try {
      await Promise.all([
        guard(this.pipeline.run(stop, AbortSignal.any([drain.signal, ownership]))),
        guard(this.snapshot.run(stop)),
        guard(this.reads.run(stop)),
        ...(quarantine === null ? [] : [guard(quarantine.run(stop))]),
        ...this.#savers.map((saver) => guard(saver.run(stop))),
      ]);
      if (!ownership.aborted) await this.#saveLast();
      if (!ownership.aborted) await quarantine?.storeLast();
    } finally {
      clearTimeout(deadline);
      await parts.close();
    }
    ownership.throwIfAborted();
    failed.signal.throwIfAborted();
    logger.info('the source is at rest', { position: this.pipeline.checkpoint().position });
  }

  /** Of a run that was never begun. */
  close(): Promise<void> {
    return this.#options.parts.close();
  }

  get server(): StreamedServer {
    return this.#options.server;
  }

  /** While the stream is broken: why no other server has taken the place of its own yet. */
  get refusedServers(): readonly RefusedServer[] {
    return this.#options.watch?.refused ?? [];
  }

  get errantGtids(): string {
    return this.#options.parts.reader.findErrant();
  }

  get quarantine(): readonly QuarantineStatus[] {
    return this.#options.quarantine?.status() ?? [];
  }

  sinkStatus(): Record<string, SinkStatus> {
    return Object.fromEntries(this.#options.parts.sinks.map((sink) => [sink.name, sink.status()]));
  }

  /** The checkpoint as it is at the end; a store that can't take it keeps its older one, which stays true. */
  async #saveLast(): Promise<void> {
    for (const saver of this.#savers)
      try {
        await saver.save();
      } catch (cause) {
        const { code, message } = toDittoError(cause);
        this.#options.logger.warn('the last checkpoint could not be written', { code, error: message });
      }
  }
}
