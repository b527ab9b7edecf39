import { GtidSet } from '#change-events';
import { isAbort, type Logger, sleep, toDittoError, type Waits } from '#kernel';
import { ChangeSource, type SourceBatch } from '#replication';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { PolledSession } from '../endpoint/polled-session.ts';
import { readServerIdentity, withoutSpace } from '../endpoint/server-identity.ts';
import { type MySqlSession } from '../mysql-session.ts';

export interface ReplicatedChangeSourceOptions {
  /** The log that is read, and its server. */
  readonly log: ChangeSource;
  readonly streamed: MySqlConnectionOptions;
  /** Other servers of the cluster. */
  readonly others: readonly MySqlConnectionOptions[];
  /** How many of them must have executed a transaction before it is given on; at least 1. */
  readonly needed: number;
  readonly waits: Waits;
  readonly logger: Logger;
}

/** How long one question waits on the server; there is always one that waits. */
const WAIT_SECONDS = 1;
const ANSWER_WITHIN_MS = 1000 * WAIT_SECONDS + 4000;
/** MariaDB can not be asked to wait for what its log holds. */
const LOOK_EVERY_MS = 5;
const RETRY_MS = 500;
const STREAMED_EVERY_MS = 1000;

/**
 * A log of which only what other servers of the cluster have too is given on, so that what was given to a sink survives
 * the loss of the server that is read. The rest waits, in the reader's bounded queue and in the server's log.
 */
export class ReplicatedChangeSource extends ChangeSource {
  readonly #options: ReplicatedChangeSourceOptions;

  constructor(options: ReplicatedChangeSourceOptions) {
    super();
    this.#options = options;
  }

  override async *stream(options: Parameters<ChangeSource['stream']>[0]): AsyncGenerator<SourceBatch, void, undefined> {
    const { log, others, needed, waits, logger } = this.#options;
    const { signal } = options;
    const servers = others.map((connection) => new FollowingServer(connection, logger));
    const streamed = new PolledSession({ connection: () => this.#options.streamed, timeoutMs: ANSWER_WITHIN_MS });
    try {
      for await (const batch of log.stream(options)) {
        const gtids = findGtids(batch);
        const missing = gtids !== null && servers.filter((server) => server.has(gtids)).length < needed;
        if (missing)
          await waits.during(
            () => `${needed} other server${needed === 1 ? '' : 's'} of the cluster to have ${gtids.toString()}`,
            reachSome(servers, needed, gtids, streamed, signal),
          );
        if (signal.aborted) return;
        yield batch;
      }
    } finally {
      for (const server of servers) server.close();
      streamed.close();
    }
  }
}

/** Of the transactions that begin in the batch; null when none does. */
function findGtids({ items }: SourceBatch): GtidSet | null {
  const gtids = items.flatMap((item) =>
    item.type === 'begin' ? (item.transaction.gtid ?? []) : item.type === 'prepared' ? (item.gtid ?? []) : [],
  );
  return gtids.length === 0 ? null : GtidSet.parse(gtids.join(','));
}

/**
 * Resolves when so many of the servers have the set, or `signal` is aborted. Rejects when the server that is read is lost
 * meanwhile: what it had alone will never come to the others.
 */
async function reachSome(
  servers: readonly FollowingServer[],
  needed: number,
  set: GtidSet,
  streamed: PolledSession,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const limit = AbortSignal.any([signal, over.signal]);
  let reached = 0;
  const reach = async (server: FollowingServer): Promise<void> => {
    if (await server.reach(set, limit)) reached++;
    if (reached >= needed) over.abort();
  };
  const lost = watchServer(streamed, limit).finally(() => over.abort());
  await Promise.all([...servers.map(reach), lost]);
}

/** Resolves when `signal` is aborted; rejects when the server does not answer before that. */
async function watchServer(session: PolledSession, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(STREAMED_EVERY_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    await session.ask((connected) => connected.query('SELECT 1'));
  }
}

/** What one other server of the cluster has executed, as far as it was asked. */
class FollowingServer {
  readonly #address: string;
  readonly #session: PolledSession;
  readonly #logger: Logger;
  #known = GtidSet.parse('');
  #trouble: string | null = null;

  constructor(connection: MySqlConnectionOptions, logger: Logger) {
    this.#address = `${connection.host}:${connection.port}`;
    this.#session = new PolledSession({ connection: () => connection, timeoutMs: ANSWER_WITHIN_MS });
    this.#logger = logger;
  }

  has(set: GtidSet): boolean {
    return this.#known.contains(set);
  }

  /** False when `signal` was aborted before it had the set. */
  async reach(set: GtidSet, signal: AbortSignal): Promise<boolean> {
    while (!this.has(set)) {
      const isOver = await Promise.race([this.#ask(set, signal), whenAborted(signal)]);
      if (isOver) return false;
    }
    return true;
  }

  close(): void {
    this.#session.close();
  }

  /** False. A server that can't be asked is asked again, after a rest. */
  async #ask(set: GtidSet, signal: AbortSignal): Promise<false> {
    try {
      this.#known = await this.#session.ask((session) => readExecuted(session, set));
      this.#trouble = null;
    } catch (error) {
      const { code, message } = toDittoError(error);
      if (this.#trouble !== code && !isAbort(error))
        this.#logger.warn('a server of the cluster can not be asked what it has', {
          endpoint: this.#address,
          code,
          error: message,
        });
      this.#trouble = code;
      await sleep(RETRY_MS, signal).catch(() => undefined);
    }
    return false;
  }
}

/** What the server has executed, once it has `set` or some time has passed. */
async function readExecuted(session: MySqlSession, set: GtidSet): Promise<GtidSet> {
  if (session.kind === 'mariadb') {
    const executed = GtidSet.parse((await readServerIdentity(session)).gtidExecuted);
    if (!executed.contains(set)) await sleep(LOOK_EVERY_MS);
    return executed;
  }
  const [row] = await session.query(
    'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS late, @@GLOBAL.gtid_executed AS executed',
    [set.toString(), WAIT_SECONDS],
  );
  const executed = GtidSet.parse(withoutSpace(String(row?.['executed'] ?? '')));
  // MySQL promises no order in which the two are evaluated
  return Number(row?.['late']) === 0 ? executed.union(set) : executed;
}

async function whenAborted(signal: AbortSignal): Promise<true> {
  if (!signal.aborted)
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  return true;
}
