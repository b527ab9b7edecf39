import { type DittoError } from '#kernel';

import { type KafkaCompression } from './kafka-client.ts';
import { isAlreadyWritten, isRecordsOwn, KAFKA_ERROR_CODES, toKafkaError } from './kafka-errors.ts';
import { type RecordBatch } from './record-batch.ts';

/** What InitProducerId gave. */
export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

export interface PartitionProducerOptions {
  readonly topic: string;
  readonly partition: number;
  readonly compression: KafkaCompression;
  /** The identity that partitions share; asks the brokers when `lost` is the newest one known. */
  readonly identity: (lost: ProducerIdentity | null) => Promise<ProducerIdentity>;
  /** Sends one encoded batch to the partition's leader and checks the answer; gives the offset of the batch. */
  readonly send: (topic: string, partition: number, batch: Buffer) => Promise<number>;
}

interface PendingBatch {
  readonly batch: RecordBatch;
  readonly bytes: Buffer;
}

const SEQUENCE_MODULUS = 2 ** 31;

/**
 * The idempotent producer's state for one partition: identity, next sequence number, and the batch whose outcome is
 * not known yet.
 *
 * After a failure the very same bytes are sent again, with the same producer id and sequence: a broker that has them
 * already reports that instead of writing them twice, and a first attempt that is still stuck somewhere cannot be written
 * after a later batch. A batch that was surely not written (one of its records is refused) gives its
 * sequence numbers back. Only when the brokers have forgotten the producer is a new id taken and the batch encoded again;
 * order holds, since one batch at a time is under way, but it may then be there twice.
 */
export class PartitionProducer {
  readonly #options: PartitionProducerOptions;
  #identity: ProducerIdentity | null = null;
  #nextSequence = 0;
  #pending: PendingBatch | null = null;

  constructor(options: PartitionProducerOptions) {
    this.#options = options;
  }

  /** Gives the offset of the batch; null when the broker only says that it has it. */
  async produce(batch: RecordBatch): Promise<number | null> {
    const { topic, partition } = this.#options;
    let offset: number | null = null;
    try {
      this.#identity ??= await this.#options.identity(null);
      this.#pending = this.#preparePending(batch, this.#identity);
      offset = await this.#options.send(topic, partition, this.#pending.bytes);
    } catch (cause) {
      if (!isAlreadyWritten(cause))
        throw await this.#settleFailure(toKafkaError(cause, `sending to ${topic}/${partition}`, { topic, partition }));
    }
    this.#nextSequence = (this.#nextSequence + batch.count) % SEQUENCE_MODULUS;
    this.#pending = null;
    return offset;
  }

  #preparePending(batch: RecordBatch, identity: ProducerIdentity): PendingBatch {
    if (this.#pending !== null) {
      if (this.#pending.batch === batch) return this.#pending;
      throw new Error(
        `another batch than the unconfirmed one was given for ${this.#options.topic}/${this.#options.partition}`,
      );
    }
    const bytes = batch.encode({
      ...identity,
      baseSequence: this.#nextSequence,
      compression: this.#options.compression,
      timestampMs: Date.now(),
    });
    return { batch, bytes };
  }

  async #settleFailure(error: DittoError): Promise<DittoError> {
    if (isRecordsOwn(error)) this.#pending = null;
    if (error.code !== KAFKA_ERROR_CODES.producerLost) return error;
    try {
      this.#identity = await this.#options.identity(this.#identity);
      this.#nextSequence = 0;
      this.#pending = null;
    } catch (cause) {
      return toKafkaError(cause, 'asking for a new producer id');
    }
    return error;
  }
}
