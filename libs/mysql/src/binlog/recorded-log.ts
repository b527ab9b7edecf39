import { type SourceItem } from '#replication';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { columnRules } from '../layout/column-choice.ts';
import { toSourceError } from '../errors/source-error.ts';
import { DumpConnection } from './dump-connection.ts';
import { EventReader } from './event-reader.ts';
import { makeReplicaIdentity } from './replica-identity.ts';
import { readServerFacts, type ServerFacts } from './server-facts.ts';
import { TableCache } from './table-cache.ts';

/** One event in the buffer that it came in. */
export interface RecordedEvent {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export interface RecordOptions {
  readonly connection: MySqlConnectionOptions;
  /** Transactions that are left out. */
  readonly gtidSet: string;
  readonly includes: (database: string, table: string) => boolean;
  /** The recording ends with the item for which this is true. */
  readonly isLast: (item: SourceItem) => boolean;
  readonly signal: AbortSignal;
}

const HEARTBEAT_MS = 5_000;

/** A part of a server's log as its events, held in memory: for measurements that need no server. */
export class RecordedLog {
  readonly events: readonly RecordedEvent[];
  readonly bytes: number;
  readonly #facts: ServerFacts;
  readonly #includes: RecordOptions['includes'];

  private constructor(events: readonly RecordedEvent[], facts: ServerFacts, includes: RecordOptions['includes']) {
    this.events = events;
    this.bytes = events.reduce((sum, { start, end }) => sum + end - start, 0);
    this.#facts = facts;
    this.#includes = includes;
  }

  static async record(options: RecordOptions): Promise<RecordedLog> {
    const { connection, gtidSet, signal, includes } = options;
    const facts = await readServerFacts(connection, { gtidSet, file: '', offset: 0, serverUuid: '' }, signal);
    const events: RecordedEvent[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const reader = makeReader(facts, includes, (item) => {
      if (options.isLast(item)) resolve(undefined);
    });
    const dump = new DumpConnection({
      connection,
      start: facts.start,
      replica: makeReplicaIdentity(undefined),
      heartbeatMs: HEARTBEAT_MS,
      listener: {
        onStart: () => undefined,
        onEvent: (bytes, start, end) => {
          events.push({ bytes, start, end });
          reader.read(bytes, start, end);
        },
        onError: (error) => {
          reject(toSourceError(error, 'recording the log'));
        },
      },
    });
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      dump.start();
      await promise;
      return new RecordedLog(events, facts, includes);
    } finally {
      signal.removeEventListener('abort', abort);
      dump.stop();
    }
  }

  /** Reads all events as the stream does, with nothing cached beforehand. */
  replay(emit: (item: SourceItem) => void): void {
    const reader = makeReader(this.#facts, this.#includes, emit);
    for (const { bytes, start, end } of this.events) {
      reader.read(bytes, start, end);
      if (reader.hasNested) throw new TypeError('compressed and XA transactions are not replayed');
    }
  }
}

/** The first events of a dump have checksums, whatever the server writes (`DumpListener.onStart`). */
function makeReader(
  facts: ServerFacts,
  includes: RecordOptions['includes'],
  emit: (item: SourceItem) => void,
): EventReader {
  const reader = new EventReader({
    tables: new TableCache({ includes, facts: facts.characterSets, kind: facts.kind, rules: columnRules({}) }),
    characterSets: facts.characterSets,
    includes,
    serverUuid: facts.serverUuid,
    emit,
  });
  reader.expectChecksums(true);
  return reader;
}
