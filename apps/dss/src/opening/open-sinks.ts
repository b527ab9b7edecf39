import { CollectionNames, type TableName, type TableNames, TopicNames, type TransactionInfo } from '#change-events';
import {
  ConfirmedEnds,
  findOldestSurvivor,
  type KafkaClient,
  KafkaJsClient,
  KafkaPublisher,
  PlatformaticKafkaClient,
  TopicMemory,
  TopicReader,
} from '#kafka';
import { type Logger } from '#kernel';
import {
  listMirroredTables,
  MirrorLineage,
  MirrorMemory,
  type MirrorName,
  MirrorWriter,
  MongoMirroredKeys,
  openMongo,
} from '#mongo';
import { type DittoConfig, requireSection, type SourceConfig, toKafkaOptions, toMongoOptions } from '#configuration';
import { readPackageVersion } from '#platform';
import { type ChangeSink, type Grant, type MirroredKeys, type SinkMemory } from '#replication';
import { type SourceStores } from '../connections/source-stores.ts';
import { type Closers } from './closers.ts';
import { type LostMessages } from './rewind.ts';
import { type RememberedLineage } from './starting-point.ts';

export interface OpenSinksOptions {
  readonly source: SourceConfig;
  readonly grant: Grant;
  readonly config: DittoConfig;
  readonly stores: Pick<SourceStores, 'partitions' | 'topicEnds'>;
  /** Closes what is connected now. */
  readonly closers: Closers;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** The sinks of one ownership of a source. */
export interface SourceSinks {
  /** Sinks that are not opened; `closers` closes what they use besides. */
  create(isReplaying: (transaction: TransactionInfo) => boolean, closers: Closers): readonly ChangeSink[];
  /** What the sinks hold of the source. */
  recall(closers: Closers): readonly SinkMemory[];
  /** What the topics have lost of what was confirmed; null: nothing. */
  findLost(closers: Closers): Promise<LostMessages | null>;
  /** Null where no sink is a mirror. */
  readonly mirror: SourceMirror | null;
}

/** What a mirror can tell of its rows. */
export interface SourceMirror {
  readonly lineage: RememberedLineage;
  readonly keys: MirroredKeys;
  /** Tables that it has documents of, or had. */
  listTables(): Promise<readonly TableName[]>;
}

/** What tables are called in each sink of the source. */
export function createTableNames({ name, sinks }: SourceConfig): readonly TableNames[] {
  return sinks.map((sink) => (sink === 'kafka' ? new TopicNames(name) : new CollectionNames()));
}

/** MongoDB is connected now, since the start asks the mirror; Kafka when a part of it is first used. */
export async function openSinks(options: OpenSinksOptions): Promise<SourceSinks> {
  const mirror = options.source.sinks.includes('mongo') ? await connectMirror(options) : null;
  return {
    create: (isReplaying, closers) =>
      options.source.sinks.map((sink) =>
        sink === 'kafka'
          ? createPublisher(options, closers)
          : createMirror(options, requireSection(mirror, 'mongo'), isReplaying),
      ),
    recall: (closers) =>
      options.source.sinks.map((sink) =>
        sink === 'kafka'
          ? new TopicMemory({ reader: createReader(options, closers), source: options.source.name })
          : new MirrorMemory({ ...requireSection(mirror, 'mongo'), logger: options.logger }),
      ),
    findLost: (closers) => findLost(options, closers),
    mirror: mirror && {
      lineage: new MirrorLineage(mirror),
      keys: new MongoMirroredKeys({ ...mirror, logger: options.logger }),
      listTables: () => listMirroredTables(mirror),
    },
  };
}

async function connectMirror({ source, config, closers, signal, logger }: OpenSinksOptions): Promise<MirrorName> {
  const mongo = requireSection(config.mongo, 'mongo');
  const connection = await openMongo({ ...toMongoOptions(mongo), logger, signal });
  closers.add(() => connection.close());
  return { connection, source: source.name, databasePrefix: mongo.databasePrefix };
}

function createReader({ config, logger }: OpenSinksOptions, closers: Closers): TopicReader {
  const reader = new TopicReader({ ...toKafkaOptions(requireSection(config.kafka, 'kafka')), logger });
  closers.add(() => reader.close());
  return reader;
}

async function findLost(options: OpenSinksOptions, closers: Closers): Promise<LostMessages | null> {
  const { source, stores, signal } = options;
  const { losses } = await stores.topicEnds.load(source.name);
  if (losses.length === 0) return null;
  const topics = new Set(losses.map(({ topic }) => topic));
  return { topics, survivor: await findOldestSurvivor(createReader(options, closers), losses, signal) };
}

function createPublisher(options: OpenSinksOptions, closers: Closers): ChangeSink {
  const { source, grant, stores, logger } = options;
  const config = requireSection(options.config.kafka, 'kafka');
  const connection = { ...toKafkaOptions(config), logger };
  const client: KafkaClient =
    config.client === 'kafkajs' ? new KafkaJsClient(connection) : new PlatformaticKafkaClient(connection);
  closers.add(() => client.close());
  const reader = createReader(options, closers);
  const { topics, tombstones, schemaChanges, bigint, maxBatchBytes } = config;
  return new KafkaPublisher({
    client,
    source: source.name,
    version: readPackageVersion(),
    logger,
    counts: stores.partitions,
    confirmedEnds: new ConfirmedEnds({ grant, store: stores.topicEnds, reader, logger }),
    topics,
    tombstones,
    schemaChanges,
    bigint,
    maxBatchBytes,
  });
}

function createMirror(
  { config, logger }: OpenSinksOptions,
  mirror: MirrorName,
  isReplaying: (transaction: TransactionInfo) => boolean,
): ChangeSink {
  const { lanes, maxBatchOperations, maxBatchBytes, writeConcern } = requireSection(config.mongo, 'mongo');
  return new MirrorWriter({
    ...mirror,
    lanes,
    maxBatchChanges: maxBatchOperations,
    maxBatchBytes,
    writeConcern,
    isReplaying,
    logger,
  });
}
