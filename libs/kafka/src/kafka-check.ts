import { Admin, ConfigResourceTypes, ConnectionPool, createTopicsV7 } from '@platformatic/kafka';

import {
  type CheckFinding,
  DittoError,
  findError,
  findWarning,
  silentLogger,
  toCheckFinding,
  withTimeout,
} from '#kernel';

import { ConnectionWatch, destroySockets } from './connection-watch.ts';
import { type KafkaConnectionOptions } from './kafka-connection-options.ts';
import { KAFKA_ERROR_CODES, toKafkaError } from './kafka-errors.ts';
import { TopicReader, type TopicReplication } from './topic-reader.ts';
import { checkTopicReading } from './topic-reading-check.ts';
import { readTopicSettings } from './topic-settings.ts';

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

type Settings = ReadonlyMap<string, string>;

interface TopicFacts {
  readonly topic: string;
  readonly replication: TopicReplication;
  readonly settings: Settings;
}

interface DescribedTopics {
  readonly facts: readonly TopicFacts[];
  /** Topics whose settings were not asked for in time. */
  readonly unasked: readonly string[];
}

const TIMEOUT_MS = 15_000;
const SETTINGS_MS = 3_000;
const { TOPIC, BROKER } = ConfigResourceTypes;

/** Everything that is wrong with the brokers and topics; creation is tried with "validate only", so nothing changes. */
export async function checkKafka(options: KafkaCheckOptions): Promise<readonly CheckFinding[]> {
  const connection = { ...options.connection, logger: silentLogger };
  const reader = new TopicReader(connection);
  const brokers = new Brokers(connection);
  try {
    return await withTimeout(inspect(brokers, reader, options), TIMEOUT_MS, createTimeoutError);
  } catch (error) {
    return [toCheckFinding(toKafkaError(error, 'asking Kafka'))];
  } finally {
    await Promise.all([brokers.close(), reader.close()]);
  }
}

/** What is asked of the brokers beside the topics' content; all of it while some topic of the cluster has no leader. */
class Brokers {
  readonly #admin: Admin;
  readonly #connections: ConnectionPool;

  constructor(connection: KafkaConnectionOptions) {
    const watch = new ConnectionWatch(connection);
    const { base } = watch;
    this.#admin = new Admin({ ...base, retries: 1, retryDelay: 100 });
    this.#connections = new ConnectionPool(connection.clientId, base);
    for (const pool of [this.#admin.connections, this.#connections]) watch.over(pool);
  }

  /** By name. Rejects for all when the user may not see those of one. */
  async readSettings(
    resourceType: typeof TOPIC | typeof BROKER,
    names: readonly string[],
  ): Promise<Map<string, Settings>> {
    const resources = names.map((resourceName) => ({ resourceType, resourceName, configurationKeys: null }));
    const described = await this.#admin.describeConfigs({ resources });
    return new Map(
      described.map(({ resourceName, configs }) => [
        resourceName,
        new Map(configs.flatMap(({ name, value }) => (value == null ? [] : [[name, value]]))),
      ]),
    );
  }

  async findController(): Promise<number> {
    return (await this.#admin.metadata({ topics: [] })).controllerId;
  }

  /** Rejects with an error for each topic that could not be created; creates none. */
  async tryToCreate(
    topics: readonly { readonly name: string; readonly partitions: number; readonly replicas: number }[],
  ): Promise<void> {
    const { brokers, controllerId } = await this.#admin.metadata({ topics: [] });
    const broker = brokers.get(controllerId) ?? [...brokers.values()][0];
    if (broker === undefined) throw createTimeoutError();
    const wanted = topics.map(({ name, partitions, replicas }) => ({
      ...{ name, numPartitions: partitions, replicationFactor: replicas },
      ...{ assignments: [], configs: [] },
    }));
    await createTopicsV7.api.async(await this.#connections.get(broker), wanted, TIMEOUT_MS, true);
  }

  async close(): Promise<void> {
    for (const pool of [this.#connections, this.#admin.connections]) destroySockets(pool);
    await Promise.all([this.#connections.close(), this.#admin.close()]);
  }
}

async function inspect(
  brokers: Brokers,
  reader: TopicReader,
  options: KafkaCheckOptions,
): Promise<readonly CheckFinding[]> {
  const { wanted, topics } = options;
  const known = new Set(await reader.listTopics());
  const present = wanted.map(({ topic }) => topic).filter((topic) => known.has(topic));
  const missing = wanted.filter(({ topic }) => !known.has(topic));
  const { facts, unasked } = await describeTopics(brokers, reader, present);
  const led = facts.filter(({ replication }) => replication.leaderless.length === 0).map(({ topic }) => topic);
  const findings = [
    ...checkTopics(facts, options),
    ...(unasked.length > 0 ? [warnOfUnasked(nameSome(unasked))] : []),
    ...(await checkTopicReading(reader, led, AbortSignal.timeout(TIMEOUT_MS))),
  ];
  if (missing.length === 0) return findings;
  if (!topics.create) return [...findings, findMissing(missing)];
  const defaults = await describeController(brokers);
  return [...findings, ...checkDefaults(defaults, options), ...(await tryCreation(brokers, missing, options))];
}

async function describeTopics(
  brokers: Brokers,
  reader: TopicReader,
  topics: readonly string[],
): Promise<DescribedTopics> {
  if (topics.length === 0) return { facts: [], unasked: [] };
  const replications = await reader.readReplication(topics);
  // of topics whose settings the user may not see, `checkTopicReading` says so
  const { known, unasked } = await readTopicSettings({
    topics,
    mostMs: SETTINGS_MS,
    describe: (some) => brokers.readSettings(TOPIC, some),
  });
  const facts = [...replications].map(([topic, replication]) => ({
    topic,
    replication,
    settings: known.get(topic) ?? new Map<string, string>(),
  }));
  return { facts, unasked };
}

function checkTopics(
  facts: readonly TopicFacts[],
  { wanted, maxBatchBytes }: KafkaCheckOptions,
): readonly CheckFinding[] {
  const findings: CheckFinding[] = [];
  const namesWhere = (is: (facts: TopicFacts) => boolean): string[] => facts.filter(is).map(({ topic }) => topic);
  const leaderless = namesWhere(({ replication }) => replication.leaderless.length > 0);
  if (leaderless.length > 0) findings.push(findLeaderless(nameSome(leaderless)));
  const few = namesWhere(({ replication }) => replication.replicas < 3);
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

function checkDefaults(defaults: Settings, { topics }: KafkaCheckOptions): readonly CheckFinding[] {
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
  brokers: Brokers,
  missing: readonly WantedTopic[],
  { topics: { partitions, replicationFactor: replicas } }: KafkaCheckOptions,
): Promise<readonly CheckFinding[]> {
  try {
    await brokers.tryToCreate(
      missing.map(({ topic, keyed }) => ({ name: topic, partitions: keyed ? partitions : 1, replicas })),
    );
    return [];
  } catch (error) {
    const causes = isAggregate(error) ? error.errors : [error];
    const findings = causes.map((cause) => toCheckFinding(toKafkaError(cause, 'trying to create topics')));
    return [...new Map(findings.map((finding) => [finding.message, finding])).values()].slice(0, 5);
  }
}

async function describeController(brokers: Brokers): Promise<Settings> {
  try {
    const id = String(await brokers.findController());
    return (await brokers.readSettings(BROKER, [id])).get(id) ?? new Map<string, string>();
  } catch (cause) {
    const error = toKafkaError(cause, 'reading the settings of a broker');
    // a user that may publish need not see the settings of the brokers
    if (error.code === KAFKA_ERROR_CODES.unauthorized) return new Map();
    throw error;
  }
}

function findLeaderless(topics: string): CheckFinding {
  return findError(
    KAFKA_ERROR_CODES.unavailable,
    `no broker leads some partitions of ${topics}: changes wait there`,
    'Start the brokers that hold their replicas, or reassign the partitions (kafka-topics --describe --unavailable-partitions shows them).',
  );
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

function isAggregate(error: unknown): error is AggregateError {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

function createTimeoutError(): DittoError {
  return new DittoError(KAFKA_ERROR_CODES.unavailable, `Kafka did not answer within ${TIMEOUT_MS} ms`, {
    retriable: true,
    remedy: 'Check the addresses in kafka.brokers, and what the brokers advertise (advertised.listeners).',
  });
}
