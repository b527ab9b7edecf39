import { findOperation } from '#change-events';

import { type ReceivedMessage } from './published-event.ts';

/** The key of a row that has changed, of one message. */
export interface ChangedKey {
  readonly topic: string;
  readonly partition: number;
  /** As it is in Kafka, `{"id":1}`; or what another program has published. */
  readonly key: string;
  /** When the message was published, milliseconds since 1970. */
  readonly publishedMs: number;
}

/** Null for a message without a key, for a row that was read and not changed, and for the end of a table. */
export function readChangedKey(topic: string, partition: number, message: ReceivedMessage): ChangedKey | null {
  const { key, value, timestamp } = message;
  const operation = value === null ? null : findOperation(value);
  if (key === null || operation === 'r' || operation === 't') return null;
  return { topic, partition, key: key.toString(), publishedMs: Number(timestamp) };
}
