import { type RowDataPacket } from 'mysql2';
import { type MySqlSession } from '../mysql-session.ts';
import { tryQuery } from '../optional-query.ts';
import { PolledSession, type PolledSessionOptions } from './polled-session.ts';
import { readServerIdentity } from './server-identity.ts';

/** What a server keeps of its log, and for how long. */
export interface LogRetention {
  readonly serverUuid: string;
  readonly gtidExecuted: string;
  /** Files are removed when they are older; null where age removes none. */
  readonly keptForMs: number | null;
  /** The oldest files are removed while all are larger together; null where size removes none. */
  readonly keptBytes: number | null;
  /** Oldest first. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** By the server's clock, milliseconds since 1970. */
  readonly atMs: number;
}

interface NamedRow extends RowDataPacket {
  readonly Variable_name: string;
  readonly Value: string;
}
interface ClockRow extends RowDataPacket {
  readonly micros: string | number;
}

const DAY_MS = 86_400_000;
/** Percona's and MariaDB's, and the name that MariaDB had for it first. */
const SPACE_LIMITS = ['binlog_space_limit', 'max_binlog_total_size'] as const;

/** Asks one server again and again what it keeps of its log. */
export class LogRetentionProbe {
  readonly #session: PolledSession;

  constructor(options: PolledSessionOptions) {
    this.#session = new PolledSession(options);
  }

  /** Null for a user who may not list the files. Rejects as `PolledSession.ask` does. */
  read(): Promise<LogRetention | null> {
    return this.#session.ask(readRetention);
  }

  close(): void {
    this.#session.close();
  }
}

async function readRetention(session: MySqlSession): Promise<LogRetention | null> {
  const listed = await tryQuery(session, ['SHOW BINARY LOGS']);
  if (listed === null) return null;
  const rows = await session.query<NamedRow>(
    "SHOW GLOBAL VARIABLES WHERE Variable_name LIKE '%expire_logs%' OR Variable_name IN ('binlog_space_limit', 'max_binlog_total_size')",
  );
  const variables = new Map(rows.map(({ Variable_name: name, Value: value }) => [name.toLowerCase(), value]));
  const [clock] = await session.query<ClockRow>(
    'SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED) AS micros',
  );
  const { serverUuid, gtidExecuted } = await readServerIdentity(session);
  const limits = SPACE_LIMITS.map((name) => Number(variables.get(name) ?? 0)).filter((bytes) => bytes > 0);
  return {
    serverUuid,
    gtidExecuted,
    keptForMs: findAge(variables),
    keptBytes: limits.length === 0 ? null : Math.min(...limits),
    files: listed.map((row) => ({ name: String(row['Log_name']), bytes: Number(row['File_size'] ?? 0) })),
    atMs: Number(clock?.micros ?? 0) / 1000,
  };
}

/** MySQL before 8.0 and MariaDB before 10.6 know days only; MariaDB since then keeps the two equal. */
function findAge(variables: ReadonlyMap<string, string>): number | null {
  if (variables.get('binlog_expire_logs_auto_purge') === 'OFF') return null;
  const seconds = Number(variables.get('binlog_expire_logs_seconds') ?? 0);
  const days = Number(variables.get('expire_logs_days') ?? 0);
  const ageMs = seconds > 0 ? seconds * 1000 : days * DAY_MS;
  return ageMs > 0 ? ageMs : null;
}
