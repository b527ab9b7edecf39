// Copies one table to a sink that counts, in a process of its own, whose peak of resident memory is what is measured.
// usage: node --conditions=source copy-process.ts URL DATABASE TABLE FROM STATEMENT
// FROM: the executed set to stream from; STATEMENT: run while the first chunk is unconfirmed
import { createHash } from 'node:crypto';
import mysql from 'mysql2/promise';
import { type RowChanges } from '#change-events';
import { Deferred, silentLogger, Waits } from '#kernel';
import { connectionOptionsFromUrl, MySqlChangeSource, MySqlEndpoint, MySqlRowReader } from '#mysql';
import {
  type Acknowledgement,
  ChangeSink,
  Pipeline,
  type SinkStatus,
  TableRecords,
  WindowedSnapshot,
} from '#replication';

const IN_FLIGHT_BYTES = 8 * 1024 * 1024;

/** Keeps a digest of the newest value of each row; what it takes is in flight until the event loop has turned. */
class DigestSink extends ChangeSink {
  readonly name = 'kafka';
  readonly digests = new Map<number, string>();
  readonly first = new Deferred<undefined>();
  reads = 0;
  bytesInFlight = 0;
  /** What acknowledgements wait for. */
  gate: Promise<unknown> = Promise.resolve();

  open = (): Promise<void> => Promise.resolve();
  prepareTable = (): Promise<void> => Promise.resolve();
  flush = (): void => undefined;
  drain = (): Promise<void> => Promise.resolve();
  applyTableChange = (): Promise<void> => Promise.resolve();
  close = (): Promise<void> => Promise.resolve();

  accept({ op, count, after }: RowChanges, acknowledgement: Acknowledgement): void {
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const [id, value] = (after?.row(i) ?? []) as [number, string];
      bytes += value.length;
      this.digests.set(id, createHash('sha1').update(value).digest('hex'));
    }
    this.bytesInFlight += bytes;
    if (op === 'read') this.reads += count;
    this.first.resolve(undefined);
    void this.gate.then(() =>
      setImmediate(() => {
        this.bytesInFlight -= bytes;
        acknowledgement.acknowledge(count);
      }),
    );
  }

  status(): SinkStatus {
    const nothing = {
      changesInFlight: 0,
      confirmedChanges: 0,
      retries: 0,
      counters: {},
    };
    return { ...nothing, bytesInFlight: this.bytesInFlight, holdingBecause: null };
  }
}

const [url = '', database = '', table = '', gtidSet = '', statement = ''] = process.argv.slice(2);
const connection = connectionOptionsFromUrl(url);
const includes = (ofDatabase: string, name: string): boolean => ofDatabase === database && name === table;
const { serverUuid } = await new MySqlEndpoint(connection).inspect(new AbortController().signal);
const reader = new MySqlRowReader({ connection, includes });
const sink = new DigestSink();
const backoff = { initialMs: 10, maxMs: 100 };
const waits = new Waits({ limitMs: 60_000, logger: silentLogger, nowMs: Date.now });
const shared = { logger: silentLogger, waits, backoff, nowMs: Date.now };
const grant = { source: 's', owner: 'o', token: 1 };
const records = new TableRecords({ grant, store: { save: () => Promise.resolve() }, known: [] });
const pipeline = new Pipeline({
  ...shared,
  source: 's',
  start: {
    source: 's',
    lineage: 1,
    position: { gtidSet, file: '', offset: 0, serverUuid },
    dispatchedSet: gtidSet,
    undecidedSet: '',
    version: '',
    commitMicros: 0,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 0,
  },
  readSequences: { reserved: 0, reserve: () => Promise.resolve() },
  changeSource: new MySqlChangeSource({ connection, logger: silentLogger }),
  sinks: [sink],
  includes,
  reaches: (name) => name === database,
  tables: [],
  records,
  inFlightBytes: IN_FLIGHT_BYTES,
  maxNotedBytes: 1024 * 1024,
  mayDeliver: () => true,
  onConfirmed: () => undefined,
  onTableUnread: () => Promise.resolve(),
  onKeyDoubted: () => undefined,
  listTables: () => Promise.resolve([]),
  canLookUpRows: false,
  cascades: null,
});
const snapshot = new WindowedSnapshot({
  ...shared,
  records,
  pipeline,
  reader,
  mirror: null,
  cascadePauseMs: 0,
  tablesInFlight: 4,
  copiesAll: true,
  chunkRows: 2000,
  chunkBytes: IN_FLIGHT_BYTES / 2,
  chunksInFlight: 8,
  pauseMs: 0,
});

const stop = new AbortController();
const changed = new Deferred<undefined>();
sink.gate = changed.promise;
const running = [pipeline.run(stop.signal, stop.signal), snapshot.run(stop.signal)].map((part) =>
  part.catch((error: unknown) => {
    if (stop.signal.aborted) return;
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  }),
);
await sink.first.promise;
const before = process.memoryUsage.rss();
const admin = await mysql.createConnection(url);
await admin.query(`USE ${database}`);
await admin.query(statement);
await admin.end();
changed.resolve(undefined);
while (snapshot.counts().done < 1) await new Promise((resolve) => setTimeout(resolve, 20));
process.stdout.write(
  JSON.stringify({
    digests: Object.fromEntries(sink.digests),
    reads: sink.reads,
    beforeBytes: before,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  }),
);
stop.abort();
reader.close();
await Promise.all(running);
