import { compressionsAlgorithms } from '@platformatic/kafka';
import kafkajs, {
  type Admin,
  type CompressionTypes,
  type Kafka,
  type KafkaConfig,
  type logCreator,
  type Message,
  type Producer,
  type SASLOptions,
} from 'kafkajs';

import { DittoError, type Logger, withTimeout } from '#kernel';
import { leaseLost } from '#replication';

import { ClientTopics, type TopicRequests } from './client-topics.ts';
import { KafkaClient, type KafkaCompression, type TopicDescription, type TopicSpec } from './kafka-client.ts';
import {
  DEFAULT_COMPRESSION,
  type KafkaConnectionOptions,
  type KafkaTimeouts,
  resolveTimeouts,
} from './kafka-connection-options.ts';
import { isAlreadyWritten, KAFKA_ERROR_CODES, timedOut, toKafkaError } from './kafka-errors.ts';
import { tlsErrors } from './kafka-refusals.ts';
import { lookOnlyForLateRequests, lookOnlyForWaitingRequests } from './kafkajs-request-queue.ts';
import { type RecordBatch } from './record-batch.ts';
import { createWatchedSockets } from './watched-socket.ts';

const { CompressionCodecs, CompressionTypes: types, ConfigResourceTypes, logLevel } = kafkajs;

const compressionTypes: Readonly<Record<KafkaCompression, CompressionTypes>> = {
  none: types.None,
  gzip: types.GZIP,
  snappy: types.Snappy,
  lz4: types.LZ4,
  zstd: types.ZSTD,
};

/** kafkajs brings gzip alone; the others come from @platformatic/kafka and Node. */
export function registerKafkaJsCodecs(): void {
  const codecs = CompressionCodecs as Record<number, unknown>;
  for (const name of ['snappy', 'lz4', 'zstd'] as const) {
    const algorithm = compressionsAlgorithms[name];
    codecs[compressionTypes[name]] = () => ({
      compress: ({ buffer }: { buffer: Buffer }) => Promise.resolve(algorithm.compressSync(buffer)),
      decompress: (buffer: Buffer) => Promise.resolve(algorithm.decompressSync(buffer)),
    });
  }
}

/** kafkajs logs as errors what it then retries: for us that is detail. */
function createLogForwarder(logger: Logger): logCreator {
  return () =>
    ({ namespace, label, log }) => {
      logger.debug(`kafkajs: ${log.message}`, {
        namespace,
        level: label,
        detail: log['error'] ?? log['stack'] ?? null,
      });
    };
}

/** Throws `DITTO_KAFKA_TLS` for texts that are not certificates or keys. */
function toKafkaJsConfig(options: KafkaConnectionOptions): KafkaConfig {
  const timeouts = resolveTimeouts(options);
  if (options.tls) tlsErrors.assertUsable(options.tls);
  return {
    clientId: options.clientId,
    brokers: [...options.brokers],
    connectionTimeout: timeouts.connectTimeoutMs,
    authenticationTimeout: timeouts.connectTimeoutMs,
    requestTimeout: timeouts.requestTimeoutMs,
    enforceRequestTimeout: true,
    socketFactory: createWatchedSockets(timeouts.requestTimeoutMs),
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 3 },
    logLevel: logLevel.WARN,
    logCreator: createLogForwarder(options.logger),
    ...(options.tls ? { ssl: { ...options.tls } } : {}),
    ...(options.sasl ? { sasl: { ...options.sasl } as SASLOptions } : {}),
  };
}

/** The one place where kafkajs is set up. */
export function createKafkaJs(options: KafkaConnectionOptions, overrides: Partial<KafkaConfig> = {}): Kafka {
  registerKafkaJsCodecs();
  lookOnlyForWaitingRequests();
  lookOnlyForLateRequests();
  return new kafkajs.Kafka({ ...toKafkaJsConfig(options), ...overrides });
}

interface PendingSend {
  readonly batch: RecordBatch;
  readonly settled: Promise<number | null>;
}

/**
 * `KafkaClient` on kafkajs, which keeps a batch's sequence numbers across its own retries and ours as long as one
 * partition is in one call (with several it loses acknowledged messages when a leader dies). A call that outlives
 * `deliveryTimeoutMs` continues inside; the same batch given again waits for that very call, so that two sends of one
 * partition never overlap. kafkajs groups a call's messages in quadratic time: about 1,000 in one call is best.
 */
export class KafkaJsClient extends KafkaClient {
  readonly #timeouts: KafkaTimeouts;
  readonly #compression: CompressionTypes;
  readonly #kafka: Kafka;
  readonly #admin: Admin;
  readonly #topics: ClientTopics;
  #shared: Promise<Producer> | null = null;
  /** Producers of partitions whose producer id the brokers had forgotten. */
  readonly #own = new Map<string, Promise<Producer>>();
  readonly #pending = new Map<string, PendingSend>();

  constructor(options: KafkaConnectionOptions) {
    super();
    this.#timeouts = resolveTimeouts(options);
    this.#compression = compressionTypes[options.compression ?? DEFAULT_COMPRESSION];
    this.#kafka = createKafkaJs(options);
    this.#admin = this.#kafka.admin();
    this.#topics = new ClientTopics(topicRequests(this.#admin), this.#timeouts.deliveryTimeoutMs);
  }

  async connect(): Promise<void> {
    try {
      await this.#bounded(this.#admin.connect(), 'connecting to Kafka');
      await this.#bounded(this.#sharedProducer(), 'connecting to Kafka');
    } catch (cause) {
      throw toKafkaError(cause, 'connecting to Kafka');
    }
  }

  async produce(topic: string, partition: number, batch: RecordBatch): Promise<number | null> {
    const name = `${topic}/${partition}`;
    let pending = this.#pending.get(name);
    if (pending !== undefined && pending.batch !== batch)
      throw new Error(`another batch than the unconfirmed one was given for ${name}`);
    if (pending === undefined) {
      pending = { batch, settled: this.#send(topic, partition, batch).finally(() => this.#pending.delete(name)) };
      pending.settled.catch(() => undefined);
      this.#pending.set(name, pending);
    }
    return this.#bounded(pending.settled, `sending to ${name}`);
  }

  ensureTopic(spec: TopicSpec): Promise<TopicDescription> {
    return this.#topics.ensure(spec);
  }

  partitionCount(topic: string): Promise<number | null> {
    return this.#topics.count(topic);
  }

  async close(): Promise<void> {
    const producers = [...(this.#shared ? [this.#shared] : []), ...this.#own.values()];
    await Promise.all([this.#admin.disconnect(), ...producers.map(async (producer) => (await producer).disconnect())]);
  }

  async #send(topic: string, partition: number, batch: RecordBatch): Promise<number | null> {
    const name = `${topic}/${partition}`;
    try {
      const producer = await (this.#own.get(name) ?? this.#sharedProducer());
      const messages = batch
        .records()
        .map((record): Message => ({ ...record, headers: { ...record.headers }, partition }));
      if (!this.mayWrite()) throw leaseLost();
      const answers = await producer.send({
        topic,
        messages,
        acks: -1,
        timeout: this.#timeouts.requestTimeoutMs,
        compression: this.#compression,
      });
      const answer = answers.find((candidate) => candidate.partition === partition);
      const offset = Number(answer?.baseOffset ?? -1);
      if (answer?.errorCode === 0 && offset >= 0) return offset;
      throw new DittoError(KAFKA_ERROR_CODES.unavailable, `the broker's answer lacks ${name}`, { retriable: true });
    } catch (cause) {
      if (isAlreadyWritten(cause)) return null;
      const error = toKafkaError(cause, `sending to ${name}`, { topic, partition });
      if (error.code === KAFKA_ERROR_CODES.producerLost) this.#replaceProducer(name);
      throw error;
    }
  }

  #replaceProducer(name: string): void {
    const former = this.#own.get(name);
    const producer = this.#connectProducer();
    producer.catch(() => this.#own.delete(name)); // the next failure takes another one
    this.#own.set(name, producer);
    former?.then((old) => old.disconnect()).catch(() => undefined);
  }

  #sharedProducer(): Promise<Producer> {
    this.#shared ??= this.#connectProducer().catch((error: unknown) => {
      this.#shared = null;
      throw error;
    });
    return this.#shared;
  }

  async #connectProducer(): Promise<Producer> {
    const retry = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 5 };
    const producer = this.#kafka.producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      metadataMaxAge: 300_000,
      retry,
    });
    await producer.connect();
    return producer;
  }

  #bounded<T>(promise: Promise<T>, what: string): Promise<T> {
    const ms = this.#timeouts.deliveryTimeoutMs;
    return withTimeout(promise, ms, () => timedOut(what, ms));
  }
}

function topicRequests(admin: Admin): TopicRequests {
  return {
    create: ({ topic, partitions, replicationFactor, config }) => {
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
      const created = { topic, numPartitions: partitions, replicationFactor, configEntries };
      return admin.createTopics({ topics: [created], waitForLeaders: false });
    },
    listPartitions: async (topic) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      return (topics[0]?.partitions ?? []).map(({ leader, replicas }) => ({
        hasLeader: leader >= 0,
        replicas: replicas.length,
      }));
    },
    readSettings: async (topic) => {
      const wanted = [{ type: ConfigResourceTypes.TOPIC, name: topic }];
      const { resources } = await admin.describeConfigs({ resources: wanted, includeSynonyms: false });
      return new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]));
    },
  };
}
