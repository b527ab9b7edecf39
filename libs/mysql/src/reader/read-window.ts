import { type RowDataPacket } from 'mysql2';
import { compareBinlogFiles, GtidSet } from '#change-events';
import { DittoError, sleep } from '#kernel';
import { type MySqlSession } from '../mysql-session.ts';
import { ownedGtids } from './owned-gtids.ts';

interface ValueRow extends RowDataPacket {
  readonly value: string | number | null;
}

export interface Sets {
  readonly executed: string;
  readonly purged: string;
}

interface SetsRow extends RowDataPacket, Sets {}

/** Opens a read-only transaction that sees everything of `gtidSet`; `DITTO_SOURCE_BEHIND` when that takes too long. */
export async function beginBehind(
  session: MySqlSession,
  gtidSet: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (session.kind === 'mariadb') {
    await beginOnMariaDb(session, gtidSet, waitMs, signal);
    return;
  }
  await waitOnMySql(session, gtidSet, waitMs);
  await session.query('START TRANSACTION READ ONLY');
}

/** Resolves when what starts from now on sees everything of `gtidSet`; `DITTO_SOURCE_BEHIND` when that takes too long. */
export async function waitUntilVisible(
  session: MySqlSession,
  gtidSet: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (gtidSet === '') return;
  if (session.kind === 'mysql') {
    await waitOnMySql(session, gtidSet, waitMs);
    return;
  }
  await beginOnMariaDb(session, gtidSet, waitMs, signal);
  await session.query('COMMIT');
}

async function waitOnMySql(session: MySqlSession, gtidSet: string, waitMs: number): Promise<void> {
  if (gtidSet === '') return;
  const [row] = await session.query<ValueRow>('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS value', [
    gtidSet,
    waitMs / 1000,
  ]);
  if (Number(row?.value) !== 0) throw isBehind(waitMs, gtidSet, await readHigh(session));
}

async function readHigh(session: MySqlSession): Promise<string> {
  return (await readSets(session)).executed;
}

/**
 * As `readSets`, with the transactions that are being committed: taken after a read, it holds everything that the read
 * can have seen. MySQL gives a transaction its GTID, then has the engines commit the whole group, which makes its rows
 * visible, and only then adds the group to `gtid_executed`; until then it is in `gtid_owned`, and it passes from the one
 * to the other at once. So the owned ones are read first: what has left them is executed by the second read. The other
 * way round, a transaction that passes between the two reads would be in neither. There are two statements because
 * MySQL promises no order in which the variables of one are evaluated. On MariaDB a transaction is in `gtid_binlog_pos`
 * before it is visible.
 */
export async function readSetsWithOwned(session: MySqlSession): Promise<Sets> {
  if (session.kind === 'mariadb') return readSets(session);
  const [row] = await session.query<ValueRow>('SELECT @@GLOBAL.gtid_owned AS value');
  const owned = ownedGtids(String(row?.value ?? ''));
  const sets = await readSets(session);
  if (owned === '') return sets;
  return { ...sets, executed: GtidSet.parse(sets.executed).union(GtidSet.parse(owned)).toString() };
}

/** What the server has executed, and what of it its log does not have any more, or never had (nothing on MariaDB). */
export async function readSets(session: MySqlSession): Promise<Sets> {
  const sql =
    session.kind === 'mariadb'
      ? "SELECT @@GLOBAL.gtid_binlog_pos AS executed, '' AS purged"
      : 'SELECT @@GLOBAL.gtid_executed AS executed, @@GLOBAL.gtid_purged AS purged';
  const [row] = await session.query<SetsRow>(sql);
  return { executed: (row?.executed ?? '').replace(/\s/g, ''), purged: (row?.purged ?? '').replace(/\s/g, '') };
}

/** Whether the server has not been started again since that moment (of `performance.now()`); a no may be wrong. */
export async function hasRunSince(session: MySqlSession, atMs: number): Promise<boolean> {
  const [row] = await session.query<NamedRow>("SHOW GLOBAL STATUS LIKE 'Uptime'");
  // both ends of the server's count are cut to seconds, which may make it one larger
  return Number(row?.Value) >= (performance.now() - atMs) / 1000 + 1;
}

const RETRY_MS = 5;
/** So many times the cheap comparison of places may fail. */
const CHEAP_TRIES = 10;

/**
 * On MariaDB a transaction is in the log, and in `gtid_binlog_pos`, before it is visible; MASTER_GTID_WAIT does not
 * wait for what a server writes itself. But a consistent snapshot knows the place in the log that it shows
 * (`binlog_snapshot_*`, taken under the lock that commits are ordered by): it must have reached the end that the log had
 * when it held all of the set. What the server writes other than transactions (a binlog checkpoint) moves the end
 * alone; the GTIDs at the place, for which the server reads the file from its start, decide then.
 */
async function beginOnMariaDb(
  session: MySqlSession,
  gtidSet: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + waitMs;
  const wanted = GtidSet.parse(gtidSet);
  const pause = async (): Promise<void> => {
    if (performance.now() > deadline) throw isBehind(waitMs, gtidSet, await readHigh(session));
    await sleep(RETRY_MS, signal);
  };
  while (!GtidSet.parse(await readHigh(session)).contains(wanted)) await pause();
  const end = await readLogEnd(session);
  for (let tries = 1; ; tries++) {
    // read committed would give each statement a snapshot of its own
    await session.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await session.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
    const place = await readSnapshotPlace(session);
    if (isAtOrBehind(place, end)) return;
    if (tries > CHEAP_TRIES && (await readGtidsAt(session, place)).contains(wanted)) return;
    await session.query('ROLLBACK');
    await pause();
  }
}

interface LogPlace {
  readonly file: string;
  readonly offset: number;
}
interface StatusRow extends RowDataPacket {
  readonly File: string;
  readonly Position: number;
}
interface NamedRow extends RowDataPacket {
  readonly Variable_name: string;
  readonly Value: string;
}

async function readLogEnd(session: MySqlSession): Promise<LogPlace> {
  const [row] = await session.query<StatusRow>('SHOW MASTER STATUS');
  if (row === undefined)
    throw new DittoError('DITTO_SOURCE_LOG_DISABLED', 'the server writes no log', {
      remedy: 'Set log-bin in the server’s configuration and restart it.',
    });
  return { file: row.File, offset: row.Position };
}

async function readSnapshotPlace(session: MySqlSession): Promise<LogPlace> {
  const rows = await session.query<NamedRow>("SHOW STATUS LIKE 'binlog_snapshot_%'");
  const values = new Map(rows.map((row) => [row.Variable_name.toLowerCase(), row.Value]));
  return {
    file: values.get('binlog_snapshot_file') ?? '',
    offset: Number(values.get('binlog_snapshot_position') ?? 0),
  };
}

async function readGtidsAt(session: MySqlSession, { file, offset }: LogPlace): Promise<GtidSet> {
  const [row] = await session.query<ValueRow>('SELECT BINLOG_GTID_POS(?, ?) AS value', [file, offset]);
  return GtidSet.parse(String(row?.value ?? ''));
}

function isAtOrBehind(place: LogPlace, other: LogPlace): boolean {
  const files = place.file === '' ? -1 : compareBinlogFiles(place.file, other.file);
  return files > 0 || (files === 0 && place.offset >= other.offset);
}

function isBehind(waitMs: number, wanted: string, executed: string): DittoError {
  const missing = GtidSet.parse(wanted).subtract(GtidSet.parse(executed)).toString();
  return new DittoError(
    'DITTO_SOURCE_BEHIND',
    `the server that is read did not execute what was dispatched within ${waitMs} ms: ${missing}`,
    {
      retriable: true,
      remedy: CATCH_UP,
      context: { waitMs, missing },
    },
  );
}

/** What to do when one of two servers lacks transactions of the other. */
export const CATCH_UP =
  'Wait until it has caught up. If these transactions never come to it and changed no included row, name them under `acceptGtids` of the source in ditto.yaml and restart DSS; else set `snapshot.endpoint` to another server.';
