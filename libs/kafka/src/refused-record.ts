import { formatTableName, type TableLayout } from '#change-events';
import { DittoError } from '#kernel';
import { type RefusedChange, showPayload } from '#replication';

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
      remedy: `Change what topic ${topic} refuses of the message, or the value in the row: the row is read again and tried by itself (GET /failed-events of DWS). Where the source has stopped, restart it. Where that can't be: exclude the table, or resync the source; a restart alone meets the refused version in the log again.`,
      context,
      cause,
    });
  return new DittoError(cause.code, `${message} is larger than topic ${topic} takes`, {
    remedy: `Raise max.message.bytes of topic ${topic} above ${bytes} (and message.max.bytes, replica.fetch.max.bytes of the brokers), or make the row smaller: it is read again and tried by itself (GET /failed-events of DWS). Where the source has stopped, restart it after the topic was changed, or resync it after the row was: a restart alone meets the large version in the log again.`,
    context,
    cause,
  });
}

type ParseWithSource = (
  text: string,
  revive: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
) => Readonly<Record<string, unknown>>;

/** Which change of a row of the table a record is of. */
export function describeRefused(layout: TableLayout, key: string, { headers, value }: KafkaRecord): RefusedChange {
  const { database, table } = layout;
  const bytes = value === null ? null : Buffer.from(value);
  return {
    table: { database, table },
    key: readKeyValues(layout, key),
    id: headers['ditto.id'] ?? '',
    version: headers['ditto.version'] ?? '',
    ...readPlace(bytes),
    payload: bytes && showPayload(bytes),
  };
}

const SOURCE = Buffer.from('"source":{');

/** A quote in a value is escaped, and no value but the envelope's own is an object of this name. */
function readPlace(value: Buffer | null): Pick<RefusedChange, 'gtid' | 'file' | 'offset'> {
  const at = value?.lastIndexOf(SOURCE) ?? -1;
  if (value === null || at < 0) return { gtid: null, file: '', offset: 0 };
  const { source } = JSON.parse(`{${value.toString('utf8', at)}`) as {
    readonly source: { readonly gtid: string | null; readonly file: string; readonly pos: number };
  };
  return { gtid: source.gtid, file: source.file, offset: source.pos };
}

/** The key of a message, as `encodeKeyValues` writes it. Throws when the message has not the key of the layout. */
export function readKeyValues(layout: TableLayout, key: string): string {
  const columns = layout.key.flatMap((index) => layout.columns[index] ?? []);
  const bigints = new Set(columns.filter(({ kind }) => kind === 'bigint').map(({ name }) => name));
  // all digits of a BIGINT, which a number of JavaScript may not hold
  const fields = (JSON.parse as ParseWithSource)(key, (name, value, { source }) =>
    typeof value === 'number' && bigints.has(name) ? source : value,
  );
  const names = Object.keys(fields);
  // rows that are taken for one another would all be held back with the first
  if (
    columns.length === 0 ||
    names.length !== columns.length ||
    columns.some(({ name }) => !Object.hasOwn(fields, name))
  )
    throw new RangeError(
      `a message of ${formatTableName(layout)} has the key ${names.join(', ')}, the table ${columns.map(({ name }) => name).join(', ')}`,
    );
  const values = columns.map(({ name }) =>
    bigints.has(name) ? encodeBigint(String(fields[name])) : JSON.stringify(fields[name]),
  );
  return `[${values.join(',')}]`;
}

/** As `encodeKeyValues` writes them. */
function encodeBigint(digits: string): string {
  return Number.isSafeInteger(Number(digits)) ? digits : `"${digits}"`;
}
