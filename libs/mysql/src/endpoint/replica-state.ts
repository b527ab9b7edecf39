import { type RowDataPacket } from 'mysql2';
import { GtidSet } from '#change-events';
import { type MySqlSession } from '../mysql-session.ts';
import { tryQuery } from '../optional-query.ts';
import { withoutSpace } from './server-identity.ts';

/** Of all channels together. */
export interface ReplicaState {
  /** Whether each channel is connected to the server that it replicates from. */
  readonly isReceiving: boolean;
  readonly isApplying: boolean;
  /** `Seconds_Behind_Source` of the slowest; null when the server does not know it of one. */
  readonly lagSeconds: number | null;
  readonly lastError: string;
  /** GTIDs received from its source and not yet executed. */
  readonly notYetApplied: string;
  readonly hasFilters: boolean;
}

const FILTERS = [
  'Replicate_Do_DB',
  'Replicate_Ignore_DB',
  'Replicate_Do_Table',
  'Replicate_Ignore_Table',
  'Replicate_Wild_Do_Table',
  'Replicate_Wild_Ignore_Table',
  'Replicate_Rewrite_DB',
  'Replicate_Ignore_Server_Ids',
];

/** One row for each channel; null where this user may not see it. */
async function readChannels(session: MySqlSession): Promise<RowDataPacket[] | null> {
  return tryQuery(session, ['SHOW REPLICA STATUS', 'SHOW SLAVE STATUS']);
}

function lagSecondsOf(channel: RowDataPacket): number | null {
  const lag: unknown = channel['Seconds_Behind_Source'] ?? channel['Seconds_Behind_Master'] ?? null;
  return lag === null ? null : Number(lag);
}

/**
 * How far the slowest channel is behind its source, as the server says: in whole seconds, and only of what it has
 * received. Null when there is no channel, and for those that are stopped.
 */
export async function readReplicaLag(session: MySqlSession): Promise<number | null> {
  const lags = ((await readChannels(session)) ?? []).flatMap((channel) => lagSecondsOf(channel) ?? []);
  return lags.length === 0 ? null : Math.max(...lags) * 1000;
}

export interface Replication {
  /** Null: not a replica, as far as the user may see that. */
  readonly replica: ReplicaState | null;
  /** Whether the user may see whether the server is a replica. */
  readonly showsReplication: boolean;
}

export async function readReplication(session: MySqlSession): Promise<Replication> {
  const rows = await readChannels(session);
  return { replica: await describeReplica(session, rows ?? []), showsReplication: rows !== null };
}

async function describeReplica(session: MySqlSession, rows: readonly RowDataPacket[]): Promise<ReplicaState | null> {
  const channels = rows.map(readChannel);
  if (channels.length === 0) return null;
  const lags = channels.flatMap(({ lagSeconds }) => lagSeconds ?? []);
  const received = channels.map((channel) => channel.received).filter((set) => set !== '');
  return {
    isReceiving: channels.every(({ isReceiving }) => isReceiving),
    isApplying: channels.every(({ isApplying }) => isApplying),
    lagSeconds: lags.length < channels.length ? null : Math.max(...lags),
    lastError: channels.find(({ lastError }) => lastError !== '')?.lastError ?? '',
    notYetApplied:
      session.kind === 'mariadb'
        ? await receivedByMariaDb(session, received[0] ?? '')
        : await receivedByMySql(session, received.join(',')),
    hasFilters: channels.some(({ hasFilters }) => hasFilters),
  };
}

function readChannel(row: RowDataPacket) {
  const text = (...names: readonly string[]): string => {
    const values = names.map((name): unknown => row[name]);
    return values.find((value) => typeof value === 'string') ?? '';
  };
  return {
    isReceiving: text('Replica_IO_Running', 'Slave_IO_Running') === 'Yes',
    isApplying: text('Replica_SQL_Running', 'Slave_SQL_Running') === 'Yes',
    lagSeconds: lagSecondsOf(row),
    lastError: text('Last_SQL_Error') || text('Last_IO_Error'),
    /** What MySQL's channel has received; MariaDB's are all of the server. */
    received: text('Retrieved_Gtid_Set', 'Gtid_IO_Pos'),
    hasFilters: FILTERS.some((filter) => text(filter) !== ''),
  };
}

interface ValueRow extends RowDataPacket {
  readonly value: string;
}

async function receivedByMySql(session: MySqlSession, received: string): Promise<string> {
  const [difference] = await session.query<ValueRow>('SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed) AS value', [
    received,
  ]);
  return withoutSpace(difference?.value);
}

async function receivedByMariaDb(session: MySqlSession, received: string): Promise<string> {
  const [applied] = await session.query<ValueRow>('SELECT @@GLOBAL.gtid_slave_pos AS value');
  return GtidSet.parse(received)
    .subtract(GtidSet.parse(applied?.value ?? ''))
    .toString();
}
