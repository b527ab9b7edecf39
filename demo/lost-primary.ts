import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { GtidSet } from '#change-events';
import { DittoError } from '#kernel';
import type { Stack } from '#stack';
import { promote } from '../test/cluster/server-roles.ts';
import type { DssStatus } from './dss-status.ts';
import { formatCount, formatDuration } from './figures.ts';

export interface LostPrimaryFacts {
  readonly stack: Stack;
  /** Has the writer continue on the replica, which accepts writes by then. */
  readonly restart: () => Promise<void>;
  /** Shows the figures until the condition holds. */
  readonly watch: (isEnough: (status: DssStatus) => boolean) => Promise<DssStatus>;
  readonly say: (text: string) => void;
}

/**
 * Kills the primary while rows are written, promotes the replica, and waits until the source is streamed from there. What
 * the sinks were given before is asked of the replica itself.
 */
export async function losePrimary({ stack, restart, watch, say }: LostPrimaryFacts): Promise<void> {
  const [from, to] = [addressOf(stack, 'mysql-primary'), addressOf(stack, 'mysql-replica')];
  await stack.kill('mysql-primary');
  const killedAt = performance.now();
  say(`The primary, ${from}, is killed while rows are written.`);
  const replica = await createConnection({ uri: stack.url('mysql-replica'), multipleStatements: true });
  try {
    const { checkpoint } = await watch(({ checkpoint: one }) => one !== null);
    const dispatched = GtidSet.parse(checkpoint?.dispatchedSet ?? '');
    await promote(replica);
    say(`The replica, ${to}, is promoted. The sinks were given ${countTransactions(dispatched)}: does it have them?`);
    await restart();
    const { lastSwitch, lineage } = await watch(
      ({ state, server, pipeline }) =>
        state === 'streaming' && server?.endpoint === to && pipeline?.phase === 'streaming',
    );
    const givenUp = GtidSet.parse(lastSwitch?.healing?.gtids ?? '');
    const [[row]] = await replica.query<RowDataPacket[]>('SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed) AS hasAll', [
      dispatched.subtract(givenUp).toString(),
    ]);
    if (row?.['hasAll'] !== 1)
      throw new DittoError('DITTO_DEMO_UNPROVEN', `The source moved to ${to}, which lacks what the sinks were given.`);
    say(
      givenUp.isEmpty
        ? 'It has all of them, as it says itself; DSS has found the newest of them in its log.'
        : `It has all but ${countTransactions(givenUp)}, which died with the primary: given up; the rows they changed are read again.`,
    );
    say(
      `The source has moved to ${to} by itself, ${formatDuration(performance.now() - killedAt)} after the kill${lastSwitch?.tookMs == null ? '' : ` (DSS: ${formatDuration(lastSwitch.tookMs)})`}; lineage ${String(lineage)}.`,
    );
  } finally {
    replica.destroy();
  }
}

function countTransactions(set: GtidSet): string {
  return `${formatCount(Number(set.count()))} transactions`;
}

function addressOf(stack: Stack, server: 'mysql-primary' | 'mysql-replica'): string {
  const { host, port } = stack.endpoint(server);
  return `${host}:${port}`;
}
