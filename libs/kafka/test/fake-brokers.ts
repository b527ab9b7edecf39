import { DittoError } from '#kernel';
import { leaseLost } from '#replication';

import { KafkaClient, type KafkaRecord, type TopicDescription, type TopicSpec } from '../src/kafka-client.ts';
import { type RecordBatch } from '../src/record-batch.ts';

/** What becomes of a request: `lost` is written and not answered, `down` is not written. */
export type Outcome = 'ok' | 'lost' | 'down';

/** Brokers as far as a publisher sees them; notes where the contract of `produce` is broken. */
export class FakeBrokers extends KafkaClient {
  /** By topic and partition. */
  readonly written = new Map<string, KafkaRecord[]>();
  readonly topics = new Map<string, TopicDescription>();
  readonly created: TopicSpec[] = [];
  readonly complaints: string[] = [];
  readonly largestBatch = { messages: 0, bytes: 0 };
  /** Bytes of the largest batch of one message. */
  largestSingle = 0;
  /** Called before a batch is written. */
  before: (topic: string) => Promise<unknown> = () => Promise.resolve();
  readonly #partitions: number;
  readonly #outcomes: Outcome[];
  readonly #busy = new Set<string>();
  /** The batch of each partition whose outcome its sender does not know, and whether it was written. */
  readonly #unknown = new Map<string, { readonly batch: RecordBatch; readonly isWritten: boolean }>();

  constructor(partitions: number, outcomes: readonly Outcome[] = []) {
    super();
    this.#partitions = partitions;
    this.#outcomes = [...outcomes];
  }

  has(topic: string, partition: number, test: (record: KafkaRecord) => boolean): boolean {
    return (this.written.get(`${topic}/${partition}`) ?? []).some(test);
  }

  override async produce(topic: string, partition: number, batch: RecordBatch): Promise<number | null> {
    const place = `${topic}/${partition}`;
    if (this.#busy.has(place)) this.complaints.push(`two batches at once for ${place}`);
    const unknown = this.#unknown.get(place);
    if (unknown !== undefined && unknown.batch !== batch) this.complaints.push(`another batch for ${place}`);
    this.#busy.add(place);
    try {
      const records = batch.records();
      this.#measure(batch, records.length);
      await this.before(topic);
      await new Promise((resolve) => setImmediate(resolve));
      if (JSON.stringify(batch.records()) !== JSON.stringify(records))
        this.complaints.push(`a batch of ${place} changed while it was sent`);
      if (!this.mayWrite()) throw leaseLost();
      return this.#answer(place, batch, records, unknown?.isWritten ?? false);
    } finally {
      this.#busy.delete(place);
    }
  }

  override connect(): Promise<void> {
    return Promise.resolve();
  }

  override ensureTopic(spec: TopicSpec): Promise<TopicDescription> {
    let found = this.topics.get(spec.topic);
    if (found === undefined) {
      const partitions = Math.min(spec.partitions, this.#partitions);
      const { replicationFactor } = spec;
      found = { partitions, replicationFactor, cleanupPolicy: null, minInSyncReplicas: null, maxMessageBytes: null };
      this.created.push(spec);
      this.topics.set(spec.topic, found);
    }
    return Promise.resolve(found);
  }

  override partitionCount(topic: string): Promise<number | null> {
    return Promise.resolve(this.topics.get(topic)?.partitions ?? null);
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }

  #measure({ length: bytes }: RecordBatch, messages: number): void {
    this.largestBatch.messages = Math.max(this.largestBatch.messages, messages);
    this.largestBatch.bytes = Math.max(this.largestBatch.bytes, bytes);
    if (messages === 1) this.largestSingle = Math.max(this.largestSingle, bytes);
  }

  #answer(place: string, batch: RecordBatch, records: readonly KafkaRecord[], wasWritten: boolean): number | null {
    const outcome = this.#outcomes.shift() ?? 'ok';
    const held = this.written.get(place) ?? [];
    const offset = held.length;
    if (!wasWritten && outcome !== 'down') this.written.set(place, [...held, ...records]);
    if (outcome !== 'ok') {
      this.#unknown.set(place, { batch, isWritten: wasWritten || outcome === 'lost' });
      throw new DittoError('DITTO_KAFKA_UNAVAILABLE', outcome, { retriable: true });
    }
    this.#unknown.delete(place);
    return wasWritten ? null : offset;
  }
}
