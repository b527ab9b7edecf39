import { Injectable } from '@nestjs/common';
import { type TransactionInfo } from '#change-events';
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
import { MirrorMemory, MirrorWriter, type MongoConnection } from '#mongo';
import { type DittoConfig, requireSection, type SourceConfig, toKafkaOptions } from '#configuration';
import { InjectConfig, readPackageVersion } from '#platform';
import { type ChangeSink, type Grant, type SinkMemory } from '#replication';
import { TopicEndStore, TopicPartitionStore } from '#state';
import { type LostMessages } from './rewind.ts';

export interface SinkRequest {
  readonly source: SourceConfig;
  readonly grant: Grant;
  /** Null when the source has no mirror. */
  readonly mongo: MongoConnection | null;
  readonly isReplaying: (transaction: TransactionInfo) => boolean;
  readonly logger: Logger;
  /** What has to be closed besides the sinks themselves. */
  readonly closers: (() => Promise<void>)[];
}

export interface LostRequest extends Pick<SinkRequest, 'source' | 'logger' | 'closers'> {
  readonly signal: AbortSignal;
}

/** Builds the sinks of a source as the configuration wants them; nothing is connected yet. */
@Injectable()
export class SinkBuilder {
  readonly #config: DittoConfig;
  readonly #partitions: TopicPartitionStore;
  readonly #ends: TopicEndStore;

  constructor(@InjectConfig() config: DittoConfig, partitions: TopicPartitionStore, ends: TopicEndStore) {
    this.#config = config;
    this.#partitions = partitions;
    this.#ends = ends;
  }

  build(request: SinkRequest): readonly ChangeSink[] {
    return request.source.sinks.map((sink) =>
      sink === 'kafka' ? this.#buildPublisher(request) : this.#buildMirror(request),
    );
  }

  /** What the sinks of a source know of it; nothing is connected yet. */
  recall({ source, mongo, logger, closers }: Omit<SinkRequest, 'isReplaying'>): readonly SinkMemory[] {
    return source.sinks.map((sink) => {
      if (sink === 'mongo') {
        const { databasePrefix } = requireSection(this.#config.mongo, 'mongo');
        const connection = requireSection(mongo, 'mongo');
        return new MirrorMemory({ connection, source: source.name, databasePrefix, logger });
      }
      const reader = new TopicReader({ ...toKafkaOptions(requireSection(this.#config.kafka, 'kafka')), logger });
      closers.push(() => reader.close());
      return new TopicMemory({ reader, source: source.name });
    });
  }

  /** What the topics have lost of what was confirmed; null: nothing. */
  async findLost({ source, logger, closers, signal }: LostRequest): Promise<LostMessages | null> {
    const { losses } = await this.#ends.load(source.name);
    if (losses.length === 0) return null;
    const reader = new TopicReader({ ...toKafkaOptions(requireSection(this.#config.kafka, 'kafka')), logger });
    closers.push(() => reader.close());
    const topics = new Set(losses.map(({ topic }) => topic));
    return { topics, survivor: await findOldestSurvivor(reader, losses, signal) };
  }

  #buildPublisher({ source, grant, logger, closers }: SinkRequest): ChangeSink {
    const config = requireSection(this.#config.kafka, 'kafka');
    const options = { ...toKafkaOptions(config), logger };
    const client: KafkaClient =
      config.client === 'kafkajs' ? new KafkaJsClient(options) : new PlatformaticKafkaClient(options);
    const reader = new TopicReader(options);
    closers.push(
      () => client.close(),
      () => reader.close(),
    );
    const { topics, tombstones, schemaChanges, bigint, maxBatchBytes } = config;
    return new KafkaPublisher({
      client,
      source: source.name,
      version: readPackageVersion(),
      logger,
      counts: this.#partitions,
      confirmedEnds: new ConfirmedEnds({ grant, store: this.#ends, reader, logger }),
      topics,
      tombstones,
      schemaChanges,
      bigint,
      maxBatchBytes,
    });
  }

  #buildMirror({ source, mongo, isReplaying, logger }: SinkRequest): ChangeSink {
    const config = requireSection(this.#config.mongo, 'mongo');
    const { databasePrefix, lanes, maxBatchOperations, maxBatchBytes, writeConcern } = config;
    return new MirrorWriter({
      connection: requireSection(mongo, 'mongo'),
      source: source.name,
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
