import kafkajs, { type Admin, type KafkaJSAggregateError } from 'kafkajs';

import {
  type CheckFinding,
  DittoError,
  findError,
  findWarning,
  silentLogger,
  toCheckFinding,
  withTimeout,
} from '#kernel';

import { type KafkaConnectionOptions } from './kafka-connection-options.ts';
import { KAFKA_ERROR_CODES, toKafkaError } from './kafka-errors.ts';
import { createKafkaJs } from './kafkajs-client.ts';
import { TopicReader } from './topic-reader.ts';
import { checkTopicReading } from './topic-reading-check.ts';
import { readTopicSettings, type TopicSettings } from './topic-settings.ts';

export interface WantedTopic {
  readonly topic: string;
  /** Whether its messages have keys. */
  readonly keyed: boolean;
}

export interface KafkaCheckOptions {
  readonly connection: Omit<KafkaConnectionOptions, 'logger'>;
  readonly topics: { readonly create: boolean; readonly partitions: number; readonly replicationFactor: number };
  readonly wanted: readonly WantedTopic[];
  readonly maxBatchBytes: number;
}

interface TopicFacts {
  readonly topic: string;
  readonly replicas: number;
  readonly settings: ReadonlyMap<string, string>;
}

interface DescribedTopics {
  readonly facts: readonly TopicFacts[];
  /** Topics whose settings were not asked for in time. */
  readonly unasked: readonly string[];
}

const TIMEOUT_MS = 15_000;
const SETTINGS_MS = 3_000;
const { TOPIC, BROKER } = kafkajs.ConfigResourceTypes;

/** Everything that is wrong with the brokers and topics; creation is tried with "validate only", so nothing changes. */
export async function checkKafka(options: KafkaCheckOptions): Promise<readonly CheckFinding[]> {
  let admin: Admin | null = null;
  try {
    const connection = { ...options.connection, logger: silentLogger };
    admin = createKafkaJs(connection, { retry: { retries: 1, initialRetryTime: 100 } }).admin();
    return await withTimeout(inspect(admin, options), TIMEOUT_MS, createTimeoutError);
  } catch (error) {
    return [toCheckFinding(toKafkaError(error, 'asking Kafka'))];
  } finally {
    await admin?.disconnect();
  }
}

async function inspect(admin: Admin, options: KafkaCheckOptions): Promise<readonly CheckFinding[]> {
  const { wanted, topics } = options;
  await admin.connect();
  const { brokers, controller } = await admin.describeCluster();
  const known = new Set(await admin.listTopics());
  const present = wanted.filter(({ topic }) => known.has(topic));
  const missing = wanted.filter(({ topic }) => !known.has(topic));
  const { facts, unasked } = await describeTopics(admin, present);
  const findings = [
    ...checkTopics(facts, options),
    ...(unasked.length > 0 ? [warnOfUnasked(nameSome(unasked))] : []),
    ...(await checkReading(options, present)),
  ];
  if (missing.length === 0) return findings;
  if (!topics.create) return [...findings, findMissing(missing)];
  const defaults = await describeBroker(admin, controller ?? brokers[0]?.nodeId ?? 0);
  return [...findings, ...checkDefaults(defaults, options), ...(await tryCreation(admin, missing, options))];
}

async function describeTopics(admin: Admin, topics: readonly WantedTopic[]): Promise<DescribedTopics> {
  if (topics.length === 0) return { facts: [], unasked: [] };
  const names = topics.map(({ topic }) => topic);
  const metadata = await admin.fetchTopicMetadata({ topics: names });
  const { known, unasked } = await readSettings(admin, names);
  const facts = metadata.topics.map(({ name, partitions }) => ({
    topic: name,
    replicas: partitions[0]?.replicas.length ?? 0,
    settings: known.get(name) ?? new Map<string, string>(),
  }));
  return { facts, unasked };
}

/** Of topics whose settings the user may not see, `checkTopicReading` says so. */
async function readSettings(admin: Admin, topics: readonly string[]): Promise<TopicSettings> {
  return readTopicSettings({
    topics,
    mostMs: SETTINGS_MS,
    describe: async (some) => {
      const { resources } = await admin.describeConfigs({
        resources: some.map((name) => ({ type: TOPIC, name })),
        includeSynonyms: false,
      });
      return new Map(resources.map(({ resourceName, configEntries }) => [resourceName, toMap(configEntries)]));
    },
  });
}

async function checkReading(
  { connection }: KafkaCheckOptions,
  present: readonly WantedTopic[],
): Promise<readonly CheckFinding[]> {
  const reader = new TopicReader({ ...connection, logger: silentLogger });
  try {
    const topics = present.map(({ topic }) => topic);
    return await checkTopicReading(reader, topics, AbortSignal.timeout(TIMEOUT_MS));
  } finally {
    await reader.close();
  }
}

function checkTopics(
  facts: readonly TopicFacts[],
  { wanted, maxBatchBytes }: KafkaCheckOptions,
): readonly CheckFinding[] {
  const findings: CheckFinding[] = [];
  const namesWhere = (is: (facts: TopicFacts) => boolean): string[] => facts.filter(is).map(({ topic }) => topic);
  const few = namesWhere(({ replicas }) => replicas < 3);
  if (few.length > 0) findings.push(warnOfReplicas(nameSome(few)));
  const weak = namesWhere(({ settings }) => Number(settings.get('min.insync.replicas') ?? 2) < 2);
  if (weak.length > 0) findings.push(warnOfInSync(nameSome(weak)));
  const keyless = new Set(wanted.filter(({ keyed }) => !keyed).map(({ topic }) => topic));
  for (const topic of namesWhere(
    (of) => keyless.has(of.topic) && (of.settings.get('cleanup.policy') ?? '').includes('compact'),
  ))
    findings.push(
      findError(
        KAFKA_ERROR_CODES.compactedWithoutKey,
        `topic ${topic} is compacted, but its table has no key`,
        `Set cleanup.policy=delete on topic ${topic}, name unique not-null columns as the table's key, or exclude the table.`,
      ),
    );
  const small = namesWhere(({ settings }) => Number(settings.get('max.message.bytes') ?? Infinity) < maxBatchBytes);
  if (small.length > 0)
    findings.push(
      findWarning(
        KAFKA_ERROR_CODES.tooLarge,
        `max.message.bytes is below kafka.maxBatchBytes (${maxBatchBytes}) on ${nameSome(small)}: batches are refused and cut`,
        `Set max.message.bytes of these topics to at least ${maxBatchBytes}, or lower kafka.maxBatchBytes.`,
      ),
    );
  return findings;
}

function checkDefaults(defaults: ReadonlyMap<string, string>, { topics }: KafkaCheckOptions): readonly CheckFinding[] {
  const replicas =
    topics.replicationFactor > 0 ? topics.replicationFactor : Number(defaults.get('default.replication.factor') ?? 3);
  const findings: CheckFinding[] = [];
  if (replicas < 3) findings.push(warnOfReplicas('topics that will be created'));
  // the publisher asks for two in-sync replicas when it creates a topic with three
  if (topics.replicationFactor < 3 && Number(defaults.get('min.insync.replicas') ?? 2) < 2)
    findings.push(warnOfInSync('topics that will be created'));
  return findings;
}

async function tryCreation(
  admin: Admin,
  missing: readonly WantedTopic[],
  { topics }: KafkaCheckOptions,
): Promise<readonly CheckFinding[]> {
  const specs = missing.map(({ topic, keyed }) => ({
    topic,
    numPartitions: keyed ? topics.partitions : 1,
    replicationFactor: topics.replicationFactor,
  }));
  try {
    await admin.createTopics({ topics: specs, validateOnly: true, waitForLeaders: false });
    return [];
  } catch (error) {
    const causes = isAggregate(error) ? error.errors : [error];
    const findings = causes.map((cause) => toCheckFinding(toKafkaError(cause, 'trying to create topics')));
    return [...new Map(findings.map((finding) => [finding.message, finding])).values()].slice(0, 5);
  }
}

async function describeBroker(admin: Admin, nodeId: number): Promise<ReadonlyMap<string, string>> {
  try {
    const { resources } = await admin.describeConfigs({
      resources: [{ type: BROKER, name: String(nodeId) }],
      includeSynonyms: false,
    });
    return toMap(resources[0]?.configEntries ?? []);
  } catch (cause) {
    const error = toKafkaError(cause, 'reading the settings of a broker');
    // a user that may publish need not see the settings of the brokers
    if (error.code === KAFKA_ERROR_CODES.unauthorized) return new Map();
    throw error;
  }
}

function toMap(entries: readonly { readonly configName: string; readonly configValue: string }[]): Map<string, string> {
  return new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
}

function findMissing(missing: readonly WantedTopic[]): CheckFinding {
  return findError(
    'DITTO_KAFKA_TOPIC_MISSING',
    `kafka.topics.create is off, and these are missing: ${nameSome(missing.map(({ topic }) => topic))}`,
    'Create the topics, or set kafka.topics.create: true.',
  );
}

function warnOfReplicas(where: string): CheckFinding {
  return findWarning(
    'DITTO_KAFKA_FEW_REPLICAS',
    `replication factor below 3 (${where}): a broker that dies takes confirmed messages with it or stops publishing`,
    'Run three brokers, set kafka.topics.replicationFactor: 3, and give existing topics more replicas with kafka-reassign-partitions.',
  );
}

function warnOfInSync(where: string): CheckFinding {
  return findWarning(
    'DITTO_KAFKA_WEAK_CONFIRMATION',
    `min.insync.replicas below 2 (${where}): a message is confirmed while only one broker has it`,
    'Set min.insync.replicas=2 on the brokers and on existing topics.',
  );
}

function warnOfUnasked(topics: string): CheckFinding {
  return findWarning(
    KAFKA_ERROR_CODES.unauthorized,
    `the settings of ${topics} were not checked: the user has no right DescribeConfigs on some topics, and asking for the others took more than ${SETTINGS_MS} ms`,
    'Grant this user DescribeConfigs on the topics of the source.',
  );
}

function nameSome(topics: readonly string[]): string {
  return topics.length <= 3 ? topics.join(', ') : `${topics.slice(0, 3).join(', ')} and ${topics.length - 3} more`;
}

function isAggregate(error: unknown): error is KafkaJSAggregateError {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

function createTimeoutError(): DittoError {
  return new DittoError(KAFKA_ERROR_CODES.unavailable, `Kafka did not answer within ${TIMEOUT_MS} ms`, {
    retriable: true,
    remedy: 'Check the addresses in kafka.brokers, and what the brokers advertise (advertised.listeners).',
  });
}
