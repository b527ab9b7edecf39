import { DittoError } from '#kernel';

import { type KafkaClient } from './kafka-client.ts';
import { kafkaErrorCodes } from './kafka-errors.ts';
import { type MessageEntry } from './table-route.ts';

/** One lane's place in Kafka. */
export interface LaneTarget {
  readonly topic: string;
  readonly partition: number;
  readonly maxBatchBytes: number;
}

interface Progress {
  /** What the lane was given; the same array comes again after a failure. */
  readonly entries: readonly MessageEntry[];
  done: number;
  maxBytes: number;
  /** The part that is under way or has to be sent again as it is. */
  part: readonly MessageEntry[] | null;
}

/** As many entries from `start` as fit; at least one. */
function takePart(entries: readonly MessageEntry[], start: number, maxBytes: number): readonly MessageEntry[] {
  let end = start;
  let bytes = 0;
  while (end < entries.length) {
    bytes += (entries[end] as MessageEntry).bytes;
    if (bytes > maxBytes && end > start) break;
    end++;
  }
  return start === 0 && end === entries.length ? entries : entries.slice(start, end);
}

/**
 * Sends what a lane gives, in order, in parts that the topic takes. A part that is refused as too large is halved; parts
 * that are confirmed are not sent again when a later one fails. One message that is too large alone is an error.
 */
export class LaneDelivery {
  private readonly client: KafkaClient;
  private readonly target: LaneTarget;
  private progress: Progress | null = null;

  constructor(client: KafkaClient, target: LaneTarget) {
    this.client = client;
    this.target = target;
  }

  async deliver(entries: readonly MessageEntry[]): Promise<void> {
    const { topic, partition, maxBatchBytes } = this.target;
    if (this.progress?.entries !== entries) this.progress = { entries, done: 0, maxBytes: maxBatchBytes, part: null };
    const { progress } = this;
    while (progress.done < entries.length) {
      const part = (progress.part ??= takePart(entries, progress.done, progress.maxBytes));
      try {
        await this.client.produce(topic, partition, part);
        progress.done += part.length;
      } catch (error) {
        if (!(error instanceof DittoError) || error.code !== kafkaErrorCodes.tooLarge) throw error;
        if (part.length === 1) throw tooLarge(error, part[0] as MessageEntry, this.target);
        progress.maxBytes = part.reduce((sum, entry) => sum + entry.bytes, 0) / 2;
      }
      progress.part = null;
    }
    this.progress = null;
  }
}

function tooLarge(
  cause: DittoError,
  { key, bytes, headers }: MessageEntry,
  { topic, partition }: LaneTarget,
): DittoError {
  const context = { topic, partition, key: key?.toString().slice(0, 200) ?? null, bytes, id: headers['ditto.id'] };
  return new DittoError(
    kafkaErrorCodes.tooLarge,
    `a message of about ${bytes} bytes is larger than topic ${topic} takes`,
    {
      remedy: `Raise max.message.bytes of topic ${topic} above ${bytes} (and message.max.bytes, replica.fetch.max.bytes of the brokers), then start the source again.`,
      context,
      cause,
    },
  );
}
