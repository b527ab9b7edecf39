import { describe, expect, it } from '@jest/globals';
import { type Row, type TableLayout, type TableName } from '#change-events';
import { Deferred, DittoError, silentLogger, Waits } from '#kernel';
import { type Pipeline } from '../stream/pipeline.ts';
import { RowReader, type ChunkRead, type KeysRead } from '../ports/row-reader.ts';
import { type Grant, type TableRecord, TableStore } from '../ports/stores.ts';
import { adopt, newRecord } from '../tables/table-record.ts';
import { TableRecords } from '../tables/table-records.ts';
import { layout } from '../../test/windowed-read-model.ts';
import { WindowedSnapshot, type WindowedSnapshotOptions } from './windowed-snapshot.ts';

const down = new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true });
const changed = new DittoError('DITTO_SOURCE_LAYOUT_CHANGED', 'changed', { retriable: true });
const grant: Grant = { source: 's', owner: 'o', token: 1 };

class MemoryStore extends TableStore {
  readonly tables = new Map<string, TableRecord>();
  failures = 0;
  saves = 0;
  /** What writes of pending tables wait for. */
  slow: Promise<unknown> = Promise.resolve();

  load(): Promise<readonly TableRecord[]> {
    return Promise.resolve([...this.tables.values()]);
  }

  stateOf(table: string): string | undefined {
    return this.tables.get(table)?.copy.state;
  }

  async save(_: Grant, records: readonly TableRecord[]): Promise<void> {
    if (this.failures-- > 0) throw down;
    this.saves++;
    if (records.some(({ copy }) => copy.state === 'pending')) await this.slow;
    await new Promise((resolve) => setImmediate(resolve));
    for (const record of records) this.tables.set(record.table, record);
  }

  reserveReads(): Promise<void> {
    return Promise.resolve();
  }

  reservedReads(): Promise<number> {
    return Promise.resolve(0);
  }
}

class TablesReader extends RowReader {
  readonly mostRowBytes = 128 * 1024 * 1024;
  readonly reads: string[] = [];
  readonly afters: (Row | null)[] = [];
  readonly limits: number[] = [];
  readonly executed: string[] = [];
  failures = 0;
  readNow: (table: string) => Promise<ChunkRead> = () =>
    Promise.resolve({ rows: [], lastKey: null, complete: true, bytes: 0, high: '' });
  readonly #tables: readonly TableLayout[];

  constructor(...names: readonly string[]) {
    super();
    this.#tables = names.map((table) => ({ ...layout, table }));
  }

  listTables(_signal: AbortSignal, dispatchedSet = ''): Promise<readonly TableLayout[]> {
    this.executed.push(dispatchedSet);
    return this.failures-- > 0 ? Promise.reject(down) : Promise.resolve(this.#tables);
  }

  readKeyOrder(): Promise<string> {
    return Promise.resolve('');
  }

  readLayout({ table }: TableName, _signal: AbortSignal, dispatchedSet = ''): Promise<TableLayout | null> {
    this.executed.push(dispatchedSet);
    return this.failures-- > 0
      ? Promise.reject(down)
      : Promise.resolve(this.#tables.find((layout) => layout.table === table) ?? null);
  }

  gone = false;

  isGone(): Promise<boolean> {
    return Promise.resolve(this.gone);
  }

  estimateRows(tables: readonly TableName[]): Promise<readonly number[]> {
    return Promise.resolve(tables.map(() => 1));
  }

  readChunk({ layout: { table }, after, limit }: Parameters<RowReader['readChunk']>[0]): Promise<ChunkRead> {
    this.reads.push(table);
    this.limits.push(limit);
    this.afters.push(after);
    return this.readNow(table);
  }

  lookUpNow: (keys: readonly Row[]) => Promise<KeysRead> = () =>
    Promise.resolve({ rows: [], absent: [], unanswered: [], bytes: 0, high: '' });

  readKeys({ keys }: { keys: readonly Row[] }): Promise<KeysRead> {
    return this.lookUpNow(keys);
  }
}

/** Takes whatever is read as confirmed at once. */
function fakePipeline(
  reads: Partial<Pick<Pipeline['reads'], 'close' | 'nextVersion' | 'waitUntilBehind'>> = {},
  parts: Partial<Pick<Pipeline, 'dispatchedSet' | 'waitUntilConfirmed'>> = {},
): Pipeline {
  return {
    lineage: 1,
    startVersion: 'start',
    dispatchedSet: () => '',
    keyOf: () => undefined,
    waitUntilConfirmed: () => Promise.resolve(),
    reads: {
      open: () => Promise.resolve({ dispatchedSet: '', readSequence: 1, readBytes: 0 }),
      close: () => Promise.resolve({ emittedRows: 0, heldBytes: 0, confirmed: Promise.resolve() }),
      abandon: () => undefined,
      ...reads,
    },
    ...parts,
  } as unknown as Pipeline;
}

function build(
  reader: RowReader,
  store: MemoryStore,
  options: Partial<WindowedSnapshotOptions> = {},
): WindowedSnapshot {
  return new WindowedSnapshot({
    records: new TableRecords({ grant, store, known: [...store.tables.values()] }),
    pipeline: fakePipeline(),
    reader,
    mirror: null,
    cascadePauseMs: 0,
    tablesInFlight: 1,
    copiesAll: true,
    chunkRows: 10,
    chunkBytes: 1000,
    chunksInFlight: 1,
    pauseMs: 0,
    backoff: { initialMs: 2, maxMs: 50 },
    logger: silentLogger,
    waits: new Waits({ limitMs: 60_000, logger: silentLogger, nowMs: Date.now }),
    nowMs: () => 0,
    ...options,
  });
}

function copyingFrom(after: string, again = false): TableRecord {
  const copy = { state: 'copying', after, rowsRead: 5, goneBelow: null, again } as const;
  return { ...newRecord({ database: 'd', table: 'a' }), estimatedRows: 5, copy };
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error('it did not come to pass');
}

async function during(snapshot: WindowedSnapshot, work: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const ended = snapshot.run(stop.signal).catch((error: unknown) => error);
  try {
    await work();
  } finally {
    stop.abort(new Error('stopped'));
  }
  expect(await ended).toMatchObject({ message: 'stopped' });
}

describe('WindowedSnapshot', () => {
  it('copies an empty table, and waits for a store and a server that are down', async () => {
    const store = new MemoryStore();
    store.failures = 4;
    const reader = new TablesReader('a');
    reader.failures = 2;
    await during(build(reader, store), () => until(() => store.stateOf('a') === 'done'));
  });

  it('I1: a request is recorded when it resolves, also while that very table is being copied', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a', 'b');
    const first = new Deferred<ChunkRead>();
    reader.readNow = (table) =>
      reader.reads.length === 1
        ? first.promise
        : Promise.resolve({ rows: [[table, 1]], lastKey: [1], complete: true, bytes: 0, high: '' });
    const snapshot = build(reader, store);
    await during(snapshot, async () => {
      await until(() => reader.reads.length === 1);
      await Promise.all([
        snapshot.request({ database: 'd', table: 'a' }),
        snapshot.request({ database: 'd', table: 'c' }),
      ]);
      expect(store.tables.get('a')?.copy).toEqual({ state: 'pending', endsGone: false });
      expect(store.tables.get('c')?.copy).toMatchObject({ state: 'pending' });
      first.resolve({ rows: [[7, 1]], lastKey: [7], complete: true, bytes: 0, high: '' });
      await until(() => store.stateOf('a') === 'done' && store.stateOf('b') === 'done');
      expect(reader.reads.filter((table) => table === 'a')).toHaveLength(2);
      await until(() => store.stateOf('c') === 'unavailable');
    });
  });

  it('I1: copies a requested table again after a restart that came before it was read', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a');
    await during(build(reader, store), () => until(() => store.stateOf('a') === 'done'));
    await build(reader, store).request({ database: 'd', table: 'a' });
    await during(build(reader, store), () => until(() => reader.reads.length === 2 && store.stateOf('a') === 'done'));
  });

  it('takes a request at any moment', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a', 'b');
    const snapshot = build(reader, store);
    await during(snapshot, async () => {
      for (let round = 0; round < 50; round++) {
        const [{ length }, table] = [reader.reads, round % 2 === 0 ? 'a' : 'b'];
        for (let turn = 0; turn < round % 7; turn++) await Promise.resolve();
        await snapshot.request({ database: 'd', table });
        await until(() => reader.reads.length > length && store.stateOf(table) === 'done');
      }
    });
  });

  it('rests between attempts at a table that never has the layout that the catalogue says', async () => {
    const reader = new TablesReader('a');
    reader.readNow = () => Promise.reject(changed);
    await during(build(reader, new MemoryStore()), () => new Promise((resolve) => setTimeout(resolve, 100)));
    expect(reader.reads.length).toBeLessThan(12);
  });

  it('copies nothing but what was asked for, when it is configured so', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a', 'b');
    const snapshot = build(reader, store, { copiesAll: false });
    await during(snapshot, async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await snapshot.request({ database: 'd', table: 'b' });
      await until(() => store.stateOf('b') === 'done');
      expect(reader.reads).toEqual(['b']);
    });
  });

  it('begins again when the key that it had come to is not a key of the table as it is now', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a');
    store.tables.set('a', copyingFrom('["x","y"]'));
    await during(build(reader, store), () => until(() => store.stateOf('a') === 'done'));
    expect(reader.afters).toEqual([null]);
  });

  it('leaves the rest of a copy unread once the table was asked for again', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a');
    const snapshot = build(reader, store);
    let keys = 0;
    reader.readNow = async () => {
      if (++keys === 3) await snapshot.request({ database: 'd', table: 'a' });
      return { rows: [[keys, 1]], lastKey: [keys], complete: keys > 10, bytes: 0, high: '' };
    };
    await during(snapshot, () => until(() => store.stateOf('a') === 'done'));
    expect(reader.afters.slice(0, 5)).toEqual([null, [1], [2], null, [4]]);
  });

  it('I4: begins at the first row although the store takes its time to record the request', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a');
    store.tables.set('a', copyingFrom('[5]'));
    const snapshot = build(reader, store, { chunksInFlight: 4 });
    const recorded = new Deferred<undefined>();
    const requests: Promise<void>[] = [];
    reader.readNow = () => {
      if (requests.length === 0) {
        store.slow = recorded.promise;
        requests.push(snapshot.request({ database: 'd', table: 'a' }));
        setTimeout(() => recorded.resolve(undefined), 20);
      }
      return Promise.resolve({ rows: [[9, 1]], lastKey: [9], complete: reader.reads.length > 1, bytes: 0, high: '' });
    };
    await during(snapshot, () => until(() => store.stateOf('a') === 'done'));
    await Promise.all(requests);
    expect(reader.afters).toEqual([[5], null]);
  });

  it('I9: reads few rows of a table, and none ahead, before it knows how wide they are', async () => {
    const reader = new TablesReader('a');
    const gate = new Deferred<undefined>();
    const megabyte = 1024 * 1024;
    let key = 0;
    reader.readNow = () => {
      const limit = reader.limits.at(-1) as number;
      const rows = Array.from({ length: limit }, (): Row => [++key, 1]);
      return Promise.resolve({ rows, lastKey: [key], complete: false, bytes: limit, high: '' });
    };
    const pipeline = fakePipeline({
      close: (_, { rows: { count } }) =>
        Promise.resolve({ emittedRows: count, heldBytes: count * megabyte, confirmed: gate.promise }),
    });
    const snapshot = build(reader, new MemoryStore(), {
      pipeline,
      chunkRows: 5000,
      chunkBytes: 4 * megabyte,
      chunksInFlight: 4,
    });
    await during(snapshot, async () => {
      await until(() => reader.limits.length > 0);
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(reader.limits).toEqual([64]);
      gate.resolve(undefined);
      await until(() => reader.limits.length > 6);
      expect(Math.max(...reader.limits.slice(1))).toBe(4);
    });
  });

  it('rests between attempts at a chunk whose window is discarded each time', async () => {
    const reader = new TablesReader('a');
    const discarding = fakePipeline({ close: () => Promise.resolve(null) });
    await during(
      build(reader, new MemoryStore(), { pipeline: discarding }),
      () => new Promise((resolve) => setTimeout(resolve, 100)),
    );
    expect(reader.reads.length).toBeGreaterThan(1);
    expect(reader.reads.length).toBeLessThan(12);
  });

  it('ends when it is asked to, although the server does not say how many rows there are', async () => {
    const reader = new TablesReader('a');
    let asked = false;
    reader.estimateRows = () => {
      asked = true;
      return new Promise(() => undefined);
    };
    await during(build(reader, new MemoryStore()), () => until(() => asked));
  });

  it('I4: reads a table that is included again, and ends rows that went meanwhile', async () => {
    const store = new MemoryStore();
    const [again, late] = ['a', 'b'].map((table) => newRecord({ database: 'd', table })) as [TableRecord, TableRecord];
    store.tables.set('a', adopt(again, { key: 'k', since: '', layout: null }));
    store.tables.set('b', late);
    const listed: string[] = [];
    const mirror: WindowedSnapshotOptions['mirror'] = {
      newestVersion: () => Promise.resolve(''),
      list: async function* (request) {
        listed.push(request.layout.table);
        await Promise.resolve();
        yield* [] as (readonly Row[])[];
      },
    };
    const pipeline = fakePipeline({ waitUntilBehind: () => Promise.resolve(), nextVersion: () => 'v' });
    const snapshot = build(new TablesReader('a', 'b'), store, { mirror, pipeline });
    await during(snapshot, () => until(() => store.stateOf('a') === 'done' && store.stateOf('b') === 'done'));
    expect(listed).toEqual(['a']);
    expect(store.tables.get('a')?.generation).toBe(2);
  });

  it('takes a table for gone only by a catalogue that has executed what was dispatched', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader();
    const snapshot = build(reader, store, { pipeline: fakePipeline({}, { dispatchedSet: () => 'u:1-7' }) });
    await snapshot.request({ database: 'd', table: 'a' });
    await during(snapshot, () => until(() => store.stateOf('a') === 'unavailable'));
    expect(reader.executed.at(-1)).toBe('u:1-7');
  });

  const t = [{ database: 'd', table: 'a' }];

  it('lets a copy that is under way end, and reads the table again once, however often a cascade asks', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a');
    const first = new Deferred<ChunkRead>();
    const none: ChunkRead = { rows: [], lastKey: null, complete: true, bytes: 0, high: '' };
    reader.readNow = () => (reader.reads.length === 1 ? first.promise : Promise.resolve(none));
    const snapshot = build(reader, store);
    await during(snapshot, async () => {
      await until(() => reader.reads.length === 1);
      expect(snapshot.isAsked(t)).toBe(false);
      await snapshot.ask(t);
      expect(store.tables.get('a')?.copy).toMatchObject({ state: 'copying', again: true });
      expect(snapshot.isAsked(t)).toBe(true);
      await snapshot.ask(t);
      first.resolve({ rows: [[7, 1]], lastKey: [7], complete: true, bytes: 0, high: '' });
      await until(() => store.stateOf('a') === 'done');
      expect(reader.reads).toHaveLength(2);
      expect(reader.afters).toEqual([null, null]);
      expect(snapshot.isAsked(t)).toBe(false);
    });
  });

  it('I1: begins with what was asked again when a restart came in between', async () => {
    const store = new MemoryStore();
    store.tables.set('a', copyingFrom('[5]', true));
    const reader = new TablesReader('a');
    await during(build(reader, store), () => until(() => store.stateOf('a') === 'done'));
    expect(reader.afters).toEqual([[5], null]);
  });

  it('I4: looks for what is gone only when all that was on its way to the mirror is confirmed', async () => {
    const store = new MemoryStore();
    const confirmed = new Deferred<undefined>();
    let lists = 0;
    const mirror: WindowedSnapshotOptions['mirror'] = {
      newestVersion: () => Promise.resolve(''),
      list: async function* () {
        lists++;
        await Promise.resolve();
        yield* [] as (readonly Row[])[];
      },
    };
    const pipeline = fakePipeline(
      { waitUntilBehind: () => Promise.resolve(), nextVersion: () => 'v' },
      { waitUntilConfirmed: () => confirmed.promise },
    );
    const snapshot = build(new TablesReader('a'), store, { copiesAll: false, mirror, pipeline });
    await during(snapshot, async () => {
      await snapshot.ask(t);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect([lists, store.stateOf('a')]).toEqual([0, 'ending']);
      confirmed.resolve(undefined);
      await until(() => store.stateOf('a') === 'done');
    });
    expect(lists).toBe(1);
  });

  it('rests between two reads that cascades asked for, unless a statement asks', async () => {
    let nowMs = 0;
    const store = new MemoryStore();
    const reader = new TablesReader('a');
    const snapshot = build(reader, store, { copiesAll: false, cascadePauseMs: 50, nowMs: () => nowMs });
    const isDone = (reads: number) => () => reader.reads.length === reads && store.stateOf('a') === 'done';
    await during(snapshot, async () => {
      await snapshot.ask(t);
      await until(isDone(1));
      await snapshot.ask(t);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(reader.reads).toHaveLength(1);
      nowMs = 60;
      await until(isDone(2));
      await snapshot.ask(t);
      await snapshot.request({ database: 'd', table: 'a' });
      await until(isDone(3));
    });
  });

  it('I4: ends what the mirror holds and the read did not meet, by key, and not before the stream is past it', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a');
    const listed: unknown[] = [];
    const pages = [[[1, null]], [[2, null]]];
    const mirror: WindowedSnapshotOptions['mirror'] = {
      newestVersion: () => Promise.resolve('newest'),
      list: async function* ({ below, tombstonesAbove }) {
        listed.push([below, tombstonesAbove]);
        await Promise.resolve();
        yield* pages;
      },
    };
    const looked: (readonly Row[])[] = [];
    reader.lookUpNow = (keys) => {
      looked.push(keys);
      return looked.length === 1
        ? Promise.reject(down)
        : Promise.resolve({ rows: [], absent: keys, unanswered: [], bytes: 0, high: '' });
    };
    const behind: string[] = [];
    const pipeline = fakePipeline({
      waitUntilBehind: (version) => {
        behind.push(version);
        return Promise.resolve();
      },
      nextVersion: () => `v${behind.length}`,
    });
    const snapshot = build(reader, store, { copiesAll: false, mirror, pipeline });
    await during(snapshot, async () => {
      await snapshot.ask(t);
      await until(() => store.stateOf('a') === 'done');
      await snapshot.ask(t);
      await until(() => looked.length === 5 && store.stateOf('a') === 'done');
    });
    expect(behind).toEqual(['newest', '']);
    expect(listed).toEqual([
      ['v1', 'start'],
      ['v1', 'start'],
      ['v2', null],
    ]);
    expect(looked.map(([key]) => key?.[0])).toEqual([1, 1, 2, 1, 2]);
  });

  const refused = new DittoError('DITTO_TEST_REFUSED', 'no such result', { remedy: 'Exclude the table.' });

  it('I6: a table that can not be read keeps no other waiting, and its status says why', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a', 'b', 'c');
    const lines: unknown[] = [];
    const logger = { ...silentLogger, warn: (_: string, fields?: object) => void lines.push(fields) };
    let error = refused;
    reader.readNow = (table) =>
      table === 'a'
        ? Promise.reject(error)
        : Promise.resolve({ rows: [], lastKey: null, complete: true, bytes: 0, high: '' });
    const snapshot = build(reader, store, { logger });
    const attempts = (): number => snapshot.status()[0]?.attempts ?? 0;
    await during(snapshot, async () => {
      await until(() => store.stateOf('b') === 'done' && store.stateOf('c') === 'done');
      await until(() => attempts() > 2);
      expect(snapshot.status(1)).toMatchObject([
        { table: 'a', error: { code: 'DITTO_TEST_REFUSED', remedy: 'Exclude the table.' }, failingSinceMs: 0 },
      ]);
      expect(snapshot.counts()).toEqual({ total: 3, pending: 0, running: 1, done: 2, unavailable: 0, failing: 1 });
      expect(lines).toEqual([expect.objectContaining({ table: 'a', code: 'DITTO_TEST_REFUSED', attempts: 1 })]);
      const { length } = reader.reads;
      error = down;
      await until(() => lines.length === 2 && reader.reads.length > length);
      expect(lines[1]).toMatchObject({ table: 'a', code: 'DITTO_TEST_DOWN' });
      reader.readNow = () => Promise.resolve({ rows: [], lastKey: null, complete: true, bytes: 0, high: '' });
      await until(() => store.stateOf('a') === 'done');
      expect(snapshot.counts().failing).toBe(0);
      expect(snapshot.status().every((table) => table.error === null && table.attempts === 0)).toBe(true);
    });
  });

  it('I6: attempts that take their time leave room for tables that can be read', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a', 'b', 'c', 'd', 'e');
    const slow = new Deferred<ChunkRead>();
    const tries = new Map<string, number>();
    reader.readNow = (table) => {
      const count = (tries.get(table) ?? 0) + 1;
      tries.set(table, count);
      if (!['a', 'b', 'c'].includes(table))
        return Promise.resolve({ rows: [], lastKey: null, complete: true, bytes: 0, high: '' });
      return count === 1 ? Promise.reject(down) : slow.promise;
    };
    const snapshot = build(reader, store, { tablesInFlight: 2 });
    await during(snapshot, async () => {
      await until(() => store.stateOf('d') === 'done' && store.stateOf('e') === 'done');
      await until(() => Math.max(...tries.values()) === 2);
      await snapshot.request({ database: 'd', table: 'e' });
      await until(() => tries.get('e') === 2);
      slow.reject(down);
    });
  });

  it('a chunk whose read failed is made smaller, and what was read before it is recorded', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a');
    let key = 0;
    reader.readNow = () => {
      const limit = reader.limits.at(-1) ?? 0;
      if (limit > 20) return Promise.reject(down);
      key += limit;
      return Promise.resolve({
        rows: Array.from({ length: limit }, (_, i) => [key + i, 1]),
        lastKey: [key],
        complete: key > 60,
        bytes: 0,
        high: '',
      });
    };
    const pipeline = fakePipeline({
      close: () => Promise.resolve({ emittedRows: 1, heldBytes: 0, confirmed: Promise.resolve() }),
    });
    const snapshot = build(reader, store, { chunkRows: 500, chunkBytes: 1e9, pipeline });
    await during(snapshot, () => until(() => store.stateOf('a') === 'done'));
    expect(reader.limits.slice(0, 4)).toEqual([64, 32, 16, 17]);
    expect(Math.max(...reader.limits.slice(2))).toBe(21);
    expect(reader.afters.slice(0, 3)).toEqual([null, null, null]);
  });

  it('looks up fewer keys at once where the look-up failed', async () => {
    const store = new MemoryStore();
    const reader = new TablesReader('a');
    const limits: number[] = [];
    const mirror: WindowedSnapshotOptions['mirror'] = {
      newestVersion: () => Promise.resolve(''),
      list: async function* ({ limit }) {
        limits.push(limit);
        await Promise.resolve();
        yield Array.from({ length: limit }, (_, i): Row => [i, null]);
      },
    };
    reader.lookUpNow = (keys) =>
      keys.length > 60
        ? Promise.reject(down)
        : Promise.resolve({ rows: [], absent: keys, unanswered: [], bytes: 0, high: '' });
    const pipeline = fakePipeline({ waitUntilBehind: () => Promise.resolve(), nextVersion: () => 'v' });
    const snapshot = build(reader, store, { copiesAll: false, mirror, pipeline });
    await during(snapshot, async () => {
      await snapshot.ask(t);
      await until(() => store.stateOf('a') === 'done');
    });
    expect(limits).toEqual([200, 100, 50]);
  });

  it('a server that is down is not asked for one table after the other', async () => {
    const names = Array.from({ length: 200 }, (_, i) => `t${i}`);
    const reader = new TablesReader(...names);
    reader.readNow = () => Promise.reject(down);
    const snapshot = build(reader, new MemoryStore(), { tablesInFlight: 4 });
    await during(snapshot, () => new Promise((resolve) => setTimeout(resolve, 150)));
    expect(reader.reads.length).toBeGreaterThan(4);
    expect(snapshot.counts().failing).toBeLessThan(40);
  });

  it('many small tables cost work for each of them, not for all of them each time', async () => {
    const store = new MemoryStore();
    const names = Array.from({ length: 400 }, (_, i) => `t${i}`);
    const reader = new TablesReader(...names);
    const snapshot = build(reader, store, { tablesInFlight: 4 });
    await during(snapshot, () => until(() => snapshot.counts().done === 400));
    // one list of all, one layout of each
    expect(reader.executed).toHaveLength(1 + 400);
    expect(reader.reads).toHaveLength(400);
    expect(store.saves).toBeLessThan(400 * 3);
    expect(snapshot.status(100)).toHaveLength(100);
    expect(snapshot.list(390, 100).map(({ table }) => table)).toEqual(names.slice(390));
  });
});
