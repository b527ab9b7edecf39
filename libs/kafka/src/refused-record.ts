import { type TableLayout } from '#change-events';
import { DittoError } from '#kernel';
import { type RefusedChange } from '#replication';

import { type KafkaRecord } from './kafka-client.ts';
import { KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { type LaneTarget } from './lane-delivery.ts';

/** The error of a batch whose only record is the one that is refused. */
export function nameRecord(
  cause: DittoError,
  { topic, partition }: LaneTarget,
  record: KafkaRecord,
  bytes: number,
): DittoError {
  const id = record.headers['ditto.id'];
  const key = record.key?.toString().slice(0, 200) ?? null;
  const message = `the message of ${id ?? 'a change'} with key ${key ?? 'null'}, about ${bytes} bytes,`;
  const context = { topic, partition, key, bytes, id };
  if (cause.code !== KAFKA_ERROR_CODES.tooLarge)
    return new DittoError(cause.code, `${message} is refused by topic ${topic}: ${cause.message}`, {
      remedy: `Change what topic ${topic} refuses of the message, or the value in the row, then restart the source. Where that can't be: exclude the table, or resync the source; a restart alone meets the refused version in the log again.`,
      context,
      cause,
    });
  return new DittoError(cause.code, `${message} is larger than topic ${topic} takes`, {
    remedy: `Raise max.message.bytes of topic ${topic} above ${bytes} (and message.max.bytes, replica.fetch.max.bytes of the brokers), then restart the source. Where that can't be: make the row smaller, then resync; a restart alone meets the large version in the log again.`,
    context,
    cause,
  });
}

/** A field of a key as `writeKey` of the row images writes it: its name, then its value. */
const FIELD = /"(?:[^"\\]|\\.)*":("(?:[^"\\]|\\.)*"|[^,}]+)/g;

/** Which change of a row of the table a record is of. */
export function describeRefused(layout: TableLayout, key: string, { headers }: KafkaRecord): RefusedChange {
  const { database, table } = layout;
  const values = [...key.matchAll(FIELD)].map(([, value = ''], i) => {
    const column = layout.columns[layout.key[i] ?? -1];
    return column?.kind === 'bigint' ? encodeBigint(value) : value;
  });
  return {
    table: { database, table },
    key: `[${values.join(',')}]`,
    id: headers['ditto.id'] ?? '',
    version: headers['ditto.version'] ?? '',
  };
}

/** Digits of any length, in quotes or not, as `encodeKeyValues` writes them. */
function encodeBigint(text: string): string {
  const digits = text.replaceAll('"', '');
  return Number.isSafeInteger(Number(digits)) ? digits : `"${digits}"`;
}
