import { isVersion, joinTexts, parseMessage, type ValueText, wrong } from './canonical-text.ts';
import type { OracleTable } from './column.ts';
import type { TopicMessage } from './topic-messages.ts';
import { readMessageValue } from './value-text.ts';

/** What one message says about its row. */
export interface ChangeMessage {
  /** Null for a message about the whole table. */
  readonly key: string | null;
  /** Null when the message has no valid `ditto.version`. */
  readonly version: string | null;
  readonly says: 'row' | 'deleted' | 'tombstone' | 'truncated';
  /** For `row`: its values. */
  readonly texts: readonly ValueText[] | null;
}

type Fields = Readonly<Record<string, unknown>>;

/** Never throws: what can't be read becomes a row that equals none. */
export function readChangeMessage(table: OracleTable, message: TopicMessage): ChangeMessage {
  const version = readVersion(message);
  // a compacted topic takes no message without a key: one about the whole table has JSON's null for it
  const { key: bytes } = message;
  const key = bytes === null || bytes.toString('latin1') === 'null' ? null : readKey(table, bytes);
  if (message.value === null) return { key, version, says: 'tombstone', texts: null };
  const value = parseFields(message.value);
  const op = value?.['op'];
  if (op === 't' && key === null) return { key, version, says: 'truncated', texts: null };
  if (op === 'd' && value?.['after'] === null) return { key, version, says: 'deleted', texts: null };
  const after = value?.['after'];
  const texts =
    (op === 'c' || op === 'u' || op === 'r') && typeof after === 'object' && after !== null
      ? readRow(table, after as Fields)
      : [wrong('no change message', message.value.toString('utf8'))];
  return { key: key ?? wrong('no key', String(message.offset)), version, says: 'row', texts };
}

function readRow({ columns }: OracleTable, after: Fields): ValueText[] {
  const texts = columns.map((column) => readMessageValue(column, after[column.name]));
  const names = Object.keys(after);
  if (names.length > columns.length) texts.push(wrong('fields that are no columns', names));
  return texts;
}

function readKey({ columns, key }: OracleTable, bytes: Buffer): string {
  const fields = parseFields(bytes);
  const keyColumns = key.flatMap((index) => columns[index] ?? []);
  if (fields === null || Object.keys(fields).join('\0') !== keyColumns.map(({ name }) => name).join('\0'))
    return wrong('no key', bytes.toString('utf8'));
  return joinTexts(keyColumns.map((column) => readMessageValue(column, fields[column.name])));
}

function parseFields(bytes: Buffer): Fields | null {
  try {
    const parsed = parseMessage(bytes.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Fields) : null;
  } catch {
    return null; // not JSON: the caller describes the message as wrong
  }
}

function readVersion({ headers }: TopicMessage): string | null {
  for (const [name, value] of headers)
    if (name?.toString('latin1') === 'ditto.version') {
      const version = value?.toString('latin1');
      return isVersion(version) ? version : null;
    }
  return null;
}
