import { DittoError, RESYNC, RESYNC_FIRST } from '#kernel';
import { RAISE_GTID_MODE } from '../gtid-mode.ts';

/** Where in the log a stop happened. */
export interface LogPlace {
  readonly file: string;
  /** Just after the event that was being read. */
  readonly offset: number;
  readonly gtid: string | null;
}

interface Stop {
  readonly message: string;
  readonly remedy: string;
}

/** Everything in a log that this reader refuses rather than deliver less than what was committed. */
const STOPS = {
  DITTO_SOURCE_INCIDENT: {
    message: 'the server recorded an incident: changes are missing from its log',
    remedy: `${RESYNC_FIRST}.`,
  },
  DITTO_SOURCE_ANONYMOUS_TRANSACTION: {
    message: 'the log holds a transaction without a GTID',
    remedy: `${RAISE_GTID_MODE} then ${RESYNC}.`,
  },
  DITTO_SOURCE_PLACE_INVALID: {
    message: 'no transaction begins at the place where the stream was to start',
    remedy:
      'Start where a stream of this server ended a transaction, or where SHOW BINARY LOG STATUS says that its log ends. If that is the place, the log was reset or the server restored from a backup: copy all its rows again.',
  },
  DITTO_SOURCE_XA_UNKNOWN: {
    message: 'an XA transaction was committed whose changes lie before the start of the stream',
    remedy: `${RESYNC_FIRST}.`,
  },
  DITTO_SOURCE_ROW_TOO_LARGE: {
    message: 'a row is larger than any sink could take',
    remedy: `Exclude its large column (excludeColumns) or the table and restart DSS; or make the row smaller, then ${RESYNC}.`,
  },
  DITTO_SOURCE_ROLLED_BACK_ROWS: {
    message: 'rows of included tables were rolled back after they had been read from the log',
    remedy: `${RESYNC_FIRST}. So that it does not happen again: no temporary tables, and no tables without transactions, in large transactions that are rolled back.`,
  },
  DITTO_SOURCE_STATEMENT_EVENT: {
    message: 'rows were changed by a statement, not by row events',
    remedy: `SET PERSIST binlog_format = ROW; end the sessions that set it otherwise, then ${RESYNC}.`,
  },
  DITTO_SOURCE_CHECKSUM_MISMATCH: {
    message: 'an event does not match its checksum',
    remedy: 'Check the log on the server with mysqlbinlog --verify-binlog-checksum.',
  },
  DITTO_SOURCE_EVENT_UNKNOWN: {
    message: 'the log holds an event that may change rows and that this version does not know',
    remedy: `Upgrade Ditto to a version that knows the server, or end what writes such events; then ${RESYNC}.`,
  },
  DITTO_SOURCE_EVENT_MALFORMED: {
    message: 'an event can not be read',
    remedy: 'Check the log on the server with mysqlbinlog --verify-binlog-checksum.',
  },
} as const satisfies Readonly<Record<string, Stop>>;

export type StopCode = keyof typeof STOPS;

/** A stop that starting again from the checkpoint does not heal. */
export function makeStop(code: StopCode, place: LogPlace, detail?: string, cause?: unknown): DittoError {
  const stop: Stop = STOPS[code];
  const at = `${place.file}:${place.offset}${place.gtid === null ? '' : `, GTID ${place.gtid}`}`;
  return new DittoError(code, `${stop.message}${detail === undefined ? '' : `: ${detail}`} (${at})`, {
    remedy: stop.remedy,
    context: { ...place },
    cause,
  });
}

/** The same error with the place added, for errors of decoders that don't know it. */
export function withPlace(error: unknown, place: LogPlace): DittoError {
  if (!(error instanceof DittoError)) {
    return makeStop(
      'DITTO_SOURCE_EVENT_MALFORMED',
      place,
      error instanceof Error ? error.message : String(error),
      error,
    );
  }
  if ('file' in error.context) return error;
  const at = `${place.file}:${place.offset}${place.gtid === null ? '' : `, GTID ${place.gtid}`}`;
  return new DittoError(error.code, `${error.message} (${at})`, {
    retriable: error.retriable,
    ...(error.remedy === null ? {} : { remedy: error.remedy }),
    context: { ...error.context, ...place },
    cause: error.cause,
  });
}
