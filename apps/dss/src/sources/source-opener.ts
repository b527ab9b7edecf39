import { Injectable } from '@nestjs/common';
import {
  CollectionNames,
  type ColumnSelection,
  compileColumnSelection,
  compileDatabaseSelection,
  compileTableSelection,
  type Checkpoint,
  GtidSet,
  type TableChange,
  type TableLayout,
  type TableNames,
  type TableSelectionOptions,
  TopicNames,
} from '#change-events';
import { DcsCheckpointStore } from '#dcs-client';
import { toDittoError, type Logger } from '#kernel';
import {
  listMirroredTables,
  MirrorLineage,
  type MirrorName,
  MongoMirroredKeys,
  type MongoConnection,
  openMongo,
} from '#mongo';
import {
  assertPosition,
  type CascadeHandlingChoice,
  checkEndpoint,
  type EndpointInspection,
  LogProof,
  logsCascades,
  MySqlCascadeFacts,
  type MySqlConnectionOptions,
  MySqlEndpoint,
  MySqlRowReader,
  MySqlChangeSource,
  MySqlTableChecks,
  reportProblems,
  type TableInspection,
} from '#mysql';
import { type DittoConfig, requireSection, type SourceConfig, toMongoOptions, toMySqlOptions } from '#configuration';
import { createLogger, InjectConfig } from '#platform';
import { areReadsUsedUp, type Grant, type TableRecord } from '#replication';
import {
  StateCheckpointStore,
  StateColumnStore,
  StateKeyStore,
  StateLineageStore,
  StateLogAcceptanceStore,
  StateResyncStore,
  StateRewindStore,
  StateTableStore,
} from '#state';
import { cascadeChoice } from './cascade-choice.ts';
import { adoptColumns } from './column-adoption.ts';
import { endTables } from './end-tables.ts';
import { findStart } from './resync.ts';
import { SinkBuilder } from './sink-builder.ts';
import { type OwnershipHooks, SourceRun } from './source-run.ts';
import { newestCheckpoint } from './starting-point.ts';
import { findStartingKeys } from './starting-keys.ts';
import { findStartingTables } from './starting-tables.ts';

/** What the server of a source has answered, and how its configuration reads. */
interface InspectedSource {
  readonly first: MySqlConnectionOptions;
  /** Of the first endpoint, whose log is streamed. */
  readonly catalogue: MySqlRowReader;
  readonly reader: MySqlRowReader;
  readonly inspection: EndpointInspection;
  readonly inspected: readonly TableInspection[];
  readonly handling: CascadeHandlingChoice;
  readonly tables: readonly TableLayout[];
  readonly names: readonly TableNames[];
  readonly selection: TableSelectionOptions;
  readonly includes: (database: string, table: string) => boolean;
  readonly columns: ColumnSelection;
}

/** What is known of a source once its server and its mirror have answered. */
interface Opening extends InspectedSource {
  readonly source: SourceConfig;
  readonly grant: Grant;
  readonly mongo: MongoConnection | null;
  /** What this ownership has opened, newest last. */
  readonly closers: (() => Promise<void>)[];
  readonly close: () => Promise<void>;
  readonly hooks: OwnershipHooks;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** Builds what one ownership of a source needs, bottom up; what was built is closed again when a later part fails. */
@Injectable()
export class SourceOpener {
  readonly #config: DittoConfig;
  readonly #dcs: DcsCheckpointStore;
  readonly #state: StateCheckpointStore;
  readonly #columns: StateColumnStore;
  readonly #keys: StateKeyStore;
  readonly #lineages: StateLineageStore;
  readonly #tables: StateTableStore;
  readonly #resyncs: StateResyncStore;
  readonly #rewinds: StateRewindStore;
  readonly #acceptances: StateLogAcceptanceStore;
  readonly #sinks: SinkBuilder;

  constructor(
    @InjectConfig() config: DittoConfig,
    dcs: DcsCheckpointStore,
    state: StateCheckpointStore,
    columns: StateColumnStore,
    keys: StateKeyStore,
    lineages: StateLineageStore,
    tables: StateTableStore,
    resyncs: StateResyncStore,
    rewinds: StateRewindStore,
    acceptances: StateLogAcceptanceStore,
    sinks: SinkBuilder,
  ) {
    this.#config = config;
    this.#dcs = dcs;
    this.#state = state;
    this.#columns = columns;
    this.#keys = keys;
    this.#lineages = lineages;
    this.#tables = tables;
    this.#resyncs = resyncs;
    this.#rewinds = rewinds;
    this.#acceptances = acceptances;
    this.#sinks = sinks;
  }

  async open(source: SourceConfig, grant: Grant, hooks: OwnershipHooks, signal: AbortSignal): Promise<SourceRun> {
    const closers: (() => Promise<void>)[] = [];
    const close = (): Promise<void> => closeAll(closers, createLogger(`source:${source.name}`));
    try {
      return await this.#build(source, grant, hooks, signal, closers, close);
    } catch (cause) {
      await close();
      throw cause;
    }
  }

  async #build(
    source: SourceConfig,
    grant: Grant,
    hooks: OwnershipHooks,
    signal: AbortSignal,
    closers: (() => Promise<void>)[],
    close: () => Promise<void>,
  ): Promise<SourceRun> {
    const logger = createLogger(`source:${source.name}`);
    const inspected = await this.#inspect(source, signal, logger, closers);
    await adoptColumns({
      grant,
      store: this.#columns,
      excludeColumns: source.excludeColumns,
      tables: inspected.tables,
      isKnown: async () => (await newestCheckpoint({ grant, dcs: this.#dcs, state: this.#state })) !== null,
      logger,
    });
    const mongo = source.sinks.includes('mongo') ? await this.#openMongo(logger, signal, closers) : null;
    if (areReadsUsedUp(await this.#tables.reservedReads(source.name))) await this.#beginReadsAgain(grant);
    const opening = { ...inspected, source, grant, mongo, hooks, signal, closers, close, logger };
    return this.#assemble(opening, await this.#findStart(opening));
  }

  /** Asks the server, and refuses what loses data or can't be carried. */
  async #inspect(
    source: SourceConfig,
    signal: AbortSignal,
    logger: Logger,
    closers: (() => Promise<void>)[],
  ): Promise<InspectedSource> {
    const { name, keys, excludeColumns, snapshot } = source;
    const selection = { include: [...source.include], exclude: [...source.exclude] };
    const includes = compileTableSelection(selection);
    const columns = compileColumnSelection(excludeColumns);
    const endpoints = source.endpoints.map(toMySqlOptions);
    const first = requireSection(endpoints[0], `sources.${name}.endpoints`);
    const connection = endpoints[snapshot.endpoint] ?? first;
    const acceptGtids = GtidSet.parse(source.acceptGtids);
    const reaches = compileDatabaseSelection(selection);
    const rules = { acceptGtids, includes, reaches, keys, columns, logger };
    const catalogue = new MySqlRowReader({ connection: first, ...rules });
    const reader = connection === first ? catalogue : new MySqlRowReader({ connection, streamed: first, ...rules });
    closers.push(() => {
      catalogue.close();
      reader.close();
      return Promise.resolve();
    });
    const endpoint = new MySqlEndpoint(first);
    const inspection = await endpoint.inspect(signal);
    const inspected = await endpoint.inspectTables(includes, { keys, columns }, signal);
    const handling = cascadeChoice(source);
    reportProblems(checkEndpoint(inspection, inspected, await endpoint.readGrants(signal), handling), logger);
    const tables = await reader.listTables(signal);
    const names = namesOf(source);
    for (const ofSink of names) ofSink.claimAll(tables);
    return { first, catalogue, reader, inspection, inspected, handling, tables, names, selection, includes, columns };
  }

  /** Nothing of it runs yet. */
  async #assemble(opening: Opening, start: Checkpoint): Promise<SourceRun> {
    const { source, grant, first, catalogue, reader, inspection, inspected, handling, tables, names } = opening;
    const { selection, includes, columns, mongo, hooks, closers, close, logger } = opening;
    const { name, keys, snapshot, serverId, heartbeatMs } = source;
    const { settings } = inspection;
    const records = await this.#tables.load(name);
    const run: SourceRun = new SourceRun({
      grant,
      parts: {
        changeSource: new MySqlChangeSource({
          connection: first,
          logger,
          keys,
          columns,
          replicaId: serverId,
          heartbeatMs,
          silenceMs: 4 * heartbeatMs,
        }),
        catalogue,
        reader,
        sinks: this.#sinks.build({
          source,
          grant,
          mongo,
          isReplaying: (transaction) => run.pipeline.inReplayZone(transaction),
          logger,
          closers,
        }),
        tables: await this.#findTables(name, tables, records, includes, mongo),
        records,
        keys: await findStartingKeys({
          grant,
          store: this.#keys,
          copied: records,
          catalogue: tables,
        }),
        names,
        checks: new MySqlTableChecks({ connection: first, keys, columns, logger }),
        includes,
        columns,
        reaches: compileDatabaseSelection(selection),
        lowerCaseNames: settings.lowerCaseTableNames === '1',
        cascades: logsCascades(settings)
          ? null
          : {
              facts: new MySqlCascadeFacts({ connection: first, settings, includes, keys, columns, handling }),
              keys: inspected.flatMap(({ cascades }) => cascades),
              rereads: handling.cascades === 'reread',
            },
        mirror: mongo && new MongoMirroredKeys({ ...this.#mirrorOf(name, mongo), logger }),
        close,
      },
      start: withAccepted(start, source, inspection),
      endOfLog: {
        gtidSet: inspection.gtidExecuted,
        ...inspection.logEnd,
        serverUuid: inspection.serverUuid,
      },
      reservedReads: await this.#tables.reservedReads(name),
      stores: { dcs: this.#dcs, state: this.#state, tables: this.#tables, keys: this.#keys },
      snapshot: { ...snapshot, copiesAll: snapshot.mode === 'windowed' },
      ...this.#config.dss.checkpoint,
      inFlightBytes: this.#config.dss.inFlightBytes,
      drainDeadlineMs: Math.max(500, this.#config.dss.shutdownDeadlineMs - 2000),
      logger,
      hooks,
    });
    return run;
  }

  /** A new lineage, whose reads are numbered from 1; the starting point finds that it has outgrown the checkpoint's. */
  async #beginReadsAgain(grant: Grant): Promise<void> {
    const lineage = await this.#lineages.current(grant.source);
    await this.#lineages.raise(grant, lineage + 1, 'the numbers of reads are used up');
  }

  async #findStart(opening: Opening): Promise<Checkpoint> {
    const { source, grant, first, inspection, tables, includes, mongo, signal, logger } = opening;
    const { name, snapshot } = source;
    const mirror = mongo && this.#mirrorOf(name, mongo);
    const log = new LogProof(first);
    const closers: (() => Promise<void>)[] = [];
    try {
      return await findStart({
        grant,
        current: { gtidSet: inspection.gtidExecuted, file: '', offset: 0, serverUuid: inspection.serverUuid },
        dcs: this.#dcs,
        state: this.#state,
        lineages: this.#lineages,
        mirror: mirror && new MirrorLineage(mirror),
        memories: this.#sinks.recall({ ...opening, closers }),
        findLast: () => log.findLast(inspection, signal),
        assertReachable: (checkpoint) => assertReachable(withAccepted(checkpoint, source, inspection), inspection),
        prove: (known) => log.prove(inspection, known, signal),
        acceptances: this.#acceptances,
        resyncs: this.#resyncs,
        rewinds: this.#rewinds,
        purged: inspection.gtidPurged,
        findLost: () => this.#sinks.findLost({ ...opening, closers }),
        findPlace: (fileNumber, offset) => new MySqlEndpoint(first).findGtidsBefore(fileNumber, offset, signal),
        tableStore: this.#tables,
        tables,
        listMirrored: async () => (mirror === null ? [] : listMirroredTables(mirror)),
        includes,
        copiesRows: snapshot.mode !== 'none',
        endTables: (changes) => this.#endTables(opening, changes),
        signal,
        logger,
      });
    } finally {
      await closeAll(closers, logger);
    }
  }

  async #endTables(opening: Opening, changes: readonly TableChange[]): Promise<void> {
    const { hooks, signal, logger } = opening;
    const closers: (() => Promise<void>)[] = [];
    try {
      const sinks = this.#sinks.build({ ...opening, isReplaying: () => false, closers });
      await endTables({ sinks, changes, mayDeliver: hooks.mayDeliver, signal, logger });
    } finally {
      await closeAll(closers, logger);
    }
  }

  async #findTables(
    source: string,
    catalogue: readonly TableLayout[],
    copied: readonly TableRecord[],
    includes: (database: string, table: string) => boolean,
    mongo: MongoConnection | null,
  ): Promise<readonly TableLayout[]> {
    const mirror = mongo && this.#mirrorOf(source, mongo);
    return findStartingTables({
      catalogue,
      copied,
      mirrored: mirror === null ? [] : await listMirroredTables(mirror),
      includes,
    });
  }

  #mirrorOf(source: string, connection: MongoConnection): MirrorName {
    return { connection, source, databasePrefix: this.#mongoConfig().databasePrefix };
  }

  #mongoConfig(): NonNullable<DittoConfig['mongo']> {
    return requireSection(this.#config.mongo, 'mongo');
  }

  async #openMongo(logger: Logger, signal: AbortSignal, closers: (() => Promise<void>)[]): Promise<MongoConnection> {
    const connection = await openMongo({ ...toMongoOptions(this.#mongoConfig()), logger, signal });
    closers.push(() => connection.close());
    return connection;
  }
}

/** Newest first; one that does not close in order is told of, and the others are closed all the same. */
async function closeAll(closers: (() => Promise<void>)[], logger: Logger): Promise<void> {
  for (const closer of closers.splice(0).reverse())
    try {
      await closer();
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      logger.warn('a connection did not close in order', { code, error: message });
    }
}

function namesOf({ name, sinks }: SourceConfig): readonly TableNames[] {
  return sinks.map((sink) => (sink === 'kafka' ? new TopicNames(name) : new CollectionNames()));
}

/** GTIDs that the log never gives, and that an operator has accepted, count as read. */
function withAccepted(checkpoint: Checkpoint, source: SourceConfig, { gtidPurged }: EndpointInspection): Checkpoint {
  const unlogged = GtidSet.parse(source.acceptGtids).intersect(GtidSet.parse(gtidPurged));
  if (unlogged.isEmpty) return checkpoint;
  const unite = (gtidSet: string): string => GtidSet.parse(gtidSet).union(unlogged).toString();
  const position = { ...checkpoint.position, gtidSet: unite(checkpoint.position.gtidSet) };
  return { ...checkpoint, position, dispatchedSet: unite(checkpoint.dispatchedSet) };
}

/** The log behind the checkpoint must be there (no gap), and all that was ever given to a sink must be in it (I7). */
function assertReachable({ position, dispatchedSet }: Checkpoint, inspection: EndpointInspection): void {
  assertPosition({ ...position, gtidSet: dispatchedSet }, inspection);
  assertPosition(position, inspection);
}
