import { type RowDataPacket } from 'mysql2';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { type KeyOverrides } from '../layout/column-types.ts';
import { MySqlSession } from '../mysql-session.ts';
import { readCharacterSets } from '../values/character-set-facts.ts';
import { readGrants, type Grants } from './grants.ts';
import { inspectTables, type TableInspection } from './table-inspection.ts';

/** What a probe finds of one server. Values that a version of MySQL does not have are null. */
export interface EndpointInspection {
  readonly serverUuid: string;
  readonly version: string;
  readonly gtidMode: string;
  /** GTID sets without white space. */
  readonly gtidExecuted: string;
  readonly gtidPurged: string;
  readonly readOnly: boolean;
  readonly superReadOnly: boolean;
  /** Null: not a replica. */
  readonly replica: ReplicaState | null;
  /** The server's clock minus this process's, in milliseconds, half a round trip taken off. */
  readonly clockOffsetMs: number;
  readonly roundTripMs: number;
  readonly settings: ServerSettings;
  /** When this was taken, milliseconds since 1970. */
  readonly inspectedAtMs: number;
}

export interface ReplicaState {
  readonly isReceiving: boolean;
  readonly isApplying: boolean;
  /** `Seconds_Behind_Source`; null when the server can't tell. */
  readonly lagSeconds: number | null;
  readonly lastError: string;
  /** GTIDs received from its source and not yet executed. */
  readonly notYetApplied: string;
  readonly hasFilters: boolean;
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
interface IdentityRow extends RowDataPacket {
  readonly uuid: string;
  readonly version: string;
  readonly executed: string;
  readonly purged: string;
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
      const [identity] = await session.query<IdentityRow>(
        `SELECT @@GLOBAL.server_uuid AS uuid, VERSION() AS version,
                @@GLOBAL.gtid_executed AS executed, @@GLOBAL.gtid_purged AS purged`,
      );
      return {
        serverUuid: identity?.uuid ?? '',
        version: identity?.version ?? '',
        gtidMode: variables.get('gtid_mode') ?? '',
        gtidExecuted: withoutSpace(identity?.executed),
        gtidPurged: withoutSpace(identity?.purged),
        readOnly: variables.get('read_only') === 'ON',
        superReadOnly: variables.get('super_read_only') === 'ON',
        replica: await readReplicaState(session),
        ...clock,
        settings: await readSettings(session, variables),
        inspectedAtMs: Date.now(),
      };
    });
  }

  /** What the check needs to know of the tables that `includes` says yes to. */
  async inspectTables(
    includes: (database: string, table: string) => boolean,
    keys: KeyOverrides,
    signal: AbortSignal,
  ): Promise<readonly TableInspection[]> {
    return this.#withSession(signal, async (session) =>
      inspectTables(session, includes, keys, await readCharacterSets(session)),
    );
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

export function withoutSpace(text: string | undefined): string {
  return (text ?? '').replace(/\s/g, '');
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

/** A query whose statement this version may not know, or that this user may not run: null then. */
async function tryQuery(session: MySqlSession, statements: readonly string[]): Promise<RowDataPacket[] | null> {
  for (const statement of statements) {
    try {
      return await session.query(statement);
    } catch (error) {
      if (!session.isUsable) throw error;
    }
  }
  return null;
}

/** `SHOW MASTER STATUS` is gone since 8.4, `SHOW BINARY LOG STATUS` is not there before 8.2: both are tried. */
async function readSettings(session: MySqlSession, variables: ReadonlyMap<string, string>): Promise<ServerSettings> {
  const status = await tryQuery(session, ['SHOW BINARY LOG STATUS', 'SHOW MASTER STATUS']);
  const log = status?.[0];
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
    innodbNativeForeignKeys: upper('innodb_native_foreign_keys'),
    lowerCaseTableNames: upper('lower_case_table_names'),
    binlogDoDb: String(log?.['Binlog_Do_DB'] ?? ''),
    binlogIgnoreDb: String(log?.['Binlog_Ignore_DB'] ?? ''),
  };
}

const FILTERS = [
  'Replicate_Do_DB',
  'Replicate_Ignore_DB',
  'Replicate_Do_Table',
  'Replicate_Ignore_Table',
  'Replicate_Wild_Do_Table',
  'Replicate_Wild_Ignore_Table',
];

export async function readReplicaState(session: MySqlSession): Promise<ReplicaState | null> {
  const rows = await tryQuery(session, ['SHOW REPLICA STATUS', 'SHOW SLAVE STATUS']);
  const row = rows?.[0];
  if (row === undefined) return null;
  const text = (...names: readonly string[]): string => {
    const values = names.map((name): unknown => row[name]);
    return values.find((value) => typeof value === 'string') ?? '';
  };
  const lag: unknown = row['Seconds_Behind_Source'] ?? row['Seconds_Behind_Master'] ?? null;
  const [difference] = await session.query<RowDataPacket & { readonly value: string }>(
    'SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed) AS value',
    [text('Retrieved_Gtid_Set')],
  );
  return {
    isReceiving: text('Replica_IO_Running', 'Slave_IO_Running') === 'Yes',
    isApplying: text('Replica_SQL_Running', 'Slave_SQL_Running') === 'Yes',
    lagSeconds: lag === null ? null : Number(lag),
    lastError: text('Last_SQL_Error', 'Last_IO_Error'),
    notYetApplied: withoutSpace(difference?.value),
    hasFilters: FILTERS.some((filter) => text(filter) !== ''),
  };
}
