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

type ParseWithSource = (
  text: string,
  revive: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
) => Readonly<Record<string, unknown>>;

/** Which change of a row of the table a record is of. */
export function describeRefused(layout: TableLayout, key: string, { headers }: KafkaRecord): RefusedChange {
  const { database, table } = layout;
  const columns = layout.key.flatMap((index) => layout.columns[index] ?? []);
  const bigints = new Set(columns.filter(({ kind }) => kind === 'bigint').map(({ name }) => name));
  // all digits of a BIGINT, which a number of JavaScript may not hold
  const fields = (JSON.parse as ParseWithSource)(key, (name, value, { source }) =>
    typeof value === 'number' && bigints.has(name) ? source : value,
  );
  const values = columns.map(({ name }) =>
    bigints.has(name) ? encodeBigint(String(fields[name])) : JSON.stringify(fields[name]),
  );
  return {
    table: { database, table },
    key: `[${values.join(',')}]`,
    id: headers['ditto.id'] ?? '',
    version: headers['ditto.version'] ?? '',
  };
}

/** As `encodeKeyValues` writes them. */
function encodeBigint(digits: string): string {
  return Number.isSafeInteger(Number(digits)) ? digits : `"${digits}"`;
}
