import { Injectable } from '@nestjs/common';
import {
  assertCollectionNames,
  assertTopicNames,
  compileTableSelection,
  type Checkpoint,
  type TableLayout,
  type TransactionInfo,
} from '#change-events';
import { DcsCheckpointStore } from '#dcs-client';
import { DittoError, toDittoError, type Logger } from '#kernel';
import { type KafkaClient, KafkaJsClient, KafkaPublisher, PlatformaticKafkaClient } from '#kafka';
import { MirrorLineage, MirrorWriter, type MongoConnection, openMongo } from '#mongo';
import {
  assertPosition,
  checkEndpoint,
  type EndpointInspection,
  MySqlEndpoint,
  MySqlRowReader,
  type Problem,
  ZongjiChangeSource,
} from '#mysql';
import {
  createLogger,
  type DittoConfig,
  InjectConfig,
  readPackageVersion,
  requireSection,
  type SourceConfig,
  toKafkaOptions,
  toMongoOptions,
  toMySqlOptions,
} from '#platform';
import { assumeLayout, type ChangeSink, type Grant } from '#replication';
import { StateCheckpointStore, StateLineageStore, StateSnapshotStore, TopicPartitionStore } from '#state';
import { findStartingPoint } from './starting-point.ts';
import { type OwnershipHooks, SourceRun } from './source-run.ts';

/** Room for the reads of a process that ended before it could record them. */
const READ_SEQUENCE_GAP = 1_000_000;

/** Builds what one ownership of a source needs, bottom up; what was built is closed again when a later part fails. */
@Injectable()
export class SourceOpener {
  readonly #config: DittoConfig;
  readonly #dcs: DcsCheckpointStore;
  readonly #state: StateCheckpointStore;
  readonly #lineages: StateLineageStore;
  readonly #snapshots: StateSnapshotStore;
  readonly #partitions: TopicPartitionStore;

  constructor(
    @InjectConfig() config: DittoConfig,
    dcs: DcsCheckpointStore,
    state: StateCheckpointStore,
    lineages: StateLineageStore,
    snapshots: StateSnapshotStore,
    partitions: TopicPartitionStore,
  ) {
    this.#config = config;
    this.#dcs = dcs;
    this.#state = state;
    this.#lineages = lineages;
    this.#snapshots = snapshots;
    this.#partitions = partitions;
  }

  async open(source: SourceConfig, grant: Grant, hooks: OwnershipHooks, signal: AbortSignal): Promise<SourceRun> {
    const closers: (() => Promise<void>)[] = [];
    const close = async (): Promise<void> => {
      for (const closer of closers.splice(0).reverse())
        try {
          await closer();
        } catch (cause) {
          const { code, message } = toDittoError(cause);
          createLogger(`source:${source.name}`).warn('a connection did not close in order', { code, error: message });
        }
    };
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
    const { name, sinks: sinkNames, keys, snapshot, serverId, heartbeatMs } = source;
    const logger = createLogger(`source:${name}`);
    const includes = compileTableSelection({ include: [...source.include], exclude: [...source.exclude] });
    const endpoints = source.endpoints.map(toMySqlOptions);
    const first = requireSection(endpoints[0], `sources.${name}.endpoints`);
    const reader = new MySqlRowReader({ connection: endpoints[snapshot.endpoint] ?? first, includes, keys });
    closers.push(() => {
      reader.close();
      return Promise.resolve();
    });
    const endpoint = new MySqlEndpoint(first);
    const inspection = await endpoint.inspect(signal);
    report(
      checkEndpoint(
        inspection,
        await endpoint.inspectTables(includes, keys, signal),
        await endpoint.readGrants(signal),
      ),
      logger,
    );
    const tables = await reader.listTables(signal);
    assertNames(source, tables);
    const mongo = sinkNames.includes('mongo') ? await this.#openMongo(logger, signal, closers) : null;
    const start = await findStartingPoint({
      grant,
      current: { gtidSet: inspection.gtidExecuted, file: '', offset: 0, serverUuid: inspection.serverUuid },
      dcs: this.#dcs,
      state: this.#state,
      lineages: this.#lineages,
      mirror:
        mongo === null
          ? null
          : new MirrorLineage({ connection: mongo, source: name, databasePrefix: this.#mongoConfig().databasePrefix }),
      assertReachable: (checkpoint) => assertReachable(checkpoint, inspection),
      logger,
    });
    const run: SourceRun = new SourceRun({
      grant,
      parts: {
        changeSource: new ZongjiChangeSource({
          connection: first,
          logger,
          keys,
          replicaId: serverId,
          heartbeatMs,
          silenceMs: 4 * heartbeatMs,
        }),
        reader,
        sinks: sinkNames.map((sink) =>
          sink === 'kafka'
            ? this.#createPublisher(name, logger, closers)
            : this.#createMirror(name, mongo, (transaction) => run.pipeline.inReplayZone(transaction), logger),
        ),
        tables: [...tables, ...(await this.#findGone(name, tables, includes))],
        includes,
        close,
      },
      start,
      readSequence: (await this.#snapshots.lastReadSequence(name)) + READ_SEQUENCE_GAP,
      stores: { dcs: this.#dcs, state: this.#state, snapshots: this.#snapshots },
      snapshot: { enabled: snapshot.mode === 'windowed', chunkRows: snapshot.chunkRows, pauseMs: snapshot.pauseMs },
      ...this.#config.dss.checkpoint,
      inFlightBytes: this.#config.dss.inFlightBytes,
      drainDeadlineMs: Math.max(500, this.#config.dss.shutdownDeadlineMs - 2000),
      logger,
      hooks,
    });
    return run;
  }

  /** Tables that were copied once and are no longer there: the log may still hold the statement that ended them. */
  async #findGone(
    source: string,
    tables: readonly TableLayout[],
    includes: (database: string, table: string) => boolean,
  ): Promise<TableLayout[]> {
    const present = new Set(tables.map(({ database, table }) => `${database}\0${table}`));
    return (await this.#snapshots.load(source))
      .filter(({ database, table, state }) => state !== 'unavailable' && includes(database, table))
      .filter(({ database, table }) => !present.has(`${database}\0${table}`))
      .map(({ database, table }) => assumeLayout(database, table));
  }

  #mongoConfig(): NonNullable<DittoConfig['mongo']> {
    return requireSection(this.#config.mongo, 'mongo');
  }

  async #openMongo(logger: Logger, signal: AbortSignal, closers: (() => Promise<void>)[]): Promise<MongoConnection> {
    const connection = await openMongo({ ...toMongoOptions(this.#mongoConfig()), logger, signal });
    closers.push(() => connection.close());
    return connection;
  }

  #createPublisher(source: string, logger: Logger, closers: (() => Promise<void>)[]): ChangeSink {
    const config = requireSection(this.#config.kafka, 'kafka');
    const options = { ...toKafkaOptions(config), logger };
    const client: KafkaClient =
      config.client === 'kafkajs' ? new KafkaJsClient(options) : new PlatformaticKafkaClient(options);
    closers.push(() => client.close());
    const { topics, tombstones, bigint, maxBatchBytes } = config;
    return new KafkaPublisher({
      client,
      source,
      version: readPackageVersion(),
      logger,
      counts: this.#partitions,
      topics,
      tombstones,
      bigint,
      maxBatchBytes,
    });
  }

  #createMirror(
    source: string,
    connection: MongoConnection | null,
    isReplaying: (transaction: TransactionInfo) => boolean,
    logger: Logger,
  ): ChangeSink {
    const { databasePrefix, lanes, maxBatchOperations, maxBatchBytes, writeConcern } = this.#mongoConfig();
    return new MirrorWriter({
      connection: requireSection(connection, 'mongo'),
      source,
      databasePrefix,
      lanes,
      maxBatchChanges: maxBatchOperations,
      maxBatchBytes,
      writeConcern,
      isReplaying,
      logger,
    });
  }
}

function assertNames(
  source: SourceConfig,
  tables: readonly { readonly database: string; readonly table: string }[],
): void {
  if (source.sinks.includes('kafka')) assertTopicNames(source.name, tables);
  if (source.sinks.includes('mongo')) assertCollectionNames(tables);
}

/** The log behind the checkpoint must be there (no gap), and all that was ever given to a sink must be in it (I7). */
function assertReachable({ position, dispatchedSet }: Checkpoint, inspection: EndpointInspection): void {
  assertPosition({ ...position, gtidSet: dispatchedSet }, inspection);
  assertPosition(position, inspection);
}

/** Warnings go to the log; errors, all of them, into one error. */
function report(problems: readonly Problem[], logger: Logger): void {
  for (const { severity, code, message, remedy } of problems)
    if (severity === 'warning') logger.warn(message, { code, remedy });
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return;
  throw new DittoError(
    first.code,
    errors.map(({ code, message }) => (errors.length > 1 ? `${code}: ${message}` : message)).join('; '),
    {
      remedy: errors.map(({ remedy }) => remedy).join('; '),
      context: { problems: errors },
    },
  );
}
