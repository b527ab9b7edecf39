import { describe, expect, it } from '@jest/globals';
import {
  type Checkpoint,
  DEFAULT_SQL_MODE,
  describeKey,
  type StoredCheckpoint,
  type TableLayout,
  ValueImages,
} from '#change-events';
import { Deferred, DittoError, silentLogger, Waits } from '#kernel';
import {
  adopt,
  assumeLayout,
  ChangeSink,
  type SinkOpenOptions,
  ChangeSource,
  CheckpointStore,
  newRecord,
  RequestedReadStore,
  RowReader,
  TableStore,
  type ChunkRead,
  type KeysRead,
  type SinkStatus,
  type SourceBatch,
  type SourceItem,
  type TableRecord,
} from '#replication';
import { type OwnershipHooks, type SourceParts, SourceRun, type SourceRunOptions } from './source-run.ts';

class QuietSource extends ChangeSource {
  async *stream({ signal }: { signal: AbortSignal }): AsyncIterable<SourceBatch> {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    yield { items: [], bytes: 0 };
  }
}

class NoTables extends RowReader {
  readonly mostRowBytes = 1000;

  listTables(): Promise<readonly never[]> {
    return Promise.resolve([]);
  }

  readKeyOrder(): Promise<string> {
    return Promise.resolve('');
  }

  readLayout(): Promise<null> {
    return Promise.resolve(null);
  }

  isGone(): Promise<boolean> {
    return Promise.resolve(false);
  }

  estimateRows(): Promise<readonly never[]> {
    return Promise.resolve([]);
  }

  readChunk(): Promise<ChunkRead> {
    return Promise.reject(new Error('there is no table'));
  }

  readKeys(): Promise<KeysRead> {
    return Promise.reject(new Error('there is no table'));
  }
}

class OneCheckpoint extends CheckpointStore {
  saved: Checkpoint | null = null;
  refusal: DittoError | null = null;

  load(): Promise<StoredCheckpoint | null> {
    return Promise.resolve(this.saved && { token: 1, checkpoint: this.saved });
  }

  save(_grant: unknown, checkpoint: Checkpoint): Promise<void> {
    if (this.refusal !== null) return Promise.reject(this.refusal);
    this.saved = checkpoint;
    return Promise.resolve();
  }
}

class Records extends TableStore {
  load(): Promise<readonly never[]> {
    return Promise.resolve([]);
  }

  readonly saved = new Map<string, TableRecord>();
  /** What saves wait for. */
  gate: Promise<unknown> = Promise.resolve();
  asked = 0;

  async save(_: unknown, records: readonly TableRecord[]): Promise<void> {
    this.asked++;
    await this.gate;
    for (const record of records) this.saved.set(record.table, record);
  }

  readonly reserved: number[] = [];

  reserveReads(_grant: unknown, upTo: number): Promise<void> {
    this.reserved.push(upTo);
    return Promise.resolve();
  }

  reservedReads(): Promise<number> {
    return Promise.resolve(0);
  }
}

class NoReads extends RequestedReadStore {
  accept(): Promise<void> {
    return Promise.resolve();
  }

  find(): Promise<null> {
    return Promise.resolve(null);
  }

  listNext(): Promise<readonly never[]> {
    return Promise.resolve([]);
  }

  list(): Promise<readonly never[]> {
    return Promise.resolve([]);
  }

  save(): Promise<boolean> {
    return Promise.resolve(true);
  }

  cancel(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

const position = { gtidSet: '', file: '', offset: 0, serverUuid: 'u' };
const start: Checkpoint = {
  source: 's',
  lineage: 1,
  position,
  dispatchedSet: '',
  undecidedSet: '',
  version: '',
  commitMicros: 0,
  lastCovered: null,
  lastDispatched: null,
  savedAtMs: 0,
};

/** Gives one transaction, then nothing more. */
class OneTransaction extends QuietSource {
  readonly #item: SourceItem;

  constructor(item: SourceItem) {
    super();
    this.#item = item;
  }

  override async *stream({ signal }: { signal: AbortSignal }): AsyncIterable<SourceBatch> {
    const place = { gtid: `${UUID}:1`, preparedGtid: null, serverId: 1, serverUuid: 'u', file: 'binlog.000001' };
    yield {
      items: [
        { type: 'begin', transaction: { ...place, offset: 4, commitMicros: 1 } },
        this.#item,
        { type: 'end', file: 'binlog.000001', endOffset: 99 },
      ],
      bytes: 1,
    };
    yield* super.stream({ signal });
  }
}

function statement(sql: string): SourceItem {
  return { type: 'statement', database: 'd', sql, sqlMode: DEFAULT_SQL_MODE };
}

/** Can't be read. */
const SUSPECT = statement('FROBNICATE t');

class Away extends NoTables {
  override listTables(): Promise<never> {
    return Promise.reject(new DittoError('DITTO_TEST_AWAY', 'away', { retriable: true }));
  }
}

function rowsItem(
  op: 'create' | 'delete',
  layout: TableLayout,
  before: ValueImages | null,
  after: ValueImages | null,
): SourceItem {
  return { type: 'rows', op, layout, before, after, firstRowIndex: 0 };
}

const UUID = '11111111-1111-1111-1111-111111111111';

function build(
  changeSource: ChangeSource = new QuietSource(),
  reader: RowReader = new NoTables(),
  options: Partial<Omit<SourceRunOptions, 'parts' | 'hooks'>> &
    Partial<Pick<OwnershipHooks, 'mayDeliver'>> &
    Partial<Pick<SourceParts, 'sinks' | 'records' | 'cascades'>> & { dcs?: OneCheckpoint } = {},
): { run: SourceRun; dcs: OneCheckpoint; state: OneCheckpoint; records: Records; closed: () => number } {
  const records = new Records();
  const state = new OneCheckpoint();
  const {
    dcs = new OneCheckpoint(),
    mayDeliver = () => true,
    sinks = [],
    records: known = [],
    cascades = null,
    ...timing
  } = options;
  let closed = 0;
  const close = (): Promise<void> => {
    closed++;
    return Promise.resolve();
  };
  const run = new SourceRun({
    grant: { source: 's', owner: 'o', token: 1 },
    server: { endpoint: '127.0.0.1:3306', serverUuid: '' },
    watch: null,
    parts: {
      changeSource,
      catalogue: new NoTables(),
      reader,
      sinks,
      tables: [],
      records: known,
      names: [],
      checks: { check: () => Promise.resolve() },
      includes: () => true,
      columns: () => true,
      reaches: () => true,
      lowerCaseNames: false,
      cascades,
      mirror: null,
      close,
    },
    start,
    endOfLog: start.position,
    reservedReads: 0,
    stores: { dcs, state, tables: records, reads: new NoReads() },
    quarantine: null,
    snapshot: { copiesAll: true, chunkRows: 10, pauseMs: 0, cascadePauseMs: 0 },
    dcsIntervalMs: 1000,
    stateIntervalMs: 1000,
    inFlightBytes: 1000,
    drainDeadlineMs: 60_000,
    logger: silentLogger,
    ...timing,
    hooks: {
      onConfirmed: () => undefined,
      mayDeliver,
      leaveServer: () => undefined,
      leaveStandstill: () => Promise.resolve(null),
      giveUp: () => undefined,
      onForecast: () => undefined,
      onPurgeNear: () => undefined,
      onQuarantined: () => undefined,
      onSwitch: () => undefined,
      onNoServer: () => undefined,
      waits: new Waits({ limitMs: 60_000, logger: silentLogger, nowMs: Date.now }),
    },
  });
  return { run, dcs, state, records, closed: () => closed };
}

/** Never comes to the end of what it has in flight. */
class StuckSink extends ChangeSink {
  readonly name = 'kafka';
  readonly bytesInFlight = 0;
  mayDeliver: () => boolean = () => true;
  drains = 0;

  open({ mayDeliver }: SinkOpenOptions): Promise<void> {
    this.mayDeliver = mayDeliver;
    return Promise.resolve();
  }

  prepareTable(): Promise<void> {
    return Promise.resolve();
  }

  accept(): void {
    throw new Error('no row is given');
  }

  flush(): void {
    // nothing is in flight
  }

  async drain(signal: AbortSignal): Promise<void> {
    this.drains++;
    await new Promise((_, reject) => {
      const giveUp = (): void => reject(signal.reason as Error);
      if (signal.aborted) giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  applyTableChange(): Promise<void> {
    return Promise.resolve();
  }

  status(): SinkStatus {
    throw new Error('nobody asks');
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000 && !condition(); turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  if (!condition()) throw new Error('it did not come to pass');
}

const never = new AbortController().signal;

describe('SourceRun', () => {
  it('stops in order when it is asked to: both copies of the last checkpoint are written, what was opened is closed', async () => {
    const { run, dcs, state, closed } = build();
    const stop = new AbortController();
    const ended = run.run(stop.signal, never);
    stop.abort();
    await ended;
    expect(dcs.saved).toMatchObject({ source: 's', lineage: 1 });
    expect(state.saved).toMatchObject({ ...dcs.saved, savedAtMs: expect.any(Number) });
    expect(closed()).toBe(1);
  });

  it('a store that refuses the last checkpoint does not keep it from the other one', async () => {
    const { run, dcs, state } = build();
    dcs.refusal = new DittoError('DITTO_TEST_AWAY', 'away', { retriable: true });
    const stop = new AbortController();
    const ended = run.run(stop.signal, never);
    stop.abort();
    await ended;
    expect([dcs.saved, state.saved?.source]).toEqual([null, 's']);
  });

  it('ends with the reason for which the ownership ended', async () => {
    const { run, closed } = build();
    const ownership = new AbortController();
    const ended = run.run(never, ownership.signal);
    ownership.abort(new Error('lost'));
    await expect(ended).rejects.toThrow('lost');
    expect(closed()).toBe(1);
  });

  it('I6: the stream does not wait for a server that only rows are read from', async () => {
    const { run } = build(new OneTransaction(SUSPECT), new Away());
    const stop = new AbortController();
    const ended = run.run(stop.signal, never);
    for (let turn = 0; turn < 200 && run.pipeline.status().transactions === 0; turn++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(run.pipeline.status().transactions).toBe(1);
    stop.abort();
    await ended;
  });

  it('I5: writes no checkpoint once the ownership has ended, not even one that was due', async () => {
    const { run, dcs, closed } = build();
    const ownership = new AbortController();
    const ended = run.run(never, ownership.signal);
    ownership.abort(new Error('lost'));
    await expect(ended).rejects.toThrow('lost');
    expect(dcs.saved).toBeNull();
    expect(closed()).toBe(1);
  });

  it('I5: a checkpoint that is refused on the way ends the run with the refusal', async () => {
    const dcs = new OneCheckpoint();
    dcs.refusal = new DittoError('DITTO_LEASE_FENCED', 'somebody else owns it');
    const { run, closed } = build(new QuietSource(), new NoTables(), { dcs, dcsIntervalMs: 1 });
    await expect(run.run(never, never)).rejects.toBe(dcs.refusal);
    expect(closed()).toBe(1);
  });

  it('I5: takes no batch, and delivers nothing, once the lease is over by its own clock', async () => {
    let isLeased = true;
    const sink = new StuckSink();
    const { run } = build(new OneTransaction(SUSPECT), new NoTables(), { mayDeliver: () => isLeased, sinks: [sink] });
    isLeased = false;
    await expect(run.run(never, never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST', retriable: true });
    expect(run.pipeline.status().transactions).toBe(0);
    expect(sink.mayDeliver()).toBe(false);
    isLeased = true;
    expect(sink.mayDeliver()).toBe(true);
  });

  it.each(['the drain takes too long', 'the ownership ends while it drains'])(
    'comes to its end when %s',
    async (why) => {
      const sink = new StuckSink();
      const isLate = why === 'the drain takes too long';
      const { run, dcs, closed } = build(new QuietSource(), new NoTables(), {
        sinks: [sink],
        drainDeadlineMs: isLate ? 5 : 600_000,
      });
      const [stop, ownership] = [new AbortController(), new AbortController()];
      const ended = run.run(stop.signal, ownership.signal);
      await until(() => run.pipeline.status().phase === 'streaming');
      stop.abort();
      await until(() => sink.drains > 0);
      if (!isLate) ownership.abort(new Error('lost'));
      if (isLate) await ended;
      else await expect(ended).rejects.toThrow('lost');
      expect(dcs.saved === null).toBe(!isLate);
      expect(closed()).toBe(1);
    },
  );

  const [before, after] = ['before', 'after'].map((fingerprint) => ({ ...assumeLayout('d', 't'), fingerprint }));
  const parent = assumeLayout('d', 'p');
  const adoptedAs = (layout: TableLayout): TableRecord => {
    const record = adopt(newRecord(layout), { key: describeKey(layout), since: '', layout });
    return { ...record, copy: { state: 'done', rowsRead: 1 }, generation: 7 };
  };
  const child = { database: 'd', table: 't', name: 'fk', columns: ['a'], parent, parentColumns: ['unknown'] };
  const keys = [{ ...child, onDelete: 'cascade', onUpdate: 'none' }] as const;
  const row = (layout: TableLayout): ValueImages => new ValueImages(layout, [[1]]);

  it.each<[string, SourceItem]>([
    ['a statement that has the table read again', statement('ALTER TABLE t ADD COLUMN a INT')],
    ['a statement that ends the table', statement('DROP TABLE t')],
    ['a row with other columns', rowsItem('create', after as TableLayout, null, row(after as TableLayout))],
    ['a row whose foreign keys change others', rowsItem('delete', parent, row(parent), null)],
  ])('I1: no checkpoint passes %s before the table has another generation, durably', async (_, item) => {
    const { run, records } = build(new OneTransaction(item), new NoTables(), {
      records: [adoptedAs(before as TableLayout), adoptedAs(parent)],
      cascades: { facts: { read: () => Promise.resolve(keys) }, keys, rereads: true },
    });
    const gate = new Deferred<undefined>();
    records.gate = gate.promise;
    const stop = new AbortController();
    const ended = run.run(stop.signal, never);
    await until(() => records.asked > 0);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(run.pipeline.checkpoint().position.gtidSet).toBe('');
    gate.resolve(undefined);
    await until(() => run.pipeline.checkpoint().position.gtidSet !== '');
    expect(records.saved.get('t')?.generation).toBeGreaterThan(7);
    stop.abort();
    await ended;
  });

  it('I2: the numbers of its reads are reserved above the numbers of all owners before', async () => {
    // more than are reserved at once
    const reservedReads = 1_000_000_007;
    const { run, records } = build(new QuietSource(), new NoTables(), { reservedReads });
    const stop = new AbortController();
    const ended = run.run(stop.signal, never);
    await run.pipeline.reads.waitUntilBehind('', { database: 'd', table: 't' });
    expect(records.reserved[0]).toBeGreaterThan(reservedReads);
    stop.abort();
    await ended;
  });
});
