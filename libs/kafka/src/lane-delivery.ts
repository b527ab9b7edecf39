import { DittoError } from '#kernel';
import { leaseLost } from '#replication';

import { type ConfirmedEnds } from './confirmed-ends.ts';
import { type KafkaClient, type KafkaRecord } from './kafka-client.ts';
import { isRecordsOwn, KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { type RecordBatch } from './record-batch.ts';
import { nameRecord } from './refused-record.ts';

/** One lane's place in Kafka. */
export interface LaneTarget {
  readonly topic: string;
  readonly partition: number;
  readonly maxBatchBytes: number;
}

interface Progress {
  /** What the lane was given; the same object comes again after a failure. */
  readonly batch: RecordBatch;
  /** What of it is still to be sent, in order; the first may be under way or has to be sent again as it is. */
  readonly parts: RecordBatch[];
  /** The part that was sent last, with what it leads out: it may be with the brokers, so it stays as it is. */
  sent: { readonly part: RecordBatch; readonly admission: RecordAdmission | null } | null;
}

/** `Admission`, of records. */
export interface RecordAdmission {
  admits(record: KafkaRecord): boolean;
  noteHeld(): void;
  noteTaken(): void;
}

export interface LaneDeliveryOptions {
  readonly client: KafkaClient;
  readonly target: LaneTarget;
  readonly ends?: ConfirmedEnds | null;
  /** Takes a record that the brokers refuse for good. Resolves when it need not be sent any more. */
  readonly refuse: (record: KafkaRecord, error: DittoError) => Promise<void>;
  /** What is held back of the records that are sent next; null while no row of the topic is in the quarantine. */
  readonly admit?: () => RecordAdmission | null;
  /** Asked before each part: a batch may take long (I5). */
  readonly mayDeliver?: () => boolean;
}

/**
 * Sends the batches of a lane. One that is refused for one of its records is halved until that record is alone; parts
 * that are confirmed are not sent again when a later one fails.
 */
export class LaneDelivery {
  readonly target: LaneTarget;
  readonly #client: KafkaClient;
  readonly #ends: ConfirmedEnds | null;
  readonly #refuse: LaneDeliveryOptions['refuse'];
  readonly #admit: () => RecordAdmission | null;
  readonly #mayDeliver: () => boolean;
  #progress: Progress | null = null;
  /** Confirmed messages may be gone: nothing is put after them until it is known that they are not. */
  #isDoubtful = false;

  constructor({
    client,
    target,
    ends = null,
    refuse,
    admit = () => null,
    mayDeliver = () => true,
  }: LaneDeliveryOptions) {
    this.#client = client;
    this.#ends = ends;
    this.#refuse = refuse;
    this.#admit = admit;
    this.#mayDeliver = mayDeliver;
    this.target = target;
  }

  async deliver(batch: RecordBatch): Promise<void> {
    if (this.#progress?.batch !== batch) this.#progress = { batch, parts: [batch], sent: null };
    const progress = this.#progress;
    const { parts } = progress;
    for (;;) {
      const [part] = parts;
      if (part === undefined) break;
      if (part.count === 0) {
        // a row that can't be decoded leaves nothing
        parts.shift();
        part.release();
        continue;
      }
      if (!this.#mayDeliver()) throw leaseLost();
      const isRepeat = progress.sent?.part === part;
      const admission = isRepeat ? (progress.sent?.admission ?? null) : this.#admit();
      if (admission !== null && !isRepeat && this.#holdBack(part, parts, admission)) continue;
      progress.sent = { part, admission };
      try {
        await this.#send(part);
        admission?.noteTaken();
        parts.shift();
      } catch (error) {
        if (!isRecordsOwn(error)) throw error;
        if (part.count > 1) parts.splice(0, 1, ...part.split());
        else {
          const [record] = part.records() as [KafkaRecord];
          await this.#refuse(record, nameRecord(error, this.target, record, part.length));
          parts.shift();
        }
      }
      part.release();
    }
    this.#progress = null;
  }

  /** Whether something of the first part is held back; the rest is the first part then. */
  #holdBack(part: RecordBatch, parts: RecordBatch[], admission: RecordAdmission): boolean {
    const rest = part.filter((record) => admission.admits(record));
    if (rest === part) return false;
    admission.noteHeld();
    parts.splice(0, 1, ...(rest.count === 0 ? [] : [rest]));
    if (rest.count === 0) rest.release();
    part.release();
    return true;
  }

  async #send(part: RecordBatch): Promise<void> {
    const { topic, partition } = this.target;
    if (this.#isDoubtful) await this.#ends?.verify(topic, partition);
    this.#isDoubtful = false;
    try {
      const offset = await this.#client.produce(topic, partition, part);
      if (offset !== null) await this.#ends?.confirm(topic, partition, offset, part.count);
    } catch (error) {
      this.#isDoubtful = error instanceof DittoError && error.code === KAFKA_ERROR_CODES.producerLost;
      throw error;
    }
  }
}
