import { type FilePosition, type LoggedTransaction, type Position } from '#change-events';
import { type Logger } from '#kernel';
import { ChangeSource, type SourceBatch } from '#replication';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { type ColumnRules, columnRules, type KeyOverrides } from '../layout/column-choice.ts';
import { toSourceError } from '../errors/source-error.ts';
import { MySqlSession } from '../mysql-session.ts';
import { DEFAULT_ROW_BYTES } from '../row-limit.ts';
import { withRemedyFor } from '../server-kind.ts';
import { findSessionState } from '../session-state.ts';
import { type SessionState } from '../silence-watch.ts';
import { BatchQueue } from './batch-queue.ts';
import { ContentDigest } from './content-digest.ts';
import { DumpConnection } from './dump-connection.ts';
import { EventFeed } from './event-feed.ts';
import { EventReader } from './event-reader.ts';
import { PlaceProof } from './place-proof.ts';
import { makeReplicaIdentity, type ReplicaIdentity } from './replica-identity.ts';
import { readServerFacts, type ServerFacts } from './server-facts.ts';
import { StreamSilence } from './stream-silence.ts';
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
  /** When not one byte came for so long, the stream ends with `DITTO_SOURCE_SILENT`. At least twice `heartbeatMs`. */
  readonly silenceMs?: number;
  /** Bytes of the log that are read ahead of the consumer. */
  readonly maxQueuedBytes?: number;
  /**
   * Events of an included table above this size are refused (`DITTO_SOURCE_ROW_TOO_LARGE`) before they are read: no sink
   * could take their row. Not where columns of the table are excluded. At least 16 MiB.
   */
  readonly maxRowBytes?: number;
  /** Where rows of XA transactions wait for their outcome; 16 MiB in memory, then a file in the system's temporary folder. */
  readonly xaStore?: XaStoreOptions;
}

const DEFAULT_HEARTBEAT_MS = 5_000;
const DEFAULT_SILENCE_MS = 20_000;
/** Two batches: what is decoded ahead lives long enough to be costly garbage, and more is not faster. */
const DEFAULT_QUEUED_BYTES = 512 * 1024;

/**
 * The log of one MySQL server (8.0.1 and later, `binlog_row_metadata=FULL`; by GTID with `gtid_mode=ON`), or of one MariaDB
 * server (10.5 and later, `binlog_row_metadata=FULL`; by GTID with `gtid_strict_mode=ON`).
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
    readonly from: Position | FilePosition;
    readonly proof?: readonly (LoggedTransaction | null)[];
    readonly includes: (database: string, table: string) => boolean;
    readonly signal: AbortSignal;
  }): AsyncGenerator<SourceBatch, void, undefined> {
    const { from, proof = [], signal } = options;
    if (signal.aborted) return;
    const facts = await this.#readFacts(from, proof, signal);
    if (facts === null) return;
    const place = makeProof(from, facts);
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
    const ended = new AbortController();
    const silenceMs = this.#options.silenceMs ?? DEFAULT_SILENCE_MS;
    const watch = new StreamSilence({
      silenceMs,
      isListening: () => !queue.isFull && !feed.isReadingNested,
      askWhileSeeking: facts.kind === 'mysql' ? null : () => this.#askForDump(facts, dump, silenceMs, ended.signal),
      onSilence: (error) => {
        fail(error);
      },
    });
    const fail = (error: unknown): void => {
      const coded = toSourceError(error, 'reading the log');
      queue.finish(withRemedyFor(facts.kind, place?.explain(coded) ?? coded));
      // what is queued may wait for long; the server must not continue to send during that
      dump.stop();
    };
    const feed = this.#makeFeed({
      facts,
      place,
      fail,
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
    const dump = this.#makeDump(facts, feed, watch, fail);
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
      ended.abort();
      watch.stop();
      feed.close();
      dump.stop();
    }
  }

  #askForDump(
    { server }: ServerFacts,
    { threadId }: DumpConnection,
    limitMs: number,
    ended: AbortSignal,
  ): Promise<SessionState> {
    const open = (limit: AbortSignal): Promise<MySqlSession> =>
      MySqlSession.open(this.#options.connection, AbortSignal.any([limit, ended]));
    return threadId === null ? Promise.resolve('dead') : findSessionState({ server, thread: threadId }, open, limitMs);
  }

  async #readFacts(
    from: Position | FilePosition,
    proof: readonly (LoggedTransaction | null)[],
    signal: AbortSignal,
  ): Promise<ServerFacts | null> {
    try {
      return await readServerFacts(this.#options.connection, from, signal, proof);
    } catch (error) {
      if (signal.aborted) return null;
      throw toSourceError(error, 'connecting to the source');
    }
  }

  #makeFeed({
    facts,
    place,
    includes,
    queue,
    fail,
    ...dump
  }: {
    readonly facts: ServerFacts;
    readonly place: PlaceProof | null;
    readonly fail: (error: unknown) => void;
    readonly includes: (database: string, table: string) => boolean;
    readonly queue: BatchQueue;
    readonly pause: () => void;
    readonly resume: () => void;
  }): EventFeed {
    const { xaStore = {} } = this.#options;
    const reader = new EventReader({
      tables: new TableCache({
        includes,
        facts: facts.characterSets,
        kind: facts.kind,
        rules: columnRules(this.#options),
      }),
      characterSets: facts.characterSets,
      includes,
      serverUuid: facts.serverUuid,
      emit: (item) => {
        queue.push(item);
      },
      xaStore,
      maxRowBytes: this.#options.maxRowBytes ?? DEFAULT_ROW_BYTES,
      place,
      digest: facts.kind === 'mariadb' ? new ContentDigest() : null,
    });
    return new EventFeed({
      ...dump,
      reader,
      queue,
      onError: fail,
    });
  }

  #makeDump(
    { kind, serverUuid, start }: ServerFacts,
    feed: EventFeed,
    watch: StreamSilence,
    fail: (error: unknown) => void,
  ): DumpConnection {
    return new DumpConnection({
      connection: this.#options.connection,
      start,
      ...(kind === 'mysql' ? { serverUuid } : {}),
      replica: this.#replica,
      heartbeatMs: this.#options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS,
      listener: {
        onStart: (hasChecksums) => {
          this.#options.logger.info('reading the log', { serverUuid, from: start });
          feed.start(hasChecksums);
        },
        onBytes: () => {
          watch.sawBytes();
        },
        onEvent: (bytes, start, end) => {
          watch.sawEvent(bytes[start + 4] ?? 0);
          feed.take(bytes, start, end);
        },
        onLarge: (bytes, start, size) => {
          feed.assertSize(bytes, start, size);
        },
        onError: fail,
      },
    });
  }
}

function makeProof(from: Position | FilePosition, { start }: ServerFacts): PlaceProof | null {
  if (from.gtidSet !== null) return null;
  return new PlaceProof(from, 'offset' in start ? start.offset : from.offset);
}
