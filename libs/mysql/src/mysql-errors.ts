import { DittoError, isAbort } from '#kernel';
import { RAISE_GTID_MODE } from './gtid-mode.ts';

/** What a server's or a driver's error means for Ditto. */
interface Classification {
  readonly code: string;
  readonly retriable: boolean;
  readonly remedy?: string;
}

const UNREACHABLE: Classification = { code: 'DITTO_SOURCE_UNREACHABLE', retriable: true };
const LOST: Classification = { code: 'DITTO_SOURCE_CONNECTION_LOST', retriable: true };
const DENIED: Classification = {
  code: 'DITTO_SOURCE_ACCESS_DENIED',
  retriable: false,
  remedy: 'Check the user and password of the source, and the grants that `check` names.',
};
const BUSY: Classification = { code: 'DITTO_SOURCE_BUSY', retriable: true };
const TLS: Classification = {
  code: 'DITTO_SOURCE_TLS_FAILED',
  retriable: false,
  remedy: 'Check the certificate authority and the host name configured for the source.',
};

/** By mysql2's and Node's error codes, and by MySQL's symbolic names. */
const BY_CODE: Readonly<Record<string, Classification>> = {
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ENOTFOUND: { code: 'DITTO_SOURCE_UNKNOWN_HOST', retriable: true, remedy: 'Check the host name of the source.' },
  EAI_AGAIN: { code: 'DITTO_SOURCE_UNKNOWN_HOST', retriable: true, remedy: 'Check the host name of the source.' },
  ETIMEDOUT: UNREACHABLE,
  ECONNRESET: LOST,
  EPIPE: LOST,
  PROTOCOL_CONNECTION_LOST: LOST,
  PROTOCOL_SEQUENCE_TIMEOUT: LOST,
  HANDSHAKE_NO_SSL_SUPPORT: TLS,
  HANDSHAKE_SSL_ERROR: TLS,
  SELF_SIGNED_CERT_IN_CHAIN: TLS,
  DEPTH_ZERO_SELF_SIGNED_CERT: TLS,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: TLS,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: TLS,
  CERT_HAS_EXPIRED: TLS,
  ERR_TLS_CERT_ALTNAME_INVALID: TLS,
  ER_ACCESS_DENIED_ERROR: DENIED,
  ER_DBACCESS_DENIED_ERROR: DENIED,
  ER_TABLEACCESS_DENIED_ERROR: DENIED,
  ER_COLUMNACCESS_DENIED_ERROR: DENIED,
  ER_SPECIFIC_ACCESS_DENIED_ERROR: DENIED,
  ER_HOST_NOT_PRIVILEGED: DENIED,
  ER_ACCOUNT_HAS_BEEN_LOCKED: DENIED,
  ER_MUST_CHANGE_PASSWORD: DENIED,
  ER_CON_COUNT_ERROR: BUSY,
  ER_USER_LIMIT_REACHED: BUSY,
  ER_TOO_MANY_USER_CONNECTIONS: BUSY,
  ER_LOCK_WAIT_TIMEOUT: BUSY,
  ER_LOCK_DEADLOCK: BUSY,
  ER_QUERY_TIMEOUT: BUSY,
  ER_QUERY_INTERRUPTED: LOST,
  ER_NET_READ_ERROR: LOST,
  ER_NET_READ_INTERRUPTED: LOST,
  ER_NET_ERROR_ON_WRITE: LOST,
  ER_NET_WRITE_INTERRUPTED: LOST,
  ER_NET_PACKETS_OUT_OF_ORDER: LOST,
  ER_SERVER_SHUTDOWN: LOST,
  ER_NORMAL_SHUTDOWN: LOST,
  ER_CLIENT_INTERACTION_TIMEOUT: LOST,
  ER_NO_SUCH_TABLE: { code: 'DITTO_SOURCE_LAYOUT_CHANGED', retriable: true },
  ER_BAD_FIELD_ERROR: { code: 'DITTO_SOURCE_LAYOUT_CHANGED', retriable: true },
  ER_BAD_DB_ERROR: { code: 'DITTO_SOURCE_LAYOUT_CHANGED', retriable: true },
  ER_TABLESPACE_DISCARDED: { code: 'DITTO_SOURCE_LAYOUT_CHANGED', retriable: true },
  ER_TABLE_DEF_CHANGED: { code: 'DITTO_SOURCE_LAYOUT_CHANGED', retriable: true },
  ER_MALFORMED_GTID_SET_SPECIFICATION: { code: 'DITTO_POSITION_GTID_INVALID', retriable: false },
};

/** By number, for errors that come in a dump: they are not read by the driver, which knows the names. */
const BY_NUMBER: ReadonlyMap<number, Classification> = new Map([
  [1045, DENIED],
  [1053, LOST],
  [1158, LOST],
  [1159, LOST],
  [1160, LOST],
  [1161, LOST],
  [1227, DENIED],
  [1317, LOST],
  [3169, LOST],
  [4031, LOST],
]);

const ER_SOURCE_FATAL_ERROR_READING_BINLOG = 1236;
/** MariaDB's; the number means something else on MySQL. */
const ER_SLAVE_SAME_ID = 4052;

const RESYNC = 'resync the source (npm run ditto -- resync --source <name>).';

/**
 * Error 1236 carries its reason in the text only (MySQL source, `sql/rpl_binlog_sender.cc`; MariaDB's, `sql/sql_repl.cc`).
 * A server checks its `gtid_mode` against each transaction that it is about to send (`check_event_type`).
 */
const DUMP_ERRORS: readonly (readonly [text: RegExp, classification: Classification])[] = [
  [
    /purged (?:required )?binary logs|missing transactions|Could not find first log file|GTID state requested by slave/i,
    {
      code: 'DITTO_SOURCE_PURGED',
      retriable: false,
      remedy: 'Resync the source (npm run ditto -- resync --source <name>).',
    },
  ],
  [
    /has more GTIDs than the (?:source|master)|more GTIDs|not in the master's binlog|is missing the GTID/i,
    {
      code: 'DITTO_SOURCE_GTIDS_MISSING',
      retriable: false,
      remedy: `Connect to a server of the cluster that has these transactions, or ${RESYNC}`,
    },
  ],
  [
    /same server_(?:uuid|id)/i,
    {
      code: 'DITTO_SOURCE_REPLICA_ID_TAKEN',
      retriable: false,
      remedy:
        'Find the other reader in SHOW REPLICAS, end it or give it a serverId of its own, and restart the source.',
    },
  ],
  [
    /position > file size|position < 4/i,
    {
      code: 'DITTO_SOURCE_PLACE_INVALID',
      retriable: false,
      remedy:
        'Start where a stream of this server ended a transaction, or where SHOW BINARY LOG STATUS says that its log ends.',
    },
  ],
  [
    /anonymous transaction when AUTO_POSITION/i,
    {
      code: 'DITTO_SOURCE_ANONYMOUS_TRANSACTION',
      retriable: false,
      remedy: `${RAISE_GTID_MODE} then ${RESYNC}`,
    },
  ],
  [
    /anonymous transaction when @@GLOBAL\.GTID_MODE/i,
    {
      code: 'DITTO_SOURCE_ANONYMOUS_TRANSACTION',
      retriable: false,
      remedy:
        'SET PERSIST gtid_mode = ON_PERMISSIVE; and ON again when the stream has passed the transactions without a GTID.',
    },
  ],
  [
    /GTID-transaction when @@GLOBAL\.GTID_MODE/i,
    {
      code: 'DITTO_SOURCE_GTID_MODE',
      retriable: false,
      remedy:
        'SET PERSIST gtid_mode = OFF_PERMISSIVE; and OFF again when the stream has passed the transactions with a GTID.',
    },
  ],
  [
    /start in AUTO_POSITION mode|Request to dump GTID/i,
    { code: 'DITTO_SOURCE_GTID_MODE', retriable: false, remedy: RAISE_GTID_MODE },
  ],
  [
    /max_allowed_packet/i,
    {
      code: 'DITTO_SOURCE_EVENT_TOO_LARGE',
      retriable: false,
      remedy: 'SET PERSIST max_allowed_packet = 1073741824;',
    },
  ],
];

const LOG_UNREADABLE: Classification = {
  code: 'DITTO_SOURCE_LOG_UNREADABLE',
  retriable: false,
  remedy: 'See the error log of the server.',
};

function classifyDumpError(message: string): Classification {
  return DUMP_ERRORS.find(([text]) => text.test(message))?.[1] ?? LOG_UNREADABLE;
}

interface DriverError {
  readonly message: string;
  readonly code?: string;
  readonly errno?: number;
  readonly fatal?: boolean;
}

/** By shape: an error of Node's core may come from another realm than this module's `Error`. */
function isDriverError(error: unknown): error is DriverError {
  return (
    typeof error === 'object' && error !== null && typeof (error as { readonly message?: unknown }).message === 'string'
  );
}

function classify(error: DriverError): Classification {
  const isTaken = error.errno === ER_SLAVE_SAME_ID && error.message.includes('same server_');
  if (error.errno === ER_SOURCE_FATAL_ERROR_READING_BINLOG || isTaken) return classifyDumpError(error.message);
  const known = error.code === undefined ? BY_NUMBER.get(error.errno ?? 0) : BY_CODE[error.code];
  if (known !== undefined) return known;
  if (/closed state|connection is closed|Connection lost/i.test(error.message)) return LOST;
  return { code: 'DITTO_SOURCE_QUERY_FAILED', retriable: error.fatal === true };
}

/** The one place where errors of MySQL and its driver become Ditto's. Aborts and coded errors pass unchanged. */
export function toSourceError(error: unknown, doing: string): Error {
  if (error instanceof DittoError) return error;
  if (isAbort(error)) return error as Error;
  if (!isDriverError(error)) return new DittoError('DITTO_SOURCE_QUERY_FAILED', `${doing}: ${String(error)}`);
  const { code, retriable, remedy } = classify(error);
  return new DittoError(code, `${doing}: ${error.message}`, {
    retriable,
    ...(remedy === undefined ? {} : { remedy }),
    context: { vendorCode: error.code ?? null, vendorNumber: error.errno ?? null },
    cause: error,
  });
}
