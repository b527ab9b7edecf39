import { RESYNC, RESYNC_FIRST } from '#kernel';
import { RAISE_GTID_MODE } from '../gtid-mode.ts';
import { type ErrorClass } from './error-class.ts';

/**
 * Error 1236 carries its reason in the text only (MySQL source, `sql/rpl_binlog_sender.cc`; MariaDB's, `sql/sql_repl.cc`).
 * A server checks its `gtid_mode` against each transaction that it is about to send (`check_event_type`).
 */
const DUMP_ERRORS: readonly (readonly [text: RegExp, errorClass: ErrorClass])[] = [
  [
    /purged (?:required )?binary logs|missing transactions|Could not find first log file|GTID state requested by slave/i,
    {
      code: 'DITTO_SOURCE_PURGED',
      retriable: false,
      remedy: `${RESYNC_FIRST}.`,
    },
  ],
  [
    /has more GTIDs than the (?:source|master)|more GTIDs|not in the master's binlog|is missing the GTID/i,
    {
      code: 'DITTO_SOURCE_GTIDS_MISSING',
      retriable: false,
      remedy: `Connect to a server of the cluster that has these transactions, or ${RESYNC}.`,
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
      remedy: `${RAISE_GTID_MODE} then ${RESYNC}.`,
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

const LOG_UNREADABLE: ErrorClass = {
  code: 'DITTO_SOURCE_LOG_UNREADABLE',
  retriable: false,
  remedy: 'See the error log of the server.',
};

/** What a server says about a dump that it can't begin or continue. */
export function classifyDumpError(message: string): ErrorClass {
  return DUMP_ERRORS.find(([text]) => text.test(message))?.[1] ?? LOG_UNREADABLE;
}
