import { encodeKeyValues, tableKey, type TableLayout, topicName, TopicNames } from '#change-events';
import { type KafkaConfig, toKafkaOptions, toTransactionalId } from '#configuration';
import {
  checkKafka,
  ConfirmedEnds,
  findOldestSurvivor,
  type KafkaClient,
  KafkaJsClient,
  KafkaPublisher,
  listKeysAbove,
  MessageKeys,
  PlatformaticKafkaClient,
  TopicMemory,
  TopicReader,
} from '#kafka';
import { type CheckFinding, type Logger, silentLogger, toCheckFinding, toDittoError } from '#kernel';
import { readPackageVersion } from '#platform';
import { type Checked } from '../cli/check.ts';
import { type SourceCheck } from '../cli/check-source.ts';
import { type VersionBounds } from '#replication';
import { type Closers } from '../opening/closers.ts';
import { type LostMessages } from '../opening/rewind.ts';
import { type OpenedSink, type OpenSinkOptions, type SinkKit } from './sink-kit.ts';

/** Kafka is connected when a part of it is first used. */
export const kafkaKit: SinkKit<'kafka'> = {
  isMirror: false,
  metrics: [],
  createNames: (source) => new TopicNames(source),
  check: checkTopics,
  open: (section, options) =>
    Promise.resolve({
      create: (_isReplaying, closers) => createPublisher(section, options, closers),
      recall: (closers) =>
        new TopicMemory({ reader: createReader(section, options, closers), source: options.source.name }),
      findLost: (closers) => findLost(section, options, closers),
      listKeysAbove: (versions, layouts, closers) =>
        listPublishedKeys({ section, options, versions, layouts, reader: createReader(section, options, closers) }),
      mirror: null,
    }),
};

async function checkTopics(kafka: KafkaConfig, sources: readonly SourceCheck[]): Promise<Checked> {
  const subject = `Kafka, ${kafka.brokers.join(',')}`;
  const schemaTopics = kafka.schemaChanges ? sources.map(({ source }) => ({ topic: source.name, keyed: false })) : [];
  const tableTopics = sources.flatMap(({ source, tables }) =>
    (tables ?? []).flatMap(({ database, table, hasKey }) => {
      try {
        return [{ topic: topicName(source.name, database, table), keyed: hasKey }];
      } catch (error) {
        // the check of the source has told of it
        if (toDittoError(error).code === 'DITTO_INTERNAL') throw error;
        return [];
      }
    }),
  );
  const wanted = [...schemaTopics, ...tableTopics];
  const failure = await tryClient(kafka);
  if (failure !== null) return { subject, findings: [failure] };
  const { topics, maxBatchBytes } = kafka;
  return { subject, findings: await checkKafka({ connection: toKafkaOptions(kafka), topics, maxBatchBytes, wanted }) };
}

/** The client that publishes, which need not be the one that checks. */
async function tryClient(kafka: KafkaConfig): Promise<CheckFinding | null> {
  const options = { ...toKafkaOptions(kafka), requestTimeoutMs: 5000, deliveryTimeoutMs: 10_000, logger: silentLogger };
  let client: KafkaClient | null = null;
  try {
    client = createClient(kafka, options);
    await client.connect();
    return null;
  } catch (error) {
    return toCheckFinding(error);
  } finally {
    await client?.close();
  }
}

function createClient(
  { client }: KafkaConfig,
  options: ReturnType<typeof toKafkaOptions> & { readonly logger: Logger; readonly transactionalId?: string | null },
): KafkaClient {
  return client === 'kafkajs' ? new KafkaJsClient(options) : new PlatformaticKafkaClient(options);
}

function createReader(kafka: KafkaConfig, { logger }: OpenSinkOptions, closers: Closers): TopicReader {
  const reader = new TopicReader({ ...toKafkaOptions(kafka), logger });
  closers.add(() => reader.close());
  return reader;
}

async function findLost(kafka: KafkaConfig, options: OpenSinkOptions, closers: Closers): Promise<LostMessages | null> {
  const { source, stores, signal } = options;
  const { losses } = await stores.topicEnds.load(source.name);
  if (losses.length === 0) return null;
  const topics = new Set(losses.map(({ topic }) => topic));
  return { topics, survivor: await findOldestSurvivor(createReader(kafka, options, closers), losses, signal) };
}

async function listPublishedKeys({
  section,
  options,
  versions,
  layouts,
  reader,
}: {
  readonly section: KafkaConfig;
  readonly options: OpenSinkOptions;
  readonly versions: VersionBounds;
  readonly layouts: readonly TableLayout[];
  readonly reader: TopicReader;
}): ReturnType<OpenedSink['listKeysAbove']> {
  const { source, signal } = options;
  const topicOf = ({ database, table }: TableLayout): string => topicName(source.name, database, table);
  const published = await listKeysAbove(reader, layouts.map(topicOf), versions, signal);
  const messageKeys = new MessageKeys(section.bigint);
  return new Map(
    layouts.map((layout) => {
      const keys = published.get(topicOf(layout));
      if (keys === null) return [tableKey(layout), null];
      const rows = [...(keys ?? [])].map((key) => messageKeys.decode(layout, Buffer.from(key)));
      const known = rows.filter((row) => row !== null).map((row) => encodeKeyValues(layout, row));
      return [tableKey(layout), known.length < rows.length ? null : known];
    }),
  );
}

function createPublisher(kafka: KafkaConfig, options: OpenSinkOptions, closers: Closers): KafkaPublisher {
  const { source, grant, stores, logger } = options;
  const transactionalId = toTransactionalId(kafka, source.name);
  const client = createClient(kafka, { ...toKafkaOptions(kafka), transactionalId, logger });
  closers.add(() => client.close());
  const reader = createReader(kafka, options, closers);
  const { topics, tombstones, schemaChanges, bigint, maxBatchBytes } = kafka;
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
