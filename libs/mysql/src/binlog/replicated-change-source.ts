import { type RowDataPacket } from 'mysql2';
import { GtidSet } from '#change-events';
import { DittoError, isAbort, type Logger, sleep, toDittoError, type Waits } from '#kernel';
import { ChangeSource, type SourceBatch } from '#replication';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { PolledSession } from '../endpoint/polled-session.ts';
import { readServerIdentity, withoutSpace } from '../endpoint/server-identity.ts';
import { type MySqlSession } from '../mysql-session.ts';

export interface ReplicatedChangeSourceOptions {
  /** The log that is read, and its server. */
  readonly log: ChangeSource;
  readonly streamed: { readonly connection: MySqlConnectionOptions; readonly serverUuid: string };
  /** Other servers of the cluster. One that turns out to be the streamed server, or the same as another, does not count. */
  readonly others: readonly MySqlConnectionOptions[];
  /** How many of them must have executed a transaction before it is given on; at least 1. */
  readonly needed: number;
  readonly waits: Waits;
  readonly logger: Logger;
}

interface ExecutedRow extends RowDataPacket {
  /** Of MySQL: 0 when what is waited for was there in time. */
  readonly late?: number;
  readonly executed: string;
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
    const { log, streamed, others, logger, waits, needed } = this.#options;
    const { signal } = options;
    const cluster = new Cluster({
      ...{ needed, streamedUuid: streamed.serverUuid },
      servers: others.map((connection) => new FollowingServer(connection, logger)),
      streamed: new PolledSession({ connection: () => streamed.connection, timeoutMs: ANSWER_WITHIN_MS }),
    });
    try {
      for await (const batch of log.stream(options)) {
        const gtids = findGtids(batch);
        if (gtids !== null && !cluster.has(gtids))
          await waits.during(
            () => `${needed} other server${needed === 1 ? '' : 's'} of the cluster to have ${gtids.toString()}`,
            cluster.reach(gtids, signal),
          );
        if (signal.aborted) return;
        yield batch;
      }
    } finally {
      cluster.close();
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

/** The server that is read, and those that follow it. */
class Cluster {
  readonly #needed: number;
  readonly #streamedUuid: string;
  readonly #servers: readonly FollowingServer[];
  readonly #streamed: PolledSession;

  constructor(parts: {
    readonly needed: number;
    readonly streamedUuid: string;
    readonly servers: readonly FollowingServer[];
    readonly streamed: PolledSession;
  }) {
    this.#needed = parts.needed;
    this.#streamedUuid = parts.streamedUuid;
    this.#servers = parts.servers;
    this.#streamed = parts.streamed;
  }

  /** Whether enough servers have the set, each counted once. */
  has(set: GtidSet): boolean {
    const having = this.#servers.filter((server) => server.has(set)).map(({ serverUuid }) => serverUuid);
    return new Set(having.filter((uuid) => uuid !== this.#streamedUuid)).size >= this.#needed;
  }

  /**
   * Resolves when enough servers have the set, or `signal` is aborted. Rejects when the server that is read is lost
   * meanwhile: what it had alone will never come to the others. And when all are reached, but are too few servers.
   */
  async reach(set: GtidSet, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const limit = AbortSignal.any([signal, over.signal]);
    const reach = async (server: FollowingServer): Promise<void> => {
      await server.reach(set, limit);
      if (this.has(set)) over.abort();
    };
    const lost = this.#watchStreamed(limit).finally(() => over.abort());
    const reached = Promise.all(this.#servers.map(reach)).finally(() => over.abort());
    await Promise.all([reached, lost]);
    if (!signal.aborted && !this.has(set)) throw tooFew(this.#needed);
  }

  close(): void {
    for (const server of this.#servers) server.close();
    this.#streamed.close();
  }

  /** Resolves when `signal` is aborted; rejects when the server does not answer before that. */
  async #watchStreamed(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(STREAMED_EVERY_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.#streamed.ask((session) => session.query('SELECT 1'));
    }
  }
}

function tooFew(needed: number): DittoError {
  return new DittoError(
    'DITTO_SOURCE_REPLICAS_TOO_FEW',
    `switch.replicas is ${needed}, but the other endpoints lead to fewer servers than that, besides the one that is streamed`,
    { retriable: true, remedy: 'Name each server of the cluster once under endpoints, or lower switch.replicas.' },
  );
}

/** What one other server of the cluster has executed, as far as it was asked. */
class FollowingServer {
  readonly #address: string;
  readonly #session: PolledSession;
  readonly #logger: Logger;
  #serverUuid = '';
  /** The connection over which the server said who it is. */
  #asked: MySqlSession | null = null;
  #known = GtidSet.parse('');
  /** What the next question is about. */
  #wanted = this.#known;
  /** The question under way: a server that does not answer is asked no second one. */
  #asking: Promise<void> | null = null;
  #trouble: string | null = null;

  constructor(connection: MySqlConnectionOptions, logger: Logger) {
    this.#address = `${connection.host}:${connection.port}`;
    this.#session = new PolledSession({ connection: () => connection, timeoutMs: ANSWER_WITHIN_MS });
    this.#logger = logger;
  }

  /** '' before it was asked. */
  get serverUuid(): string {
    return this.#serverUuid;
  }

  has(set: GtidSet): boolean {
    return this.#known.contains(set);
  }

  /** Resolves when it has the set, and when `signal` is aborted. */
  async reach(set: GtidSet, signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    while (!signal.aborted && !this.has(set)) {
      this.#wanted = set;
      this.#asking ??= this.#ask().finally(() => (this.#asking = null));
      await Promise.race([this.#asking, aborted]);
      if (this.#trouble !== null) await sleep(RETRY_MS, signal).catch(() => undefined);
    }
  }

  close(): void {
    this.#session.close();
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    try {
      await this.#session.ask((session) => this.#read(session));
      this.#trouble = null;
    } catch (error) {
      const { code, message } = toDittoError(error);
      if (this.#trouble !== code && !isAbort(error))
        this.#logger.warn('a server of the cluster can not be asked what it has', {
          endpoint: this.#address,
          code,
          error: message,
        });
      [this.#serverUuid, this.#known, this.#trouble] = ['', GtidSet.parse(''), code];
    }
  }

  /** Waits a while on the server until it has what is wanted. */
  async #read(session: MySqlSession): Promise<void> {
    const wanted = this.#wanted;
    if (session !== this.#asked) {
      // another server may answer there by now
      this.#serverUuid = (await readServerIdentity(session)).serverUuid;
      this.#asked = session;
    }
    if (session.kind === 'mariadb') {
      const [row] = await session.query<ExecutedRow>('SELECT @@GLOBAL.gtid_binlog_pos AS executed');
      this.#known = parseExecuted(row);
      if (!this.has(wanted)) await sleep(LOOK_EVERY_MS);
      return;
    }
    const [row] = await session.query<ExecutedRow>(
      'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS late, @@GLOBAL.gtid_executed AS executed',
      [wanted.toString(), WAIT_SECONDS],
    );
    const executed = parseExecuted(row);
    // MySQL promises no order in which the two are evaluated
    this.#known = row?.late === 0 ? executed.union(wanted) : executed;
  }
}

function parseExecuted(row: ExecutedRow | undefined): GtidSet {
  return GtidSet.parse(withoutSpace(row?.executed));
}
