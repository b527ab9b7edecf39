import { type RowDataPacket } from 'mysql2';
import { GtidSet, type LoggedTransaction } from '#change-events';
import { DittoError, toDittoError, RESYNC } from '#kernel';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { type ServerIdentity, withoutSpace } from '../endpoint/server-identity.ts';
import { MySqlSession } from '../mysql-session.ts';
import { tryQuery } from '../optional-query.ts';
import { isSameContent } from './content-digest.ts';
import { type DumpStart, FIRST_OFFSET, MOST_OLD_DUMP_OFFSET } from './dump-commands.ts';
import { type FoundTransaction, scanTransactions } from './logged-transactions.ts';
import { SIGNS_OF_NO_EVENT } from './place-proof.ts';

/** The server as it was just asked. */
export type ServerLog = Pick<ServerIdentity, 'kind' | 'serverUuid' | 'gtidExecuted' | 'gtidPurged'>;

/** A transaction as the log of this server holds it; the caller that keeps it adds the lineage. */
export type TransactionInLog = Omit<LoggedTransaction, 'lineage'>;

interface PositionRow extends RowDataPacket {
  readonly value: string | null;
}

/**
 * Distinguishes logs with the same GTIDs: one that was reset and has passed the old numbers, or the log of a server
 * that was restored from a backup. Over short-lived connections of its own; a few round trips where the transaction is
 * looked for at its place.
 */
export class LogProof {
  readonly #connection: MySqlConnectionOptions;

  constructor(connection: MySqlConnectionOptions) {
    this.#connection = connection;
  }

  /**
   * Finds transactions, oldest first, in the log of a server that has executed them, and gives them as they lie there: with
   * the same commit time (MariaDB: the same second and content), and on the server that they were read from at the same
   * place. Else `DITTO_SOURCE_LOG_REPLACED`. `DITTO_SOURCE_LOG_UNPROVEN` where the file that held the newest is purged;
   * null for an older one whose file is: the newer one proves what lies before it.
   */
  async prove(
    log: ServerLog,
    known: readonly LoggedTransaction[],
    signal: AbortSignal,
  ): Promise<(TransactionInLog | null)[]> {
    const purged = GtidSet.parse(log.gtidPurged);
    const found = new Map<string, TransactionInLog>();
    for (const logged of known.toReversed()) {
      if (found.has(logged.gtid)) continue;
      if (!purged.containsGtid(logged.gtid))
        found.set(logged.gtid, toLogged(await this.#find(log, logged, signal), log));
      else if (found.size === 0) throw unproven(logged, log);
    }
    return known.map(({ gtid }) => found.get(gtid) ?? null);
  }

  /** The last transaction that the log holds; null where it holds none, or the user may not list its files. */
  async findLast(log: ServerLog, signal: AbortSignal): Promise<TransactionInLog | null> {
    const end = await this.#withSession(signal, (session) => findEnd(session, log));
    if (end === null) return null;
    const missing = new Set(end.gtids);
    const found: FoundTransaction[] = [];
    await this.#scan(log, end.start, signal, {
      onTransaction: (one) => {
        if (one.gtid !== null && missing.delete(one.gtid)) found.push(one);
        return missing.size === 0;
      },
      onPause: () => false,
    });
    const last = found.at(-1);
    return last === undefined ? null : toLogged(last, log);
  }

  async #find(log: ServerLog, logged: LoggedTransaction, signal: AbortSignal): Promise<FoundTransaction> {
    const isSameServer = logged.serverUuid === log.serverUuid;
    const start = isSameServer
      ? startAt(log, logged)
      : await this.#withSession(signal, (session) => findStart(session, log, logged.gtid));
    try {
      const isAtPlace = 'offset' in start && start.offset === logged.offset && isSameServer;
      const found = await this.#firstOf(log, start, isAtPlace ? null : logged.gtid, signal);
      const difference = found === null ? 'the log ends before' : differs(logged, found, isSameServer);
      if (found !== null && difference === null) return found;
      throw replaced(logged, log, difference ?? '');
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      // where the transaction was there is now no event, or no file
      if (isSameServer && (SIGNS_OF_NO_EVENT.has(code) || code === 'DITTO_SOURCE_PURGED'))
        throw replaced(logged, log, message, cause);
      throw cause;
    }
  }

  /** The transaction with this GTID, or with null the first one. */
  async #firstOf(
    log: ServerLog,
    start: DumpStart,
    gtid: string | null,
    signal: AbortSignal,
  ): Promise<FoundTransaction | null> {
    let first: FoundTransaction | null = null;
    await this.#scan(log, start, signal, {
      onTransaction: (found) => {
        if (gtid !== null && found.gtid !== gtid) return false;
        first = found;
        return true;
      },
      // while a server passes over what a GTID set leaves out it says only that it lives
      onPause: () => !('gtidSet' in start),
    });
    return first;
  }

  async #scan(
    { kind }: ServerLog,
    start: DumpStart,
    signal: AbortSignal,
    callbacks: { readonly onTransaction: (found: FoundTransaction) => boolean; readonly onPause: () => boolean },
  ): Promise<void> {
    await scanTransactions({ connection: this.#connection, kind, start, signal, ...callbacks });
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

/** A place that MariaDB's command for a dump can't say is reached from the head of the file. */
function startAt({ kind }: ServerLog, { file, offset }: LoggedTransaction): DumpStart {
  if (kind === 'mysql') return { file, offset };
  return { file, offset: offset > MOST_OLD_DUMP_OFFSET ? FIRST_OFFSET : offset, isMariaDb: true };
}

/** Where a dump begins that gives the transaction early: MySQL seeks by GTID, in MariaDB's log its file is searched. */
async function findStart(session: MySqlSession, log: ServerLog, gtid: string): Promise<DumpStart> {
  if (log.kind === 'mysql')
    return { gtidSet: GtidSet.parse(log.gtidExecuted).subtract(GtidSet.parse(gtid)).toString() };
  const files = await listFiles(session);
  let [from, to] = [0, files.length - 1];
  while (from < to) {
    const middle = Math.ceil((from + to) / 2);
    const before = await readHead(session, log, files[middle] as string);
    if (before?.containsGtid(gtid) === true) to = middle - 1;
    else from = middle;
  }
  return { file: files[from] ?? '', offset: FIRST_OFFSET, isMariaDb: true };
}

/**
 * The newest transaction of each server (MariaDB: domain) in the newest file that has any, and where a dump begins that
 * gives them soon. Which of them is the last one only the log says.
 */
async function findEnd(
  session: MySqlSession,
  log: ServerLog,
): Promise<{ readonly gtids: readonly string[]; readonly start: DumpStart } | null> {
  const executed = GtidSet.parse(log.gtidExecuted);
  // with rows that came by a dump or a backup, came GTIDs that no file holds
  const logged = executed.subtract(GtidSet.parse(log.gtidPurged));
  for (const file of (await listFiles(session)).reverse()) {
    const before = await readHead(session, log, file);
    if (before === null) return null;
    const inFile = logged.subtract(before);
    if (inFile.isEmpty) continue;
    if (log.kind === 'mariadb')
      return { gtids: inFile.toString().split(','), start: { file, offset: FIRST_OFFSET, isMariaDb: true } };
    const gtids = [...inFile.intervals].map(([sid, intervals]) => `${sid}:${intervals[intervals.length - 1]}`);
    return { gtids, start: { gtidSet: executed.subtract(GtidSet.parse(gtids.join(','))).toString() } };
  }
  return null;
}

/** Oldest first; empty for a user who may not list them. */
async function listFiles(session: MySqlSession): Promise<string[]> {
  return ((await tryQuery(session, ['SHOW BINARY LOGS'])) ?? []).map((row) => String(row['Log_name']));
}

/** What the log holds before this file. */
async function readHead(session: MySqlSession, { kind }: ServerLog, file: string): Promise<GtidSet | null> {
  if (kind === 'mariadb') {
    const [row] = await session.query<PositionRow>('SELECT BINLOG_GTID_POS(?, ?) AS value', [file, FIRST_OFFSET]);
    return GtidSet.parse(row?.value ?? '');
  }
  const events = await tryQuery(session, ['SHOW BINLOG EVENTS IN ? LIMIT 2'], [file]);
  const before = events?.find((row) => row['Event_type'] === 'Previous_gtids');
  return before === undefined ? null : GtidSet.parse(withoutSpace(String(before['Info'] ?? '')));
}

function toLogged(found: FoundTransaction, { serverUuid }: ServerLog): TransactionInLog {
  return { ...found, gtid: found.gtid ?? '', serverUuid };
}

/** What speaks against it being the same; null when nothing does. */
function differs(logged: LoggedTransaction, found: FoundTransaction, isSameServer: boolean): string | null {
  if (found.gtid !== logged.gtid) return `${found.file}:${found.offset} holds ${found.gtid ?? 'one without a GTID'}`;
  if (isSameServer && (found.file !== logged.file || found.offset !== logged.offset))
    return `it lies at ${found.file}:${found.offset}`;
  if (found.commitMicros !== logged.commitMicros)
    return `it was committed at ${timeOf(found.commitMicros)}, not at ${timeOf(logged.commitMicros)}`;
  if (logged.digest !== '' && !isSameContent(logged.digest, found.digest, isSameServer))
    return 'it has another content';
  return null;
}

function timeOf(micros: number): string {
  return `${new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1)}${String(micros % 1000).padStart(3, '0')}Z`;
}

function replaced(logged: LoggedTransaction, { serverUuid }: ServerLog, detail: string, cause?: unknown): DittoError {
  const { gtid, file, offset } = logged;
  return new DittoError(
    'DITTO_SOURCE_LOG_REPLACED',
    `the log of server ${serverUuid} does not hold the transaction ${gtid} that was read at ${file}:${offset} of server ${logged.serverUuid}: ${detail}`,
    {
      remedy: `The log was reset, or the server restored from a backup, and its GTIDs are given to other transactions: ${RESYNC}.`,
      context: { ...logged, answeringServer: serverUuid },
      cause,
    },
  );
}

function unproven(logged: LoggedTransaction, { serverUuid }: ServerLog): DittoError {
  const { gtid, file } = logged;
  return new DittoError(
    'DITTO_SOURCE_LOG_UNPROVEN',
    `server ${serverUuid} has purged the log that held ${gtid} (${file} of server ${logged.serverUuid}): it can't be proven that its GTIDs still mean the same transactions`,
    {
      remedy: `Where you are sure that its log was not reset and the server not restored from a backup since: npm run ditto -- accept-log --source <name>. Otherwise ${RESYNC}.`,
      context: { ...logged, answeringServer: serverUuid },
    },
  );
}
