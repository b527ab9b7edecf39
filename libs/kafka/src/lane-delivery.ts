import { DittoError } from '#kernel';

import { type ConfirmedEnds } from './confirmed-ends.ts';
import { type KafkaClient } from './kafka-client.ts';
import { KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { type RecordBatch } from './record-batch.ts';

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
}

/**
 * Sends the batches of a lane. One that is refused as too large is halved; parts that are confirmed are not sent again
 * when a later one fails. One message that is too large alone is an error.
 */
export class LaneDelivery {
  readonly target: LaneTarget;
  readonly #client: KafkaClient;
  readonly #ends: ConfirmedEnds | null;
  #progress: Progress | null = null;
  /** Confirmed messages may be gone: nothing is put after them until it is known that they are not. */
  #isDoubtful = false;

  constructor(client: KafkaClient, target: LaneTarget, ends: ConfirmedEnds | null = null) {
    this.#client = client;
    this.#ends = ends;
    this.target = target;
  }

  async deliver(batch: RecordBatch): Promise<void> {
    if (this.#progress?.batch !== batch) this.#progress = { batch, parts: [batch] };
    const { parts } = this.#progress;
    for (;;) {
      const [part] = parts;
      if (part === undefined) break;
      try {
        await this.#send(part);
        part.release();
        parts.shift();
      } catch (error) {
        if (!(error instanceof DittoError) || error.code !== KAFKA_ERROR_CODES.tooLarge) throw error;
        if (part.count === 1) throw tooLarge(error, part, this.target);
        parts.splice(0, 1, ...part.split());
        part.release();
      }
    }
    this.#progress = null;
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

function tooLarge(cause: DittoError, part: RecordBatch, { topic, partition }: LaneTarget): DittoError {
  const bytes = part.length;
  const [record] = part.records();
  const key = record?.key?.toString().slice(0, 200) ?? null;
  return new DittoError(
    KAFKA_ERROR_CODES.tooLarge,
    `the message of ${record?.headers['ditto.id'] ?? 'a change'} with key ${key ?? 'null'}, about ${bytes} bytes, is larger than topic ${topic} takes`,
    {
      remedy: `Raise max.message.bytes of topic ${topic} above ${bytes} (and message.max.bytes, replica.fetch.max.bytes of the brokers), then restart the source. Where that can't be: make the row smaller, then resync; a restart alone comes upon the large version in the log again.`,
      context: { topic, partition, key, bytes, id: record?.headers['ditto.id'] },
      cause,
    },
  );
}
