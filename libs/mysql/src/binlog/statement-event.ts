import { type SqlMode } from '#change-events';
import { type EventBytes } from './event-header.ts';
import { type StatementDecoder } from './statement-decoder.ts';
import { readStatementSettings } from './statement-settings.ts';

export interface StatementEvent {
  /** The default database of the session. */
  readonly database: string;
  readonly sql: string;
  readonly sqlMode: SqlMode;
}

/** Where the text of a QUERY_EVENT begins. */
export function findStatementText({ bytes, body }: EventBytes): number {
  return body + 13 + bytes.readUInt16LE(body + 11) + bytes.readUInt8(body + 8) + 1;
}

/**
 * QUERY_EVENT: thread 4, time 4, length of the database's name 1, error code 2, length of the status variables 2, those
 * variables, the name, a zero byte, the text.
 */
export function parseQueryEvent(event: EventBytes, decoder: StatementDecoder): StatementEvent {
  return parseStatement(event, event.body + 13, decoder);
}

/** EXECUTE_LOAD_QUERY_EVENT: as a QUERY_EVENT, with 13 more bytes (file, positions, duplicate handling) before the variables. */
export function parseExecuteLoadQueryEvent(event: EventBytes, decoder: StatementDecoder): StatementEvent {
  return parseStatement(event, event.body + 26, decoder);
}

const BEGIN = Buffer.from('BEGIN');

/** Whether a QUERY_EVENT is the one that most transactions begin with; makes no text of it. */
export function isBegin(event: EventBytes): boolean {
  const { bytes, end } = event;
  const sql = end - BEGIN.length;
  if (findStatementText(event) !== sql) return false;
  for (let i = 0; i < BEGIN.length; i++) if (bytes[sql + i] !== BEGIN[i]) return false;
  return true;
}

/** The name is in UTF-8, the text in the character set of the client. */
function parseStatement(
  { bytes, body, end }: EventBytes,
  variables: number,
  decoder: StatementDecoder,
): StatementEvent {
  const databaseLength = bytes.readUInt8(body + 8);
  const database = variables + bytes.readUInt16LE(body + 11);
  const sql = database + databaseLength + 1;
  if (sql > end) throw new RangeError('a statement event is cut off');
  const { sqlMode, clientCollation } = readStatementSettings(bytes, variables, database);
  return {
    database: bytes.toString('utf8', database, database + databaseLength),
    sql: decoder.decode(clientCollation, bytes, sql, end),
    sqlMode,
  };
}
