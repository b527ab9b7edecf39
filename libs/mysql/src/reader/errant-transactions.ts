import { type RowDataPacket } from 'mysql2';
import { classifyStatement, formatTableName, GtidSet } from '#change-events';
import { DittoError, sleep, toDittoError, type Logger } from '#kernel';
import { type SourceItem } from '#replication';
import { MySqlChangeSource } from '../binlog/mysql-change-source.ts';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { readServerIdentity, withoutSpace, type ServerIdentity } from '../endpoint/server-identity.ts';
import { MySqlSession } from '../mysql-session.ts';
import { tryQuery } from '../optional-query.ts';
import { CATCH_UP } from './read-window.ts';

export interface ErrantTransactionsOptions {
  /** The server that rows are read from. */
  readonly read: MySqlConnectionOptions;
  /** The server whose log is streamed. */
  readonly streamed: MySqlConnectionOptions;
  /** GTIDs of which an operator says that they changed nothing that is included. */
  readonly accepted: GtidSet;
  readonly includes: (database: string, table: string) => boolean;
  /** Whether a table of the database may be included. */
  readonly reaches: (database: string) => boolean;
  readonly logger: Logger;
}

interface NamedRow extends RowDataPacket {
  readonly Value: string;
}

/** How long the log of a server is looked through for what its errant transactions changed. */
const LOOK_MS = 30_000;
const RETRY_MS = 50;

/**
 * GTIDs that only one of two servers has, and that the other can never get: nothing is replicated to it. Where they
 * changed nothing that is included they are left out of what a read waits for; else the server must not be read.
 */
export class ErrantTransactions {
  readonly #options: ErrantTransactionsOptions;
  #ofRead = GtidSet.empty;
  #ofStreamed = GtidSet.empty;
  /** Those that were looked at in a log. */
  #harmless = GtidSet.empty;
  #session: MySqlSession | null = null;
  readonly #closed = new AbortController();

  constructor(options: ErrantTransactionsOptions) {
    this.#options = options;
  }

  /** Those that are left out, of either server; as of the last look. */
  get gtids(): GtidSet {
    return this.#ofRead.union(this.#ofStreamed);
  }

  /** What the server that is read can have of `dispatchedSet`. */
  expectedOf(dispatchedSet: string): string {
    return this.#ofStreamed.isEmpty
      ? dispatchedSet
      : GtidSet.parse(dispatchedSet).subtract(this.#ofStreamed).toString();
  }

  /**
   * What the stream will come to of `high`, once the streamed server has executed all of it: only then is it sure that the
   * log gives it. `DITTO_SOURCE_BEHIND` when that takes too long.
   */
  async reachable(high: string, waitMs: number, signal: AbortSignal): Promise<string> {
    const wanted = GtidSet.parse(high);
    const deadline = performance.now() + waitMs;
    for (let looks = 0; ; looks++) {
      const executed = GtidSet.parse(await this.#readExecuted(signal));
      const missing = wanted.subtract(executed);
      if (missing.isEmpty) return high;
      if (this.#ofRead.contains(missing)) return wanted.intersect(executed).toString();
      if (looks === 0) await this.examine(signal);
      else if (performance.now() > deadline)
        throw new DittoError(
          'DITTO_SOURCE_BEHIND',
          `the server that is streamed has not executed ${missing.toString()} within ${waitMs} ms, which the server that is read has`,
          { retriable: true, remedy: CATCH_UP, context: { missing: missing.toString() } },
        );
      else await sleep(RETRY_MS, signal);
    }
  }

  /** Compares the servers; `DITTO_SOURCE_ERRANT_CHANGES` when one has changes that the other never gets. */
  async examine(signal: AbortSignal): Promise<void> {
    const readSession = await MySqlSession.open(this.#options.read, signal);
    try {
      const streamedSession = await MySqlSession.open(this.#options.streamed, signal);
      try {
        await this.#compare(readSession, streamedSession, signal);
      } finally {
        streamedSession.close();
      }
    } finally {
      readSession.close();
    }
  }

  async #compare(readSession: MySqlSession, streamedSession: MySqlSession, signal: AbortSignal): Promise<void> {
    const { read, streamed, accepted, logger } = this.#options;
    const before = await readServerIdentity(streamedSession);
    const there = await readServerIdentity(readSession);
    const after = await readServerIdentity(streamedSession);
    const onlyRead = difference(there, after);
    const onlyStreamed = difference(before, there);
    // what replication may still bring is not errant, unless an operator says that it is
    const ofRead = (await mayReceive(streamedSession)) ? onlyRead.intersect(accepted) : onlyRead;
    const ofStreamed = (await mayReceive(readSession)) ? onlyStreamed.intersect(accepted) : onlyStreamed;
    await this.#assertHarmless(read, there, ofRead, signal);
    await this.#assertHarmless(streamed, before, ofStreamed, signal);
    const known = this.gtids;
    [this.#ofRead, this.#ofStreamed] = [ofRead, ofStreamed];
    const found = this.gtids;
    if (!known.contains(found))
      logger.warn('errant transactions: only one of the servers has them; they changed no included table', {
        ofTheServerThatIsRead: ofRead.toString(),
        ofTheServerThatIsStreamed: ofStreamed.toString(),
        count: String(found.count()),
      });
  }

  close(): void {
    this.#closed.abort(new DittoError('DITTO_SOURCE_READER_CLOSED', 'the row reader was closed'));
  }

  async #readExecuted(signal: AbortSignal): Promise<string> {
    const session = await this.#openSession();
    signal.throwIfAborted();
    const variable = session.kind === 'mariadb' ? 'gtid_binlog_pos' : 'gtid_executed';
    const [row] = await session.query<RowDataPacket & { readonly value: string }>(
      `SELECT @@GLOBAL.${variable} AS value`,
    );
    return withoutSpace(row?.value);
  }

  /** One for all reads, those that ask for it at the same time included. */
  async #openSession(): Promise<MySqlSession> {
    const known = this.#usableSession;
    if (known !== null) return known;
    const opened = await MySqlSession.open(this.#options.streamed, this.#closed.signal);
    const faster = this.#usableSession;
    if (faster === null) this.#session = opened;
    else opened.close();
    return faster ?? opened;
  }

  get #usableSession(): MySqlSession | null {
    return this.#session?.isUsable === true ? this.#session : null;
  }

  async #assertHarmless(
    connection: MySqlConnectionOptions,
    server: ServerIdentity,
    errant: GtidSet,
    signal: AbortSignal,
  ): Promise<void> {
    const unknown = errant.subtract(this.#options.accepted).subtract(this.#harmless);
    if (unknown.isEmpty) return;
    const tables = await this.#readTouched(connection, server, unknown, signal);
    if (tables !== null && tables.length === 0) {
      this.#harmless = this.#harmless.union(unknown);
      return;
    }
    const where = `${connection.host}:${connection.port}`;
    const what =
      tables === null ? 'its log no longer shows what they changed' : `they changed ${tables.slice(0, 10).join(', ')}`;
    throw new DittoError(
      'DITTO_SOURCE_ERRANT_CHANGES',
      `${where} has ${unknown.count()} errant transactions, ${unknown.toString()}: ${what}`,
      {
        retriable: true,
        remedy:
          'Set `snapshot.endpoint` of the source to another server, or build this one again from the others. If these transactions changed no included row, name them under `acceptGtids` of the source in ditto.yaml and restart DSS.',
        context: { server: where, gtids: unknown.toString(), tables },
      },
    );
  }

  /** The included tables that these transactions changed; null when the log has them no longer. */
  async #readTouched(
    connection: MySqlConnectionOptions,
    { serverUuid, gtidExecuted }: ServerIdentity,
    gtids: GtidSet,
    signal: AbortSignal,
  ): Promise<readonly string[] | null> {
    const { includes, reaches, logger } = this.#options;
    const touched = new Set<string>();
    const stop = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
    const gtidSet = GtidSet.parse(gtidExecuted).subtract(gtids).toString();
    const source = new MySqlChangeSource({ connection, logger });
    let passed = GtidSet.empty;
    try {
      const from = { gtidSet, file: '', offset: 0, serverUuid };
      for await (const { items } of source.stream({ from, includes, signal: stop }))
        for (const item of items) {
          for (const table of touchedBy(item, includes, reaches)) touched.add(table);
          if (item.type === 'begin' && item.transaction.gtid !== null)
            passed = passed.union(GtidSet.parse(item.transaction.gtid));
          else if (item.type === 'end' && passed.contains(gtids)) return [...touched];
        }
      signal.throwIfAborted();
      return null;
    } catch (cause) {
      signal.throwIfAborted();
      const { code, message } = toDittoError(cause);
      logger.warn('the log does not show what errant transactions changed', { code, error: message });
      return null;
    }
  }
}

function touchedBy(
  item: SourceItem,
  includes: ErrantTransactionsOptions['includes'],
  reaches: ErrantTransactionsOptions['reaches'],
): readonly string[] {
  if (item.type === 'rows') return [formatTableName(item.layout)];
  if (item.type !== 'statement') return [];
  const { kind, tables } = classifyStatement(item.sql, item.database, item.sqlMode);
  if (kind === 'unparsed') return [item.sql.slice(0, 100)];
  return tables.flatMap((scope) => {
    if (scope.table === null)
      return kind !== 'neutral' && reaches(scope.database) ? [`database ${scope.database}`] : [];
    const named = [scope, ...(scope.to === undefined ? [] : [scope.to])];
    return named.filter(({ database, table }) => includes(database, table)).map(formatTableName);
  });
}

/** What one server has and the other lacks. Of a domain of MariaDB that both write, numbers say nothing. */
function difference(one: ServerIdentity, other: ServerIdentity): GtidSet {
  const [mine, its] = [GtidSet.parse(one.gtidExecuted), GtidSet.parse(other.gtidExecuted)];
  const both = [...mine.subtract(its).domains].filter(([domain]) => its.domains.has(domain));
  return both.reduce((set, [domain, end]) => set.subtract(GtidSet.ofDomain(domain, end)), mine.subtract(its));
}

/** Whether transactions of other servers may come to this one: by replication, as member of a group, or of a Galera cluster. */
async function mayReceive(session: MySqlSession): Promise<boolean> {
  const channels = await tryQuery(session, ['SHOW REPLICA STATUS', 'SHOW SLAVE STATUS']);
  if (channels === null || channels.length > 0) return true;
  const [group] = await session.query<NamedRow>("SHOW GLOBAL VARIABLES LIKE 'group_replication_group_name'");
  const [galera] = await session.query<NamedRow>("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'");
  return (group?.Value ?? '') !== '' || galera?.Value === 'ON';
}
