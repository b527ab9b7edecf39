import { type RowDataPacket } from 'mysql2';
import { type MySqlSession } from '../mysql-session.ts';
import { tryQuery } from '../optional-query.ts';
import { type ServerKind } from '../server-kind.ts';

/** Which server this is, and what its log holds. */
export interface ServerIdentity {
  readonly kind: ServerKind;
  /**
   * `server_uuid`. MariaDB has none: `mariadb-<server_id>-<server_uid>`, the second a hash of the host's network address
   * and the port (before MariaDB 10.10 the host's name and the port). It stays the same over restarts, and
   * distinguishes servers of unlike clusters apart although their server ids may be equal.
   */
  readonly serverUuid: string;
  readonly version: string;
  /** GTID sets without white space. On MariaDB what is in its log (`gtid_binlog_pos`), its part that is purged. */
  readonly gtidExecuted: string;
  readonly gtidPurged: string;
  /** MariaDB: `gtid_binlog_state`, the newest GTID of each server in each domain; '' on MySQL. */
  readonly gtidState: string;
  readonly readOnly: boolean;
  readonly superReadOnly: boolean;
}

interface MySqlRow extends RowDataPacket {
  readonly uuid: string;
  readonly executed: string;
  readonly purged: string;
  readonly readOnly: number;
  readonly superReadOnly: number;
}
interface MariaDbRow extends RowDataPacket {
  readonly serverId: number;
  readonly place: string;
  readonly executed: string;
  readonly state: string;
  readonly readOnly: number;
}
interface LogRow extends RowDataPacket {
  readonly Log_name: string;
}
interface ValueRow extends RowDataPacket {
  readonly Value: string;
}
interface PositionRow extends RowDataPacket {
  readonly value: string | null;
}

export function withoutSpace(text: string | undefined): string {
  return (text ?? '').replace(/\s/g, '');
}

export function readServerIdentity(session: MySqlSession): Promise<ServerIdentity> {
  return session.kind === 'mariadb' ? readMariaDb(session) : readMySql(session);
}

async function readMySql(session: MySqlSession): Promise<ServerIdentity> {
  const [row] = await session.query<MySqlRow>(
    `SELECT @@GLOBAL.server_uuid AS uuid, @@GLOBAL.gtid_executed AS executed, @@GLOBAL.gtid_purged AS purged,
            @@GLOBAL.read_only AS readOnly, @@GLOBAL.super_read_only AS superReadOnly`,
  );
  return {
    kind: 'mysql',
    serverUuid: row?.uuid ?? '',
    version: session.version,
    gtidExecuted: withoutSpace(row?.executed),
    gtidPurged: withoutSpace(row?.purged),
    gtidState: '',
    readOnly: row?.readOnly === 1,
    superReadOnly: row?.superReadOnly === 1,
  };
}

async function readMariaDb(session: MySqlSession): Promise<ServerIdentity> {
  const [row] = await session.query<MariaDbRow>(
    `SELECT @@GLOBAL.server_id AS serverId, CONCAT(@@GLOBAL.hostname, ':', @@GLOBAL.port) AS place,
            @@GLOBAL.gtid_binlog_pos AS executed, @@GLOBAL.gtid_binlog_state AS state, @@GLOBAL.read_only AS readOnly`,
  );
  const [uid] = await session.query<ValueRow>("SHOW GLOBAL VARIABLES LIKE 'server_uid'");
  return {
    kind: 'mariadb',
    serverUuid: `mariadb-${row?.serverId ?? 0}-${uid?.Value ?? row?.place ?? ''}`.slice(0, MOST_CHARACTERS),
    version: session.version,
    gtidExecuted: withoutSpace(row?.executed),
    gtidPurged: await readPurged(session),
    gtidState: withoutSpace(row?.state),
    readOnly: row?.readOnly === 1,
    superReadOnly: false,
  };
}

/** What the stores have room for. */
const MOST_CHARACTERS = 64;
/** Files begin with four bytes of magic number. */
const FIRST_OFFSET = 4;

/**
 * The place where the oldest log file begins; the server reads no further than the head of that file for it. Nothing for
 * a user without BINLOG MONITOR, to whom the check reports it: the server itself refuses a dump from a purged place.
 */
async function readPurged(session: MySqlSession): Promise<string> {
  const [oldest] = ((await tryQuery(session, ['SHOW BINARY LOGS'])) ?? []) as LogRow[];
  if (oldest === undefined) return '';
  const [row] = await session.query<PositionRow>('SELECT BINLOG_GTID_POS(?, ?) AS value', [
    oldest.Log_name,
    FIRST_OFFSET,
  ]);
  return withoutSpace(row?.value ?? '');
}
