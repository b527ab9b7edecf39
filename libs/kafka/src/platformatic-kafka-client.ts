import {
  Admin,
  type Broker,
  type ClusterMetadata,
  ConfigResourceTypes,
  type Connection,
  ConnectionPool,
  findCoordinatorV4,
  FindCoordinatorKeyTypes,
  initProducerIdV4,
} from '@platformatic/kafka';

import { DittoError, withTimeout } from '#kernel';
import { leaseLost } from '#replication';

import { ClientTopics, type TopicRequests } from './client-topics.ts';
import { ConnectionWatch, destroySockets } from './connection-watch.ts';
import { KafkaClient, type KafkaCompression, type TopicDescription, type TopicSpec } from './kafka-client.ts';
import {
  DEFAULT_COMPRESSION,
  type KafkaConnectionOptions,
  type KafkaTimeouts,
  resolveTimeouts,
} from './kafka-connection-options.ts';
import { isFenced, isMissingTopic, KAFKA_ERROR_CODES, timedOut, toKafkaError } from './kafka-errors.ts';
import { PartitionProducer, type PartitionProducerOptions, type ProducerIdentity } from './partition-producer.ts';
import { ProduceChannel } from './produce-channel.ts';
import { waitForProducerId } from './producer-id.ts';
import { type RecordBatch } from './record-batch.ts';

/** The brokers forget a transactional id that nobody has asked about for a week (`transactional.id.expiration.ms`). */
const RENEW_ID_MS = 86_400_000;

/** Where one topic's partitions are led. */
type Leaders = readonly (Broker | undefined)[];

/**
 * `KafkaClient` on @platformatic/kafka: its connections, authentication, topology and response parsers, with record
 * batches encoded here in one pass (its own producer builds several objects per record) and the producer's sequence
 * numbers kept here (its own gives them up after an error, see docs/decisions/0002-kafka-client.md).
 * Needs brokers that speak Produce v9 (Kafka 2.8 or newer).
 */
export class PlatformaticKafkaClient extends KafkaClient {
  readonly #clientId: string;
  readonly #timeouts: KafkaTimeouts;
  readonly #compression: KafkaCompression;
  readonly #admin: Admin;
  readonly #topics: ClientTopics;
  readonly #connections: ConnectionPool;
  readonly #producers = new Map<string, PartitionProducer[]>();
  readonly #channels = new WeakMap<Connection, ProduceChannel>();
  readonly #leaders = new Map<string, Leaders>();
  readonly #refreshes = new Map<string, Promise<Leaders>>();
  /** Something could not be sent: whether brokers answer is asked once for all, before anything else. */
  #isDoubtful = false;
  #reaching: Promise<void> | null = null;
  /** Shared: there may be twelve thousand producers. */
  readonly #ofProducers: Pick<PartitionProducerOptions, 'identity' | 'send'> = {
    identity: (lost) => this.#takeIdentity(lost),
    send: (topic, partition, batch) => this.#send(topic, partition, batch),
  };
  readonly #transactionalId: string | null;
  #identity: ProducerIdentity | null = null;
  #renewal: NodeJS.Timeout | undefined;
  #identityRequest: Promise<ProducerIdentity> | null = null;

  constructor(options: KafkaConnectionOptions) {
    super();
    this.#clientId = options.clientId;
    this.#transactionalId = options.transactionalId ?? null;
    this.#timeouts = resolveTimeouts(options);
    this.#compression = options.compression ?? DEFAULT_COMPRESSION;
    const watch = new ConnectionWatch(options);
    const { base } = watch;
    this.#admin = new Admin({ ...base, retries: 2, retryDelay: 200 });
    this.#topics = new ClientTopics(topicRequests(this.#admin), this.#timeouts.deliveryTimeoutMs);
    // A broker works through one connection in order, so a limit here would only add waiting.
    this.#connections = new ConnectionPool(options.clientId, { ...base, maxInflights: 1024 });
    for (const pool of [this.#admin.connections, this.#connections]) watch.over(pool);
  }

  async connect(): Promise<void> {
    try {
      await this.#bounded(this.#admin.metadata({ topics: [], forceUpdate: true }), 'connecting to Kafka');
    } catch (cause) {
      throw toKafkaError(cause, 'connecting to Kafka');
    }
  }

  async produce(topic: string, partition: number, batch: RecordBatch): Promise<number | null> {
    return this.#producerOf(topic, partition).produce(batch);
  }

  ensureTopic(spec: TopicSpec): Promise<TopicDescription> {
    return this.#topics.ensure(spec);
  }

  partitionCount(topic: string): Promise<number | null> {
    return this.#topics.count(topic);
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal);
    for (const pool of [this.#connections, this.#admin.connections]) destroySockets(pool);
    await Promise.all([this.#connections.close(), this.#admin.close()]);
  }

  #producerOf(topic: string, partition: number): PartitionProducer {
    let ofTopic = this.#producers.get(topic);
    if (ofTopic === undefined) this.#producers.set(topic, (ofTopic = []));
    return (ofTopic[partition] ??= new PartitionProducer({
      topic,
      partition,
      compression: this.#compression,
      ...this.#ofProducers,
    }));
  }

  async #send(topic: string, partition: number, batch: Buffer): Promise<number> {
    try {
      const channel =
        this.#readyChannel(topic, partition) ??
        (await this.#bounded(this.#openChannel(topic, partition), `reaching the leader of ${topic}/${partition}`));
      return await channel.send({ topic, partition, batch });
    } catch (error) {
      this.#leaders.delete(topic);
      this.#isDoubtful = true;
      throw this.#recogniseFence(error);
    }
  }

  #recogniseFence(error: unknown): unknown {
    if (this.#transactionalId === null || !isFenced(error)) return error;
    return new DittoError('DITTO_LEASE_FENCED', `another owner publishes as ${this.#transactionalId}`, {
      cause: error,
    });
  }

  #readyChannel(topic: string, partition: number): ProduceChannel | undefined {
    const leader = this.#leaders.get(topic)?.[partition];
    const connection = leader && this.#establishedConnection(leader);
    return connection && this.#channelOf(connection);
  }

  async #openChannel(topic: string, partition: number): Promise<ProduceChannel> {
    const leader = this.#leaders.get(topic)?.[partition] ?? (await this.#findLeader(topic, partition));
    return this.#channelOf(await this.#connections.get(leader));
  }

  #channelOf(connection: Connection): ProduceChannel {
    let channel = this.#channels.get(connection);
    if (channel === undefined) {
      const clientId = this.#clientId;
      const timeouts = this.#timeouts;
      const { requestTimeoutMs } = timeouts;
      channel = new ProduceChannel(connection, {
        clientId,
        requestTimeoutMs,
        serverTimeoutMs: serverTimeoutMs(timeouts),
        mayWrite: () => this.mayWrite(),
      });
      this.#channels.set(connection, channel);
    }
    return channel;
  }

  #establishedConnection(broker: Broker): Connection | undefined {
    const connection = this.#connections.getEstablishedConnection(broker);
    return connection?.isConnected() === true ? connection : undefined;
  }

  async #findLeader(topic: string, partition: number): Promise<Broker> {
    const leader = (await this.#refreshLeaders(topic))[partition];
    if (leader) return leader;
    throw new DittoError(KAFKA_ERROR_CODES.unavailable, `${topic}/${partition} has no leader`, {
      retriable: true,
      context: { topic, partition },
    });
  }

  #refreshLeaders(topic: string): Promise<Leaders> {
    let refresh = this.#refreshes.get(topic);
    if (refresh === undefined) {
      refresh = this.#fetchLeaders(topic).finally(() => this.#refreshes.delete(topic));
      this.#refreshes.set(topic, refresh);
    }
    return refresh;
  }

  /** While no broker answers, ten thousand partitions share one question, and its error. */
  async #reachBrokers(): Promise<void> {
    this.#reaching ??= this.connect().finally(() => (this.#reaching = null));
    await this.#reaching;
    this.#isDoubtful = false;
  }

  async #fetchLeaders(topic: string): Promise<Leaders> {
    if (this.#isDoubtful) await this.#reachBrokers();
    const metadata = await this.#bounded(readTopic(this.#admin, topic), `looking for the leaders of ${topic}`).catch(
      (cause: unknown) => {
        if (!isMissingTopic(cause)) throw cause;
        throw new DittoError(KAFKA_ERROR_CODES.unavailable, `topic ${topic} does not exist`, {
          retriable: true,
          cause,
          context: { topic },
        });
      },
    );
    const leaders = (metadata.topics.get(topic)?.partitions ?? []).map(({ leader }) => metadata.brokers.get(leader));
    this.#leaders.set(topic, leaders);
    return leaders;
  }

  /** One identity for all partitions; a new one is taken when a partition says that the newest is lost. */
  #takeIdentity(lost: ProducerIdentity | null): Promise<ProducerIdentity> {
    if (this.#identity !== null && this.#identity !== lost) return Promise.resolve(this.#identity);
    this.#identityRequest ??= this.#requestIdentity().finally(() => (this.#identityRequest = null));
    return this.#identityRequest;
  }

  async #requestIdentity(): Promise<ProducerIdentity> {
    if (this.#isDoubtful) await this.#reachBrokers();
    const metadata = await this.#bounded(this.#admin.metadata({ topics: [] }), 'looking for brokers');
    const connection = await this.#connections.getFirstAvailable([...metadata.brokers.values()]);
    const id = this.#transactionalId;
    const ask = (): Promise<ProducerIdentity> =>
      id === null ? initProducerIdV4.api.async(connection, null, 60_000) : this.#askCoordinator(connection, id);
    const { producerId, producerEpoch } = await this.#bounded(
      waitForProducerId(ask, this.#timeouts.deliveryTimeoutMs / 2),
      'asking for a producer id',
    ).catch((cause: unknown) => {
      throw this.#recogniseFence(cause);
    });
    this.#identity = { producerId, producerEpoch };
    if (id !== null) this.#renewal ??= setInterval(() => void this.#renewId(), RENEW_ID_MS).unref();
    return this.#identity;
  }

  /**
   * The producer id of a transactional id, with an epoch above all before. Transactions are not used: each partition
   * itself refuses batches of an epoch below one that it has seen. Who has an identity names it, so that the coordinator
   * refuses one that is not the newest.
   */
  async #askCoordinator(connection: Connection, id: string): Promise<ProducerIdentity> {
    const answer = await findCoordinatorV4.api.async(connection, FindCoordinatorKeyTypes.TRANSACTION, [id]);
    const [coordinator] = answer.coordinators;
    if (coordinator === undefined) throw new Error(`no coordinator of ${id} was named`);
    const { host, port } = coordinator;
    const reached = await this.#connections.get({ host, port });
    if (!this.mayWrite()) throw leaseLost();
    const { producerId = -1n, producerEpoch = -1 } = this.#identity ?? {};
    return initProducerIdV4.api.async(reached, id, 60_000, producerId, producerEpoch);
  }

  /** Partitions that have an identity keep it. One that can't be renewed is asked for when it is needed. */
  async #renewId(): Promise<void> {
    if (!this.mayWrite()) return;
    await this.#takeIdentity(this.#identity).catch(() => undefined);
  }

  #bounded<T>(promise: Promise<T>, what: string): Promise<T> {
    const ms = this.#timeouts.deliveryTimeoutMs;
    return withTimeout(promise, ms, () => timedOut(what, ms));
  }
}

/** Leaves the broker time to say that its replicas were too slow before the request is given up. */
function serverTimeoutMs({ requestTimeoutMs }: KafkaTimeouts): number {
  return Math.max(requestTimeoutMs - 2_000, Math.ceil(requestTimeoutMs / 2));
}

/** The library would keep what it was told of each topic. */
async function readTopic(admin: Admin, topic: string): Promise<ClusterMetadata> {
  try {
    return await admin.metadata({ topics: [topic], forceUpdate: true });
  } finally {
    admin.clearMetadata();
  }
}

function topicRequests(admin: Admin): TopicRequests {
  return {
    create: ({ topic, partitions, replicationFactor, config }) => {
      const configs = Object.entries(config).map(([name, value]) => ({ name, value }));
      return admin.createTopics({ topics: [topic], partitions, replicas: replicationFactor, configs });
    },
    listPartitions: async (topic) => {
      const { brokers, topics } = await readTopic(admin, topic);
      return (topics.get(topic)?.partitions ?? []).map(({ leader, replicas }) => ({
        hasLeader: brokers.has(leader),
        replicas: replicas.length,
      }));
    },
    readSettings: async (topic) => {
      const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: null }];
      const [description] = await admin.describeConfigs({ resources });
      return new Map(description?.configs.map(({ name, value }) => [name, value]));
    },
  };
}
