import { type RecordBatch } from './record-batch.ts';

export type KafkaCompression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** One message by itself. A string is sent as UTF-8; null is Kafka's null (no key, or a tombstone). */
export interface KafkaRecord {
  readonly key: Buffer | string | null;
  readonly value: Buffer | string | null;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TopicSpec {
  readonly topic: string;
  /** Used only when the topic has to be created. */
  readonly partitions: number;
  /** Used only when the topic has to be created; -1 takes the broker's default. */
  readonly replicationFactor: number;
  /** Topic settings in Kafka's words (`cleanup.policy`…), used only when the topic has to be created. */
  readonly config: Readonly<Record<string, string>>;
}

/** A topic as it is; null where the broker does not let this client see the setting. */
export interface TopicDescription {
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly cleanupPolicy: string | null;
  readonly minInSyncReplicas: number | null;
  readonly maxMessageBytes: number | null;
}

/**
 * What Ditto asks of a Kafka client: an idempotent producer with one partition per call, and topics.
 *
 * `produce` resolves when the leader has answered for this very partition, `acks=all`: every in-sync replica has the
 * records. It gives the offset of the first, null when the leader only says that it has them already. It rejects with a
 * `DittoError`:
 * - retriable: the outcome is unknown or nothing was written. The caller calls again with **the same batch** before it
 *   sends anything else to that partition; the records are then in the topic once, in order. (The producer id and the
 *   sequence numbers are kept, so that the broker drops what it already has.)
 * - `DITTO_KAFKA_MESSAGE_TOO_LARGE`, `DITTO_KAFKA_RECORD_REFUSED`: nothing was written; the caller may split the batch.
 * - anything else: nothing of use will happen by trying again.
 *
 * Legal use: at most one `produce` per partition at a time; any number of partitions side by side. Each call settles in
 * bounded time, also when no broker answers: `deliveryTimeoutMs` and `requestTimeoutMs` of `KafkaConnectionOptions`.
 *
 * - `DITTO_KAFKA_PRODUCER_LOST`, retriable: nothing was written. The brokers have forgotten the producer, as idle
 *   partitions do, or have lost records that were confirmed: the caller compares offsets before it calls again.
 *
 * - `DITTO_LEASE_FENCED`: a later client with the same transactional id has written to this partition. Nothing was written.
 *
 * Not promised: that records are there only once when the brokers forget the producer (`DITTO_KAFKA_PRODUCER_LOST`):
 * the batch is then sent again by a new producer id; order stays, a batch may be there twice.
 */
export abstract class KafkaClient {
  #mayWrite: () => boolean = () => true;

  /**
   * Asked in the turn in which records are given to the socket (by kafkajs: to the driver); once it says no, `produce`
   * rejects with `DITTO_LEASE_LOST` and nothing is written. An answer from before that may be old: batches wait for a
   * leader and are encoded, and the process may have been frozen in between (I5).
   */
  guardWith(mayWrite: () => boolean): void {
    this.#mayWrite = mayWrite;
  }

  protected mayWrite(): boolean {
    return this.#mayWrite();
  }

  /** Rejects when no broker can be reached or the credentials are refused. */
  abstract connect(): Promise<void>;
  abstract produce(topic: string, partition: number, batch: RecordBatch): Promise<number | null>;
  /** Creates the topic when it is missing; resolves when every partition has a leader. Repeatable. */
  abstract ensureTopic(spec: TopicSpec): Promise<TopicDescription>;
  /** Partitions of an existing topic; null when there is none. */
  abstract partitionCount(topic: string): Promise<number | null>;
  /** Ends connections and timers; what is under way is rejected. */
  abstract close(): Promise<void>;
}
