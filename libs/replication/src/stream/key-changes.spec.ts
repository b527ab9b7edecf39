import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  changeAt,
  changeVersion,
  type Checkpoint,
  DEFAULT_SQL_MODE,
  describeKey,
  GtidSet,
  type Row,
  type RowChanges,
  type RowImages,
  type TableChange,
  type TableLayout,
  ValueImages,
} from '#change-events';
import { Deferred, silentLogger, Waits } from '#kernel';
import { KeyChanges, type KeyChangesOptions } from './key-changes.ts';
import { Pipeline } from './pipeline.ts';
import { ChangeSink, type Acknowledgement, type SinkStatus } from '../ports/change-sink.ts';
import { ChangeSource, type SourceBatch, type SourceItem } from '../ports/change-source.ts';
import { type MirroredKeys } from '../ports/mirrored-keys.ts';
import { RowReader, type ChunkRead, type KeysRead } from '../ports/row-reader.ts';
import { type TableRecord, TableStore } from '../ports/stores.ts';
import { TableKeys } from '../tables/table-keys.ts';
import { TableRecords } from '../tables/table-records.ts';
import { StreamPauses } from './stream-pauses.ts';
import { layout as model, SERVER } from '../../test/windowed-read-model.ts';
import { WindowedSnapshot } from '../snapshot/windowed-snapshot.ts';

/** A table with columns a, b and w; a and b are unique and have their values from the same few numbers. */
function layoutOf(key: readonly number[]): TableLayout {
  const columns = ['a', 'b', 'w'].map((name) => ({ ...(model.columns[0] as TableLayout['columns'][0]), name }));
  return { ...model, columns, key, fingerprint: JSON.stringify(key) };
}

const grant = { source: 's', owner: 'o', token: 1 };
const KEYS: readonly (readonly number[])[] = [[0], [1], [0, 1], [1, 0]];

/** The server, its log, and all that outlives a process of Ditto. */
class World extends ChangeSource {
  layout: TableLayout;
  rows: Row[] = [];
  readonly log: SourceItem[][] = [];
  readonly documents = new Map<string, { v: string; w: unknown }>();
  readonly records = new Map<string, TableRecord>();
  readonly endings: TableChange[] = [];
  #wake: (() => void)[] = [];
  #w = 0;

  constructor(key: readonly number[]) {
    super();
    this.layout = layoutOf(key);
  }

  get executed(): string {
    return this.log.length === 0 ? '' : GtidSet.parse(`${SERVER}:1-${this.log.length}`).toString();
  }

  append(...items: readonly SourceItem[]): void {
    const number = this.log.length + 1;
    const place = { gtid: `${SERVER}:${number}`, preparedGtid: null, serverId: 1, serverUuid: SERVER };
    const offset = number * 100;
    this.log.push([
      { type: 'begin', transaction: { ...place, file: 'binlog.000002', offset, commitMicros: number } },
      ...items,
      { type: 'end', file: 'binlog.000002', endOffset: offset + 99 },
    ]);
    for (const wake of this.#wake.splice(0)) wake();
  }

  insert(a: number, b: number): void {
    if (this.rows.some((row) => row[0] === a || row[1] === b)) return;
    const row = [a, b, ++this.#w];
    this.rows.push(row);
    this.append(this.#event('create', null, row));
  }

  remove(index: number): void {
    const row = this.rows[index % this.rows.length];
    if (row === undefined) return;
    this.rows = this.rows.filter((one) => one !== row);
    this.append(this.#event('delete', row, null));
  }

  update(index: number): void {
    const at = index % this.rows.length;
    const row = this.rows[at];
    if (row === undefined) return;
    const after = [row[0] as number, row[1] as number, ++this.#w];
    this.rows = this.rows.with(at, after);
    this.append(this.#event('update', row, after));
  }

  rekey(key: readonly number[], sql: string): void {
    this.layout = layoutOf(key);
    this.append({ type: 'statement', database: 'd', sql, sqlMode: DEFAULT_SQL_MODE });
  }

  /** The operator names other columns: there is no statement, and the log is read with the new ones from its start. */
  configure(key: readonly number[]): void {
    this.layout = layoutOf(key);
    const again = (images: RowImages | null): RowImages | null =>
      images && new ValueImages(this.layout, [images.row(0)]);
    for (const [at, items] of this.log.entries())
      this.log[at] = items.map((item) =>
        item.type === 'rows'
          ? { ...item, layout: this.layout, before: again(item.before), after: again(item.after) }
          : item,
      );
  }

  #event(op: 'create' | 'update' | 'delete', before: Row | null, after: Row | null): SourceItem {
    const { layout } = this;
    const images = (row: Row | null): ValueImages | null => row && new ValueImages(layout, [row]);
    return { type: 'rows', op, layout, before: images(before), after: images(after), firstRowIndex: 0 };
  }

  async *stream({ from, signal }: Parameters<ChangeSource['stream']>[0]): AsyncIterable<SourceBatch> {
    const known = GtidSet.parse(from.gtidSet ?? '');
    let next = 0;
    while (next < this.log.length && known.containsGtid(`${SERVER}:${next + 1}`)) next++;
    const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    while (!signal.aborted) {
      const items = this.log[next];
      if (items === undefined) await Promise.race([ended, new Promise<void>((resolve) => this.#wake.push(resolve))]);
      else {
        next++;
        yield { items, bytes: 1 };
      }
    }
  }

  write(layout: TableLayout, row: Row, v: string, isLive: boolean): void {
    const id = JSON.stringify(layout.key.map((index) => row[index]));
    if (v > (this.documents.get(id)?.v ?? '')) this.documents.set(id, { v, w: isLive ? row[2] : null });
  }

  /** Live documents by their `_id`; what the source says they must be. */
  mirrored(): Record<string, unknown> {
    return Object.fromEntries([...this.documents].filter(([, { w }]) => w !== null).map(([id, { w }]) => [id, w]));
  }

  expected(): Record<string, unknown> {
    const { key } = this.layout;
    return Object.fromEntries(
      this.rows.map((row) => [JSON.stringify(key.map((index) => row[index])), row[2]] as const),
    );
  }
}

/** Applies and confirms at once. */
class MirrorSink extends ChangeSink {
  readonly name = 'mongo';
  readonly bytesInFlight = 0;
  readonly #world: World;
  #isEnding = false;

  constructor(world: World) {
    super();
    this.#world = world;
  }

  open = (): Promise<void> => Promise.resolve();
  prepareTable = (): Promise<void> => Promise.resolve();
  flush = (): void => undefined;
  drain = (): Promise<void> => Promise.resolve();
  close = (): Promise<void> => Promise.resolve();

  accept(changes: RowChanges, acknowledgement: Acknowledgement): void {
    const { layout, count } = changes;
    if (this.#isEnding) throw new Error('a row comes while the rows of a table end');
    for (let i = 0; i < count && layout.key.length > 0; i++) {
      const change = changeAt(changes, i);
      const row = (change.after ?? change.before) as Row;
      this.#world.write(layout, row, changeVersion(change), change.after !== null);
    }
    acknowledgement.acknowledge(count);
  }

  async applyTableChange(change: TableChange): Promise<void> {
    this.#isEnding = true;
    await new Promise((resolve) => setImmediate(resolve));
    this.#isEnding = false;
    this.#world.endings.push(change);
    const v = changeVersion(change);
    for (const [id, document] of this.#world.documents)
      if (document.v < v && document.w !== null) this.#world.documents.set(id, { v, w: null });
  }

  status(): SinkStatus {
    const nothing = { bytesInFlight: 0, changesInFlight: 0, confirmedChanges: 0, retries: 0 };
    return { ...nothing, counters: {}, holdingBecause: null };
  }
}

class WorldReader extends RowReader {
  readonly mostRowBytes = 1000;
  readonly #world: World;

  constructor(world: World) {
    super();
    this.#world = world;
  }

  readKeyOrder(): Promise<string> {
    return Promise.resolve('');
  }

  listTables = (): Promise<readonly TableLayout[]> => Promise.resolve([this.#world.layout]);
  readLayout = (): Promise<TableLayout> => Promise.resolve(this.#world.layout);
  isGone = (): Promise<boolean> => Promise.resolve(false);
  estimateRows = (): Promise<readonly number[]> => Promise.resolve([0]);
  readKeys = (): Promise<KeysRead> => Promise.reject(new Error('no row is looked up'));

  async readChunk(): Promise<ChunkRead> {
    const { rows, executed } = this.#world;
    await Promise.resolve();
    return { rows, lastKey: null, complete: true, bytes: 0, high: executed };
  }
}

class WorldStore extends TableStore {
  readonly #world: World;

  constructor(world: World) {
    super();
    this.#world = world;
  }

  load = (): Promise<readonly TableRecord[]> => Promise.resolve([...this.#world.records.values()]);
  reservedReads = (): Promise<number> => Promise.resolve(0);
  reserveReads = (): Promise<void> => Promise.resolve();

  async save(_: unknown, records: readonly TableRecord[]): Promise<void> {
    await Promise.resolve();
    for (const record of records) this.#world.records.set(record.table, record);
  }
}

/** One process of Ditto, from a checkpoint to its death. */
class Process {
  readonly pipeline: Pipeline;
  readonly snapshot: WindowedSnapshot;
  readonly ended: Promise<unknown>;
  readonly #world: World;
  readonly #stop = new AbortController();

  constructor(world: World, start: Checkpoint, run: number) {
    this.#world = world;
    const waits = new Waits({ limitMs: 60_000, logger: silentLogger, nowMs: () => 0 });
    const backoff = { initialMs: 1, maxMs: 1 };
    const common = { backoff, logger: silentLogger, nowMs: () => 0, waits };
    const reader = new WorldReader(world);
    const known = [...world.records.values()];
    const records = new TableRecords({ grant, store: new WorldStore(world), known });
    this.pipeline = new Pipeline({
      ...common,
      source: 's',
      start,
      endOfLog: {
        ...start.position,
        gtidSet: world.executed,
        file: 'binlog.000002',
        offset: world.log.length * 100 + 99,
      },
      readSequences: { reserved: run * 2000, reserve: () => Promise.resolve() },
      changeSource: world,
      sinks: [new MirrorSink(world)],
      includes: () => true,
      reaches: () => true,
      tables: [world.layout],
      inFlightBytes: 1000,
      maxNotedBytes: 1000,
      onConfirmed: () => undefined,
      mayDeliver: () => true,
      records,
      onTableUnread: (table, losesRows) => this.snapshot.request(table, losesRows),
      onKeyDoubted: (table) => this.snapshot.checkKey(table),
      listTables: () => reader.listTables(),
      canLookUpRows: true,
      cascades: null,
    });
    this.snapshot = new WindowedSnapshot({
      ...common,
      records,
      pipeline: this.pipeline,
      reader,
      mirror: null as MirroredKeys | null,
      copiesAll: true,
      cascadePauseMs: 0,
      chunkRows: 1000,
      chunkBytes: 1000,
      chunksInFlight: 1,
      pauseMs: 0,
      tablesInFlight: 1,
    });
    const { signal } = this.#stop;
    this.ended = Promise.all([this.pipeline.run(signal, signal), this.snapshot.run(signal)]).catch(
      (error: unknown) => error,
    );
  }

  async quiet(): Promise<void> {
    for (let turn = 0; turn < 3000; turn++) {
      const covered = this.pipeline.checkpoint().position.gtidSet === this.#world.executed;
      const key = this.#world.records.get('t')?.adopted?.key;
      const hasKey = key === undefined || key === describeKey(this.#world.layout);
      const read = this.snapshot.status().every(({ state }) => state === 'done' || state === 'unavailable');
      if (covered && hasKey && read) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error(`it did not come to rest: ${JSON.stringify([this.pipeline.status(), this.snapshot.status()])}`);
  }

  async kill(): Promise<void> {
    this.#stop.abort(new Error('killed'));
    await this.ended;
  }
}

function beginning(): Checkpoint {
  const position = { gtidSet: '', file: '', offset: 0, serverUuid: SERVER };
  const nothing = {
    dispatchedSet: '',
    undecidedSet: '',
    version: '',
    commitMicros: 0,
    lastCovered: null,
    lastDispatched: null,
  };
  return { source: 's', lineage: 1, position, ...nothing, savedAtMs: 0 };
}

/** What they do to keys is read as it is, as more than it is, or not at all. */
const STATEMENTS = [
  'ALTER TABLE t DROP INDEX x',
  'ALTER TABLE t ADD PRIMARY KEY (x)',
  'ALTER TABLE t RENAME INDEX x TO y',
];
/** Nobody would look at the key: only the next row shows it. */
const UNSUSPECTED = 'ANALYZE TABLE t';

type Step =
  | { readonly do: 'insert'; readonly a: number; readonly b: number }
  | {
      readonly do: 'remove' | 'update' | 'rekey' | 'surprise' | 'configure' | 'quiet' | 'save' | 'kill' | 'down';
      readonly n: number;
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('insert' as const), a: fc.nat(5), b: fc.nat(5) }),
  fc.record({
    do: fc.constantFrom('remove', 'update', 'rekey', 'surprise', 'configure', 'quiet', 'save', 'kill', 'down' as const),
    n: fc.nat(11),
  }),
);

describe('keys that change', () => {
  it('I4: rows under the old key end and all have the new one, whatever statement it was, running or down', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 25 }), async (isKeyless, steps) => {
        const world = new World(isKeyless ? [] : [0]);
        let run = 0;
        let saved = beginning();
        let process: Process | null = new Process(world, saved, ++run);
        for (const one of steps) {
          if (one.do === 'insert') world.insert(one.a, one.b);
          else if (one.do === 'remove') world.remove(one.n);
          else if (one.do === 'update') world.update(one.n);
          else if (one.do === 'rekey') world.rekey(KEYS[one.n % 4] ?? [0], STATEMENTS[one.n % 3] ?? '');
          else if (one.do === 'surprise' && world.rows.length > 0) {
            world.rekey(KEYS[one.n % 4] ?? [0], UNSUSPECTED);
            world.update(one.n);
          } else if (one.do === 'configure' && process === null) world.configure(KEYS[one.n % 4] ?? [0]);
          else if (one.do === 'quiet') await process?.quiet();
          else if (one.do === 'save') saved = process?.pipeline.checkpoint() ?? saved;
          else if (one.do === 'kill' || one.do === 'down') {
            await process?.kill();
            process = one.do === 'down' ? null : new Process(world, saved, ++run);
          }
        }
        process ??= new Process(world, saved, run + 1);
        try {
          await process.quiet();
          expect(world.mirrored()).toEqual(world.layout.key.length === 0 ? {} : world.expected());
        } finally {
          await process.kill();
        }
        expect(await process.ended).toMatchObject({ message: 'killed' });
      }),
      { numRuns: 300 },
    );
  }, 20_000);

  it('I4: while the log is repeated a new key is not kept for good: rows under the former one may still come', async () => {
    const world = new World([0]);
    const records = new TableRecords({ grant, store: new WorldStore(world), known: [] });
    const keys = new TableKeys(records, () => '');
    await keys.keep(world.layout, true);
    let isReplaying = true;
    let ended = 0;
    const changes = new KeyChanges({
      source: 's',
      lineage: 1,
      keys,
      windows: { discard: () => undefined },
      endings: { end: () => Promise.resolve(ended++) },
      pauses: new StreamPauses(() => true),
      isReplaying: () => isReplaying,
      lastEnded: () => ({}),
      nextReadSequence: () => Promise.resolve(1),
      hold: (action: () => Promise<void>) => action(),
      onTableUnread: () => Promise.resolve(),
      logger: silentLogger,
    } as unknown as KeyChangesOptions);
    const other = layoutOf([1]);
    const kept = (): unknown[] => [keys.keyOf(other), world.records.get(other.table)?.adopted?.key, ended];
    await changes.meet(other);
    expect(kept()).toEqual([describeKey(other), describeKey(world.layout), 1]);
    await changes.settle();
    expect(kept()).toEqual([describeKey(other), describeKey(world.layout), 1]);
    isReplaying = false;
    await changes.settle();
    expect(kept()).toEqual([describeKey(other), describeKey(other), 2]);
  });

  it('I4: a read that meets a new key does not end rows beside the end of those that were repeated after a crash', async () => {
    const ending = new Deferred<undefined>();
    let isReplaying = true;
    const pauses = new StreamPauses(() => true);
    const changes = new KeyChanges({
      source: 's',
      lineage: 1,
      keys: { judge: () => 'changed', keyOf: () => describeKey(model), keep: () => Promise.resolve() },
      windows: { discard: () => undefined },
      endings: { end: () => (isReplaying ? Promise.resolve() : ending.promise) },
      pauses,
      isReplaying: () => isReplaying,
      lastEnded: () => ({}),
      nextReadSequence: () => Promise.resolve(1),
      hold: (action: () => Promise<void>) => action(),
      onTableUnread: () => Promise.resolve(),
      logger: silentLogger,
    } as unknown as KeyChangesOptions);
    await changes.meet(model);
    isReplaying = false;
    const settled = changes.settle();
    let isRead = false;
    const read = pauses.run(() => {
      isRead = true;
      return Promise.resolve();
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isRead).toBe(false);
    ending.resolve(undefined);
    await Promise.all([settled, read]);
    expect(isRead).toBe(true);
  });
});
