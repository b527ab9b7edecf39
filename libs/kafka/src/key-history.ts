import { type EnvelopeOperation, findOperation, partitionForKey } from '#change-events';

import { TABLE_CHANGE_KEY } from './kafka-publisher.ts';
import { isVersion } from './message-version.ts';
import { retryBriefly } from './retry-briefly.ts';
import { type PartitionBounds, readHeader, type TopicMessage, type TopicReader } from './topic-reader.ts';

/** One message of a key, or one that ended all rows of the table (`op` is `t`). */
export interface KeyMessage {
  readonly partition: number;
  readonly offset: number;
  /** When it was published, milliseconds since 1970. */
  readonly publishedMs: number;
  /** The header `ditto.id`; '' where another program published. */
  readonly id: string;
  /** The header `ditto.version`; null when it is missing or malformed. */
  readonly version: string | null;
  /** Null for a tombstone, and for what is not an envelope. */
  readonly op: EnvelopeOperation | null;
  /** The envelope as it is in the topic; null for a tombstone. */
  readonly value: Buffer | null;
}

export interface KeyHistoryRequest {
  readonly topic: string;
  /** As it is in the topic: the text of `compileKeyEncoder`, `{"id":1}`. */
  readonly key: string;
  /** How many messages of the key are looked for. */
  readonly limit: number;
  /** So many messages of the partition are read at most, the newest ones. */
  readonly maxMessages: number;
}

export interface KeyMessages {
  /** Newest first. */
  readonly messages: readonly KeyMessage[];
  /** False when older messages of the partition were not read, because of either bound. */
  readonly isComplete: boolean;
}

const TABLE_CHANGE = Buffer.from(TABLE_CHANGE_KEY);

/**
 * The last messages of one key, read from the end of its partition backwards. Messages that are older than a change of
 * the partition count may be in another partition, and are not found. Rejects with a `DittoError`.
 */
export class KeyHistory {
  readonly #reader: TopicReader;

  constructor(reader: TopicReader) {
    this.#reader = reader;
  }

  /** No messages, and complete, when there is no such topic. */
  read(request: KeyHistoryRequest, signal: AbortSignal): Promise<KeyMessages> {
    return retryBriefly(signal, () => this.#read(request, signal));
  }

  async #read({ topic, key, limit, maxMessages }: KeyHistoryRequest, signal: AbortSignal): Promise<KeyMessages> {
    if (!(await this.#reader.listTopics()).includes(topic)) return { messages: [], isComplete: true };
    const keyBytes = Buffer.from(key);
    const partitions = (await this.#reader.countPartitions([topic])).get(topic) ?? 0;
    const partition = partitionForKey(keyBytes, partitions);
    const { start, end } = await this.#reader.findBounds(topic, partition);
    const bounds: PartitionBounds = { start: Math.max(start, end - maxMessages), end };
    const pick = (message: TopicMessage): KeyMessage | null => {
      const { key: found } = message;
      if (found === null || !(found.equals(keyBytes) || found.equals(TABLE_CHANGE))) return null;
      return message.offset < bounds.start || message.offset >= end ? null : toKeyMessage(partition, message);
    };
    const messages: KeyMessage[] = [];
    for await (const page of this.#reader.searchBackwards(topic, partition, bounds, signal, pick)) {
      messages.push(...page.flatMap((batch) => batch.messages).reverse());
      if (messages.length >= limit) return { messages: messages.slice(0, limit), isComplete: false };
    }
    return { messages, isComplete: bounds.start === start };
  }
}

function toKeyMessage(partition: number, message: TopicMessage): KeyMessage {
  const { offset, publishedMs } = message;
  const version = readHeader(message, 'ditto.version');
  const value = message.value === null ? null : Buffer.from(message.value);
  return {
    partition,
    offset,
    publishedMs,
    id: readHeader(message, 'ditto.id'),
    version: isVersion(version) ? version : null,
    op: value === null ? null : findOperation(value),
    value,
  };
}
