import {
  BUSY,
  DENIED,
  type ErrorClass,
  LAYOUT_CHANGED,
  LOST,
  TLS_FAILED,
  UNREACHABLE,
  withRemedy,
} from './error-class.ts';

const OFFLINE = withRemedy(UNREACHABLE, 'SET GLOBAL offline_mode = OFF; Ditto continues by itself then.');
const STARTING = withRemedy(UNREACHABLE, 'None needed: Ditto continues when the server is ready.');
const CONNECTIONS = withRemedy(
  BUSY,
  'Raise max_connections, or the limits of the user (ALTER USER … WITH MAX_USER_CONNECTIONS 0 MAX_QUERIES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0); Ditto continues by itself then.',
);
const TIME_LIMIT = withRemedy(
  BUSY,
  'Find out what ends the statements of this user after a time (Ditto sets no limit for them): a proxy, or a tool that kills long statements.',
);
const RESOURCES = withRemedy(BUSY, 'The server lacks memory, threads or room on its disks; Ditto continues by itself.');
const EXPIRED = withRemedy(
  DENIED,
  "ALTER USER … IDENTIFIED BY '…'; (with PASSWORD EXPIRE NEVER, or it expires again), give the password to Ditto, then restart the source.",
);
const LOCKED = withRemedy(DENIED, 'ALTER USER … ACCOUNT UNLOCK; then restart the source.');
const BLOCKED_USER = withRemedy(DENIED, 'FLUSH PRIVILEGES; check the password of the source, then restart it.');
const HOST = withRemedy(
  DENIED,
  "CREATE USER '…'@'<host of this service>' … with the grants that `check` names; then restart the source.",
);
const BLOCKED_HOST = withRemedy(
  DENIED,
  'TRUNCATE TABLE performance_schema.host_cache; (or mysqladmin flush-hosts), find out whose connections fail, then restart the source.',
);
const PLUGIN = withRemedy(
  DENIED,
  "ALTER USER … IDENTIFIED WITH caching_sha2_password BY '…'; (MariaDB: VIA mysql_native_password USING PASSWORD('…')), then restart the source.",
);
const TLS_NEEDED = withRemedy(TLS_FAILED, 'Set `tls` for the endpoint: the server takes encrypted connections only.');
const INIT_CONNECT = withRemedy(
  LOST,
  'Look at init_connect: a statement of it may fail for this user. The reason is in the error log of the server.',
);
const PACKET: ErrorClass = {
  code: 'DITTO_SOURCE_EVENT_TOO_LARGE',
  retriable: false,
  remedy: 'SET PERSIST max_allowed_packet = 1073741824; then restart the source.',
};

/**
 * By number, the same on MySQL and MariaDB unless a comment says otherwise. All that the manuals name for connecting and
 * for the end of a connection or a statement; what is not here has a class by its SQL state.
 */
const CLASSES: readonly (readonly [ErrorClass, readonly number[]])[] = [
  [OFFLINE, [3032]],
  // ER_SERVER_ISNT_AVAILABLE; of a node of a group that can't serve reads now
  [STARTING, [3168, 3781, 3782, 3783, 3796, 3797, 3798, 3799]],
  // ER_BAD_HOST_ERROR: the server could not look up this host's name
  [UNREACHABLE, [1042]],
  // 1040, 1203, 1226 and MySQL's limits on the memory of connections
  [CONNECTIONS, [1040, 1203, 1226, 4081, 4082]],
  [BUSY, [1205, 1206, 1213, 1613, 1614, 1689, 3058, 3572]],
  // MySQL's ER_QUERY_TIMEOUT, MariaDB's ER_STATEMENT_TIMEOUT
  [TIME_LIMIT, [3024, 1969]],
  [RESOURCES, [1021, 1037, 1038, 1041, 1114, 1135, 3015, 3170, 3675, 3985]],
  // ER_QUERY_INTERRUPTED, MariaDB's ER_CONNECTION_KILLED, shutdowns, the network
  [LOST, [1317, 1927, 1043, 1053, 1077, 1079, 1080, 1152, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1189, 1190]],
  [LOST, [3169, 4031]],
  [INIT_CONNECT, [1184]],
  [DENIED, [1044, 1045, 1142, 1143, 1227, 1370, 1698, 1873]],
  [EXPIRED, [1820, 1862]],
  // 4151 is MariaDB's
  [LOCKED, [3118, 3955, 4151]],
  // MariaDB's
  [BLOCKED_USER, [4150]],
  [HOST, [1130]],
  [BLOCKED_HOST, [1129]],
  [PLUGIN, [1251, 1275, 1524]],
  [TLS_NEEDED, [3159]],
  [PACKET, [1153]],
  [LAYOUT_CHANGED, [1049, 1054, 1146, 1412, 1814]],
  [{ code: 'DITTO_POSITION_GTID_INVALID', retriable: false }, [1772]],
];

const BY_NUMBER: ReadonlyMap<number, ErrorClass> = new Map(
  CLASSES.flatMap(([errorClass, numbers]) => numbers.map((number) => [number, errorClass] as const)),
);

/** By the first two characters of the SQL state: connection, authorization, rollback, interruption. */
const BY_SQL_STATE: Readonly<Record<string, ErrorClass>> = { '08': LOST, '28': DENIED, '40': BUSY, '70': LOST };

const ER_UNKNOWN_COM_ERROR = 1047;

/** Undefined when nothing is known of such an error. */
export function classifyServerError(number: number, sqlState: string, message: string): ErrorClass | undefined {
  // a Galera node that is not yet, or no longer, part of its cluster
  if (number === ER_UNKNOWN_COM_ERROR && message.includes('WSREP')) return STARTING;
  return BY_NUMBER.get(number) ?? BY_SQL_STATE[sqlState.slice(0, 2)];
}
