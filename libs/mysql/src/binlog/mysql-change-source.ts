import { type Position } from '#change-events';
import { DittoError, type Logger } from '#kernel';
import { ChangeSource, type SourceBatch } from '#replication';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { type ColumnRules, columnRules, type KeyOverrides } from '../layout/column-choice.ts';
import { toSourceError } from '../mysql-errors.ts';
import { withRemedyFor } from '../server-kind.ts';
import { BatchQueue } from './batch-queue.ts';
import { startBehind } from './dump-commands.ts';
import { DumpConnection } from './dump-connection.ts';
import { EventFeed } from './event-feed.ts';
import { EventReader } from './event-reader.ts';
import { makeReplicaIdentity, type ReplicaIdentity } from './replica-identity.ts';
import { readServerFacts, type ServerFacts } from './server-facts.ts';
import { TableCache } from './table-cache.ts';
import { type XaStoreOptions } from './xa-store.ts';

export interface MySqlChangeSourceOptions {
  readonly connection: MySqlConnectionOptions;
  readonly logger: Logger;
  /** Key columns of tables without a primary key: `database.table` → column names. */
  readonly keys?: KeyOverrides;
  /** Which columns are replicated; all by default. */
  readonly columns?: ColumnRules['columns'];
  /**
   * `server_id` that the dump registers with; unique in the cluster. Of two readers with one id the server ends the older,
   * whose stream throws `DITTO_SOURCE_REPLICA_ID_TAKEN`. Random in the upper half of the range by default.
   */
  readonly replicaId?: number;
  /** How often an idle server is asked to show that it lives. */
  readonly heartbeatMs?: number;
  /** Without events and heartbeats for so long the stream ends with `DITTO_SOURCE_SILENT`. At least twice `heartbeatMs`. */
  readonly silenceMs?: number;
  /** Bytes of the log that are read ahead of the consumer. */
  readonly maxQueuedBytes?: number;
  /** Where rows of XA transactions wait for their outcome; 16 MiB in memory, then a file in the system's temporary folder. */
  readonly xaStore?: XaStoreOptions;
}

const DEFAULT_HEARTBEAT_MS = 5_000;
const DEFAULT_SILENCE_MS = 20_000;
/** Two batches: what is decoded ahead lives long enough to be costly garbage, and more is not faster. */
const DEFAULT_QUEUED_BYTES = 512 * 1024;

/**
 * The log of one MySQL server by GTID (8.0.1 and later, `gtid_mode=ON`, `binlog_row_metadata=FULL`), or of one MariaDB
 * server (10.5 and later, `gtid_strict_mode=ON`, `binlog_row_metadata=FULL`).
 */
export class MySqlChangeSource extends ChangeSource {
  readonly #options: MySqlChangeSourceOptions;
  readonly #replica: ReplicaIdentity;

  constructor(options: MySqlChangeSourceOptions) {
    super();
    this.#options = options;
    this.#replica = makeReplicaIdentity(options.replicaId);
  }

  override async *stream(options: {
    readonly from: Position;
    readonly includes: (database: string, table: string) => boolean;
    readonly signal: AbortSignal;
  }): AsyncGenerator<SourceBatch, void, undefined> {
    const { from, signal } = options;
    if (signal.aborted) return;
    const facts = await this.#readFacts(from, signal);
    if (facts === null) return;
    const queue = new BatchQueue({
      maxBytes: this.#options.maxQueuedBytes ?? DEFAULT_QUEUED_BYTES,
      onFull: () => {
        dump.pause();
      },
      onRoom: () => {
        watch.restart();
        feed.onRoom();
      },
    });
    const watch = new SilenceWatch(this.#options.silenceMs ?? DEFAULT_SILENCE_MS, (silentMs) => {
      if (!queue.isFull && !feed.isReadingNested) queue.finish(silence(silentMs));
    });
    const feed = this.#makeFeed({
      facts,
      includes: options.includes,
      queue,
      pause: () => {
        dump.pause();
      },
      resume: () => {
        watch.restart();
        dump.resume();
      },
    });
    const dump = this.#makeDump(from, facts, feed, queue, watch);
    const abort = (): void => {
      queue.discard();
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      dump.start();
      for (;;) {
        const batch = await queue.next();
        if (batch === null) return;
        yield batch;
      }
    } finally {
      signal.removeEventListener('abort', abort);
      watch.stop();
      feed.close();
      dump.stop();
    }
  }

  async #readFacts(from: Position, signal: AbortSignal): Promise<ServerFacts | null> {
    try {
      return await readServerFacts(this.#options.connection, from.gtidSet, signal);
    } catch (error) {
      if (signal.aborted) return null;
      throw toSourceError(error, 'connecting to the source');
    }
  }

  #makeFeed({
    facts,
    includes,
    queue,
    ...dump
  }: {
    readonly facts: ServerFacts;
    readonly includes: (database: string, table: string) => boolean;
    readonly queue: BatchQueue;
    readonly pause: () => void;
    readonly resume: () => void;
  }): EventFeed {
    const { xaStore = {} } = this.#options;
    const reader = new EventReader({
      tables: new TableCache({ includes, facts: facts.characterSets, rules: columnRules(this.#options) }),
      includes,
      serverUuid: facts.serverUuid,
      emit: (item) => {
        queue.push(item);
      },
      xaStore,
    });
    return new EventFeed({
      ...dump,
      reader,
      queue,
      onError: (error) => {
        queue.finish(withRemedyFor(facts.kind, toSourceError(error, 'reading the log')));
      },
    });
  }

  #makeDump(
    from: Position,
    facts: ServerFacts,
    feed: EventFeed,
    queue: BatchQueue,
    watch: SilenceWatch,
  ): DumpConnection {
    return new DumpConnection({
      connection: this.#options.connection,
      start: startBehind(facts.kind, from.gtidSet),
      replica: this.#replica,
      heartbeatMs: this.#options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS,
      listener: {
        onStart: (hasChecksums) => {
          this.#options.logger.info('reading the log', { serverUuid: facts.serverUuid, from: from.gtidSet });
          feed.start(hasChecksums);
        },
        onEvent: (bytes, start, end) => {
          watch.sawLife();
          feed.take(bytes, start, end);
        },
        onError: (error) => {
          queue.finish(withRemedyFor(facts.kind, toSourceError(error, 'reading the log')));
        },
      },
    });
  }
}

function silence(silentMs: number): DittoError {
  return new DittoError(
    'DITTO_SOURCE_SILENT',
    `neither events nor heartbeats came from the source for ${silentMs} ms`,
    {
      retriable: true,
      context: { silentMs },
    },
  );
}

/** Notices that nothing came for a while; costs one assignment per event. */
class SilenceWatch {
  readonly #timer: NodeJS.Timeout;
  #isAlive = true;

  constructor(silenceMs: number, onSilence: (silentMs: number) => void) {
    this.#timer = setInterval(() => {
      if (!this.#isAlive) onSilence(silenceMs);
      this.#isAlive = false;
    }, silenceMs / 2);
  }

  sawLife(): void {
    this.#isAlive = true;
  }

  restart(): void {
    this.#isAlive = true;
    this.#timer.refresh();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
