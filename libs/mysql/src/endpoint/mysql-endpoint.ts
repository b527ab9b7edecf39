import { type RowDataPacket } from 'mysql2';
import { findGtidsBefore, type LogPlace } from '../binlog/gtids-before.ts';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { type ColumnRuleOptions, columnRules } from '../layout/column-choice.ts';
import { MySqlSession } from '../mysql-session.ts';
import { readCharacterSets } from '../values/character-set-facts.ts';
import { readGrants, type Grants } from './grants.ts';
import { readLogStatus } from './log-end.ts';
import { readReplication, type Replication } from './replica-state.ts';
import { readServerIdentity, type ServerIdentity } from './server-identity.ts';
import { inspectTables, type TableInspection } from './table-inspection.ts';

/** What a probe finds of one server. Values that a version of MySQL does not have are null. */
export interface EndpointInspection extends ServerIdentity, Replication {
  readonly gtidMode: string;
  /** The server's clock minus this process's, in milliseconds, half a round trip taken off. */
  readonly clockOffsetMs: number;
  readonly roundTripMs: number;
  readonly settings: ServerSettings;
  /** Where its log ends, which may be after `gtidExecuted`; file '' for a user who may not ask for it. */
  readonly logEnd: { readonly file: string; readonly offset: number };
  /** When this was taken, milliseconds since 1970. */
  readonly inspectedAtMs: number;
}

/** Values of system variables in upper case; '' where the server has none of that name. */
export interface ServerSettings {
  readonly logBin: string;
  readonly binlogFormat: string;
  readonly binlogRowImage: string;
  readonly binlogRowMetadata: string;
  readonly binlogExpireLogsSeconds: number;
  readonly logReplicaUpdates: string;
  readonly enforceGtidConsistency: string;
  /** MariaDB's. */
  readonly gtidStrictMode: string;
  readonly innodbNativeForeignKeys: string;
  /** `1`: the server keeps names of tables and databases in lower case, whatever a statement says. */
  readonly lowerCaseTableNames: string;
  readonly binlogDoDb: string;
  readonly binlogIgnoreDb: string;
}

interface NamedRow extends RowDataPacket {
  readonly Variable_name: string;
  readonly Value: string;
}
interface ClockRow extends RowDataPacket {
  readonly micros: string | number;
}

/** One server of a source, over short-lived connections of its own. Nothing here changes the server. */
export class MySqlEndpoint {
  readonly #connection: MySqlConnectionOptions;

  constructor(connection: MySqlConnectionOptions) {
    this.#connection = connection;
  }

  /** Identity, position, role, clock and settings. Throws coded errors when the server can't be asked. */
  async inspect(signal: AbortSignal): Promise<EndpointInspection> {
    return this.#withSession(signal, async (session) => {
      const clock = await readClock(session);
      const variables = await readVariables(session);
      const identity = await readServerIdentity(session);
      // after the identity: all that is executed lies before the end
      const log = await readLogStatus(session);
      return {
        ...identity,
        gtidMode: variables.get('gtid_mode') ?? '',
        ...(await readReplication(session)),
        ...clock,
        settings: readSettings(variables, log),
        logEnd: { file: String(log?.['File'] ?? ''), offset: Number(log?.['Position'] ?? 0) },
        inspectedAtMs: Date.now(),
      };
    });
  }

  /** What the check needs to know of the tables that `includes` says yes to. */
  async inspectTables(
    includes: (database: string, table: string) => boolean,
    rules: ColumnRuleOptions,
    signal: AbortSignal,
  ): Promise<readonly TableInspection[]> {
    return this.#withSession(signal, async (session) =>
      inspectTables(session, includes, columnRules(rules), await readCharacterSets(session)),
    );
  }

  /** Where in the log of this server that place is; null when its file is purged. A transaction that begins there comes after it. */
  async findGtidsBefore(fileNumber: number, offset: number, signal: AbortSignal): Promise<LogPlace | null> {
    return this.#withSession(signal, (session) => findGtidsBefore(session, fileNumber, offset));
  }

  async readGrants(signal: AbortSignal): Promise<Grants> {
    return this.#withSession(signal, readGrants);
  }

  async #withSession<T>(signal: AbortSignal, work: (session: MySqlSession) => Promise<T>): Promise<T> {
    const session = await MySqlSession.open(this.#connection, signal);
    try {
      return await work(session);
    } finally {
      session.close();
    }
  }
}

/** The fastest of three round trips, which is the one with the least to be wrong about. */
export async function readClock(session: MySqlSession): Promise<{ clockOffsetMs: number; roundTripMs: number }> {
  let best = { clockOffsetMs: 0, roundTripMs: Infinity };
  for (let i = 0; i < 3; i++) {
    const sentAt = performance.timeOrigin + performance.now();
    const [row] = await session.query<ClockRow>(
      'SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED) AS micros',
    );
    const receivedAt = performance.timeOrigin + performance.now();
    const roundTripMs = receivedAt - sentAt;
    if (roundTripMs >= best.roundTripMs) continue;
    best = { clockOffsetMs: Number(row?.micros ?? 0) / 1000 - (sentAt + receivedAt) / 2, roundTripMs };
  }
  return best;
}

async function readVariables(session: MySqlSession): Promise<ReadonlyMap<string, string>> {
  const rows = await session.query<NamedRow>('SHOW GLOBAL VARIABLES');
  return new Map(rows.map((row) => [row.Variable_name.toLowerCase(), row.Value]));
}

function readSettings(variables: ReadonlyMap<string, string>, log: RowDataPacket | undefined): ServerSettings {
  const upper = (...names: readonly string[]): string => {
    const name = names.find((candidate) => variables.has(candidate));
    return name === undefined ? '' : (variables.get(name) ?? '').toUpperCase();
  };
  return {
    logBin: upper('log_bin'),
    binlogFormat: upper('binlog_format'),
    binlogRowImage: upper('binlog_row_image'),
    binlogRowMetadata: upper('binlog_row_metadata'),
    binlogExpireLogsSeconds: Number(upper('binlog_expire_logs_seconds')),
    logReplicaUpdates: upper('log_replica_updates', 'log_slave_updates'),
    enforceGtidConsistency: upper('enforce_gtid_consistency'),
    gtidStrictMode: upper('gtid_strict_mode'),
    innodbNativeForeignKeys: upper('innodb_native_foreign_keys'),
    lowerCaseTableNames: upper('lower_case_table_names'),
    binlogDoDb: String(log?.['Binlog_Do_DB'] ?? ''),
    binlogIgnoreDb: String(log?.['Binlog_Ignore_DB'] ?? ''),
  };
}
