import { describe, expect, it } from '@jest/globals';
import { encodeKeyValues, type Row, type RowSelection, type TableLayout, ValueImages } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import {
  type ListedRead,
  RequestedReadStore,
  type NewRead,
  type NextRead,
  type ReadProgress,
  type RequestedRead,
} from '../ports/requested-read-store.ts';
import { type SelectedKeys } from '../ports/mirrored-keys.ts';
import { type CopyState, type Grant } from '../ports/stores.ts';
import { assumeLayout } from '../statements/statement-effects.ts';
import { assertAcceptable, MOST_KEYS } from './accept-read.ts';
import { RequestedReads, type RequestedReadsOptions } from './requested-reads.ts';

const grant: Grant = { source: 's', owner: 'o', token: 1 };
const layout = keyed(assumeLayout('shop', 'orders'));

function keyed(table: TableLayout): TableLayout {
  const [column] = table.columns;
  return column === undefined
    ? table
    : { ...table, columns: [{ ...column, kind: 'bigint', type: 'bigint' }], key: [0] };
}

class Store extends RequestedReadStore {
  readonly reads = new Map<string, RequestedRead>();
  token = 1;
  /** Thrown by the save after so many. */
  dieAfter = Infinity;
  /** Called before a record is saved. */
  beforeSave: (progress: ReadProgress) => void = () => undefined;

  accept(read: NewRead): Promise<void> {
    const nothing = {
      state: 'accepted',
      counts: { read: 0, emitted: 0, gone: 0 },
      confirmedKeys: 0,
      place: null,
      estimatedRows: null,
      error: null,
    } as const;
    const keyCount = read.scope.kind === 'keys' ? read.scope.keys.length : null;
    if (!this.reads.has(read.id))
      this.reads.set(read.id, { ...read, ...nothing, keyCount, startedAtMs: null, endedAtMs: null });
    return Promise.resolve();
  }

  find(id: string): Promise<RequestedRead | null> {
    return Promise.resolve(this.reads.get(id) ?? null);
  }

  listNext(): Promise<readonly NextRead[]> {
    const first = new Map<string, NextRead>();
    for (const { id, database, table, scope, state } of this.reads.values()) {
      const key = `${table} ${scope.kind}`;
      const isOpen = state === 'accepted' || state === 'running';
      if (isOpen && !first.has(key)) first.set(key, { id, database, table, kind: scope.kind });
    }
    return Promise.resolve([...first.values()]);
  }

  list(): Promise<readonly ListedRead[]> {
    return Promise.resolve([...this.reads.values()].map((read) => ({ ...read, kind: read.scope.kind })));
  }

  save({ token }: Grant, id: string, progress: ReadProgress): Promise<boolean> {
    if (this.dieAfter-- <= 0) return Promise.reject(new Error('killed'));
    this.beforeSave(progress);
    if (token !== this.token) return Promise.reject(new DittoError('DITTO_LEASE_FENCED', 'too old'));
    const read = this.reads.get(id);
    if (read === undefined || (read.state !== 'accepted' && read.state !== 'running')) return Promise.resolve(false);
    this.reads.set(id, { ...read, ...progress });
    return Promise.resolve(true);
  }

  cancel(id: string): Promise<boolean> {
    const read = this.reads.get(id);
    if (read?.endedAtMs !== null) return Promise.resolve(false);
    this.reads.set(id, { ...read, state: 'cancelled', endedAtMs: 1 });
    return Promise.resolve(true);
  }
}

/** A source with rows of even numbers, whose stream passes everything at once. */
class World {
  readonly store = new Store();
  readonly looked: number[] = [];
  layout: TableLayout | null = layout;
  copy: CopyState = { state: 'done', rowsRead: 1 };
  readonly copies = new Map<string, CopyState>();
  /** What the mirror has, and whether it can tell which of it belongs to a filter. */
  mirrored: readonly number[] | null = [];
  isExact = true;
  readonly asks: unknown[] = [];
  asked = 0;
  readings = { begun: 0, completed: 0, rowsRead: 0 };
  tableError: DittoError | null = null;
  readonly limits: number[] = [];
  #ended: (() => void)[] = [];
  beforeRead: (table: string) => Promise<void> = () => Promise.resolve();

  async request(scope: NewRead['scope'], id = 'a', table = 'orders'): Promise<void> {
    const read = { source: 's', database: 'shop', table, reason: 'a test', actor: 'alice', acceptedAtMs: 1 };
    await this.store.accept({ id, ...read, scope });
  }

  finish(copy: CopyState): void {
    this.copy = copy;
    for (const ended of this.#ended.splice(0)) ended();
  }

  start(): { readonly ended: Promise<unknown>; readonly stop: () => void } {
    const stop = new AbortController();
    const ended = new RequestedReads(this.#options()).run(stop.signal).catch((cause: unknown) => cause);
    return { ended, stop: () => stop.abort(new Error('stopped')) };
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise((resolve) => setImmediate(resolve));
  }

  state(id = 'a'): RequestedRead['state'] | undefined {
    return this.store.reads.get(id)?.state;
  }

  readonly #readLayout = ({ table }: { table: string }): Promise<TableLayout | null> =>
    Promise.resolve(this.layout && { ...this.layout, table });

  /** Even numbers up to 100. */
  readonly #readImages = async (asked: {
    after: Row | null;
    limit: number;
    selection?: RowSelection;
  }): Promise<unknown> => {
    await this.beforeRead('orders');
    const [from = 0, to = 100] =
      asked.selection?.kind === 'range'
        ? [Number(asked.selection.from?.[0] ?? 0), Number(asked.selection.to?.[0] ?? 100)]
        : [];
    const first = Math.max(from, Number(asked.after?.[0] ?? -1) + 1);
    const keys = Array.from({ length: 101 }, (_, key) => key).filter(
      (key) => key % 2 === 0 && key >= first && key <= to,
    );
    const rows = keys.slice(0, Math.min(asked.limit, 10)).map((key) => [key]);
    this.looked.push(...rows.map(([key]) => Number(key)));
    const complete = rows.length === keys.length;
    return { rows: new ValueImages(layout, rows), lastKey: rows.at(-1) ?? null, complete, bytes: 1, high: '' };
  };

  readonly #select = async function* (this: World, { after }: { after: string | null }): AsyncGenerator<SelectedKeys> {
    await Promise.resolve();
    for (const key of (this.mirrored ?? []).filter((one) => one > Number(after ?? -1)))
      yield { keys: [[key]], isExact: this.isExact, after: String(key) };
  }.bind(this);

  #options(): RequestedReadsOptions {
    const readKeys = async (asked: { layout: TableLayout; keys: readonly Row[] }): Promise<unknown> => {
      const { keys } = asked;
      this.limits.push(keys.length);
      await this.beforeRead(asked.layout.table);
      this.looked.push(...keys.map(([key]) => Number(key)));
      const [rows, absent] = [0, 1].map((rest) => keys.filter(([key]) => Number(key) % 2 === rest));
      return { rows, absent, unanswered: [], bytes: 1, high: '' };
    };
    return {
      grant,
      store: this.store,
      mirror: this.mirrored && { select: this.#select },
      waitUntilConfirmed: () => Promise.resolve(),
      dispatchedSet: () => '',
      nowMs: () => 0,
      snapshot: {
        ask: () => {
          this.asked++;
          this.copy = { state: 'pending', endsGone: true };
          return Promise.resolve();
        },
        copyOf: ({ table }) => this.copies.get(table) ?? this.copy,
        estimateOf: () => 7,
        readingsOf: () => this.readings,
        failureOf: () => (this.tableError ? { error: this.tableError, attempts: 1, sinceMs: 0 } : undefined),
        waitUntilEnded: () => new Promise((ended) => this.#ended.push(ended)),
      },
      settings: {
        reads: {
          open: () => Promise.resolve({ dispatchedSet: '' } as never),
          close: (_, { rows, absent = [] }) =>
            Promise.resolve({ emittedRows: rows.count + absent.length, heldBytes: 1, confirmed: Promise.resolve() }),
          abandon: () => undefined,
        },
        reader: {
          mostRowBytes: 1000,
          readLayout: this.#readLayout,
          listTables: () => Promise.resolve(['a', 'b', 'c'].map((table) => ({ ...layout, table }))),
          readKeys,
          readImages: this.#readImages,
          findAbsent: ({ keys, selection }: { keys: readonly Row[]; selection?: unknown }) => {
            this.asks.push(selection === undefined ? 'keys' : 'filter');
            return Promise.resolve(keys.filter(([key]) => Number(key) % 2 === 1));
          },
        } as never,
        chunkRows: 100,
        chunkBytes: 1000,
        pauseMs: 0,
        backoff: { initialMs: 1, maxMs: 1 },
        logger: silentLogger,
      },
    };
  }
}

/** Small integers as text, too: they are the same keys. */
function keysUpTo(count: number): string[] {
  return Array.from({ length: count }, (_, i) => (i % 3 === 0 ? `["${i}"]` : encodeKeyValues(layout, [i])));
}

describe('a read that was asked for', () => {
  it('by keys: finds the rows that are there, and ends the others', async () => {
    const world = new World();
    await world.request({ kind: 'keys', keys: keysUpTo(450) });
    const { ended, stop } = world.start();
    await world.until(() => world.state() === 'done');
    expect(world.store.reads.get('a')).toMatchObject({
      counts: { read: 225, emitted: 450, gone: 225 },
      confirmedKeys: 450,
      error: null,
    });
    stop();
    expect(await ended).toEqual(new Error('stopped'));
  });

  it.each([0, 1, 2, 3])('is continued by the next owner when the first one ends after %d records', async (records) => {
    const world = new World();
    await world.request({ kind: 'keys', keys: keysUpTo(450) });
    world.store.dieAfter = records;
    expect(await world.start().ended).toEqual(new Error('killed'));
    world.store.dieAfter = Infinity;
    const before = world.looked.length;
    const { stop } = world.start();
    await world.until(() => world.state() === 'done');
    stop();
    expect(world.store.reads.get('a')?.counts).toEqual({ read: 225, emitted: 450, gone: 225 });
    expect(new Set(world.looked).size).toBe(450);
    expect(world.looked.length - before).toBe(450 - 200 * Math.max(0, records - 1));
  });

  it('of a whole table is done when the snapshot has read it, and is not asked for twice', async () => {
    const world = new World();
    await world.request({ kind: 'table' });
    const first = world.start();
    await world.until(() => world.state() === 'running');
    first.stop();
    await first.ended;
    const second = world.start();
    world.finish({ state: 'copying', after: null, rowsRead: 3, goneBelow: null, again: false });
    world.finish({ state: 'done', rowsRead: 9 });
    const waiting = setInterval(() => world.finish(world.copy), 1);
    await world.until(() => world.state() === 'done');
    clearInterval(waiting);
    second.stop();
    expect(world.asked).toBe(1);
    expect(world.store.reads.get('a')?.counts).toEqual({ read: 9, emitted: null, gone: null });
  });

  it('of a whole table is done after one reading that began after it, however often the table is asked for', async () => {
    const world = new World();
    world.readings = { begun: 3, completed: 2, rowsRead: 5 };
    await world.request({ kind: 'table' });
    const { stop } = world.start();
    await world.until(() => world.state() === 'running');
    const next = { state: 'pending', endsGone: true } as const;
    world.tableError = new DittoError('DITTO_SOURCE_TIMEOUT', 'too slow', { retriable: true });
    world.finish(next);
    await world.until(() => world.store.reads.get('a')?.error?.message === 'too slow');
    world.tableError = null;
    // what was under way when it was asked for
    world.readings = { begun: 4, completed: 3, rowsRead: 6 };
    world.finish(next);
    await world.until(() => world.store.reads.get('a')?.error === null);
    expect(world.state()).toBe('running');
    world.readings = { begun: 5, completed: 4, rowsRead: 7 };
    world.finish(next);
    await world.until(() => world.state() === 'done');
    stop();
    expect(world.store.reads.get('a')?.counts.read).toBe(7);
  });

  it('of a whole table notices a reading that ends while its error is recorded', async () => {
    const world = new World();
    world.tableError = new DittoError('DITTO_SOURCE_TIMEOUT', 'too slow', { retriable: true });
    world.store.beforeSave = ({ error }) => {
      if (error === null) return;
      world.tableError = null;
      world.finish({ state: 'done', rowsRead: 7 });
    };
    await world.request({ kind: 'table' });
    const { stop } = world.start();
    await world.until(() => world.state() === 'done');
    stop();
    expect(world.store.reads.get('a')).toMatchObject({ error: null, counts: { read: 7 } });
  });

  it('shows why it is tried again, asks for less each time, and no longer shows it once it goes on', async () => {
    const world = new World();
    await world.request({ kind: 'keys', keys: keysUpTo(400) });
    const seen: unknown[] = [];
    world.beforeRead = () => {
      seen.push(world.store.reads.get('a')?.error?.message);
      if (seen.length <= 2)
        return Promise.reject(new DittoError('DITTO_SOURCE_TIMEOUT', `slow ${seen.length}`, { retriable: true }));
      return Promise.resolve();
    };
    const { stop } = world.start();
    await world.until(() => world.state() === 'done');
    stop();
    expect(seen.slice(0, 4)).toEqual([undefined, 'slow 1', 'slow 2', undefined]);
    expect(world.limits.slice(0, 3)).toEqual([200, 100, 50]);
    expect(world.store.reads.get('a')).toMatchObject({ error: null, confirmedKeys: 400, counts: { emitted: 400 } });
  });

  it('of a table that does not answer, or fails again and again, does not keep those of other tables waiting', async () => {
    const world = new World();
    for (let i = 0; i < 6; i++) await world.request({ kind: 'keys', keys: ['[1]'] }, `hangs ${i}`, 'hangs');
    for (let i = 0; i < 6; i++) await world.request({ kind: 'keys', keys: ['[1]'] }, `fails ${i}`, `fails ${i}`);
    await world.request({ kind: 'table' }, 'whole');
    await world.request({ kind: 'keys', keys: ['[1]'] }, 'other', 'free');
    world.beforeRead = (table) => {
      if (table === 'hangs') return new Promise(() => undefined);
      if (table === 'free') return Promise.resolve();
      return Promise.reject(new DittoError('DITTO_SOURCE_TIMEOUT', 'slow', { retriable: true }));
    };
    const { stop } = world.start();
    await world.until(() => world.state('other') === 'done' && world.state('whole') === 'running');
    stop();
    expect([world.state('hangs 0'), world.state('hangs 1')]).toEqual(['running', 'accepted']);
  });

  it('ends this ownership when another process owns the source', async () => {
    const world = new World();
    await world.request({ kind: 'keys', keys: keysUpTo(3) });
    world.store.token = 2;
    expect(await world.start().ended).toMatchObject({ code: 'DITTO_LEASE_FENCED' });
    expect(world.state()).toBe('accepted');
  });

  it('stops when it is cancelled', async () => {
    const world = new World();
    await world.request({ kind: 'keys', keys: keysUpTo(450) });
    world.beforeRead = async () => {
      await world.store.cancel('a');
    };
    const { stop } = world.start();
    await world.until(() => world.looked.length > 0);
    await world.request({ kind: 'keys', keys: keysUpTo(1) }, 'b');
    stop();
    expect([world.state(), world.looked.length]).toEqual(['cancelled', 200]);
  });

  it.each<[string, TableLayout | null, string, RegExp]>([
    ['that is not there', null, '[1]', /not there/],
    ['without a key', { ...layout, key: [] }, '[1]', /no key/],
    ['by what is not its key', layout, '[1,2]', /\[1,2\] is not one of its keys/],
  ])('of a table %s fails, and the others go on', async (_, found, key, message) => {
    const world = new World();
    world.layout = found;
    await world.request({ kind: 'keys', keys: [key] });
    const { stop } = world.start();
    await world.until(() => world.state() === 'failed');
    stop();
    expect(world.store.reads.get('a')?.error).toMatchObject({
      code: 'DITTO_READ_REFUSED',
      message: expect.stringMatching(message),
    });
  });
});

describe('what is refused at once', () => {
  it.each([
    [{ kind: 'keys', keys: [] } as const],
    [{ kind: 'keys', keys: keysUpTo(MOST_KEYS + 1) } as const],
    [{ kind: 'keys', keys: ['x'.repeat(2 ** 20 + 1)] } as const],
  ])('no keys, or too many', (scope) => {
    expect(() => assertAcceptable(layout, scope, () => true)).toThrow(
      expect.objectContaining({ code: 'DITTO_READ_REFUSED' }),
    );
  });

  it('a name that is longer than any, and all that is wrong at once', () => {
    const table = { database: 'shop', table: 'x'.repeat(65) };
    expect(() => assertAcceptable(table, { kind: 'keys', keys: [] }, () => true)).toThrow(
      expect.objectContaining({
        code: 'DITTO_READ_REFUSED',
        context: {
          problems: [
            expect.stringMatching(/^the name x{64}… has more than 64 characters$/),
            expect.stringMatching(/no key/),
          ],
        },
      }),
    );
  });

  it('a table that is not included', () => {
    expect(() => assertAcceptable(layout, { kind: 'table' }, () => false)).toThrow('shop.orders is not included');
    expect(() => assertAcceptable(layout, { kind: 'table' }, () => true)).not.toThrow();
  });
});

describe('a read of a range or a filter', () => {
  const range = { kind: 'range', from: '[10]', to: '["49"]' } as const;
  const evens = Array.from({ length: 20 }, (_, i) => 10 + 2 * i);

  it('reads the rows, and looks up what the mirror has and the source has not', async () => {
    const world = new World();
    world.mirrored = [10, 11, 48, 49];
    await world.request(range);
    const { ended, stop } = world.start();
    await world.until(() => world.state() === 'done');
    expect(world.looked).toEqual([...evens, 11, 49]);
    expect(world.store.reads.get('a')).toMatchObject({
      counts: { read: 20, emitted: 22, gone: 2 },
      place: { phase: 'gone', after: '49' },
    });
    stop();
    await ended;
  });

  it('goes on where it was when the process is killed, in either phase', async () => {
    for (let dieAfter = 1; dieAfter < 8; dieAfter++) {
      const world = new World();
      world.mirrored = [11, 13, 15];
      await world.request(range);
      world.store.dieAfter = dieAfter;
      const killed = world.start();
      await world.until(() => world.store.dieAfter < 0);
      killed.stop();
      await killed.ended;
      world.store.dieAfter = Infinity;
      const { place } = world.store.reads.get('a') as RequestedRead;
      world.looked.length = 0;
      const { ended, stop } = world.start();
      await world.until(() => world.state() === 'done');
      const last = Number(/\d+/.exec(place?.after ?? '')?.[0] ?? -1);
      const gone = [11, 13, 15];
      expect(world.looked).toEqual(
        place?.phase === 'gone' ? gone.filter((key) => key > last) : [...evens.filter((key) => key > last), ...gone],
      );
      expect(world.store.reads.get('a')).toMatchObject({ counts: { read: 20, gone: 3 } });
      stop();
      await ended;
    }
  });

  it('has a filter asked of the source where the mirror can tell what belongs to it, and keys alone where not', async () => {
    for (const isExact of [true, false]) {
      const world = new World();
      world.mirrored = [1];
      world.isExact = isExact;
      await world.request({ kind: 'filter', where: [{ column: '*', op: '>', value: '5' }] });
      world.layout = { ...layout, columns: layout.columns.map((column) => ({ ...column, name: '*' })) };
      const { ended, stop } = world.start();
      await world.until(() => world.state() === 'done');
      expect(world.asks).toEqual([isExact ? 'filter' : 'keys']);
      stop();
      await ended;
    }
  });

  it('ends as cancelled, and without a mirror when its rows are read', async () => {
    const world = new World();
    await world.request({ kind: 'range', from: null, to: null });
    world.beforeRead = async () => {
      if (world.looked.length > 0) await world.store.cancel('a');
    };
    const { ended, stop } = world.start();
    await world.until(() => world.state() === 'cancelled');
    expect(world.looked.length).toBeLessThan(40);
    world.beforeRead = () => Promise.resolve();
    stop();
    await ended;
    const alone = new World();
    alone.mirrored = null;
    await alone.request(range);
    const second = alone.start();
    await alone.until(() => alone.state() === 'done');
    expect(alone.store.reads.get('a')?.counts).toEqual({ read: 20, emitted: 20, gone: 0 });
    second.stop();
    await second.ended;
  });

  it('is refused where it does not fit the table', async () => {
    const world = new World();
    await world.request({ kind: 'filter', where: [{ column: 'nope', op: '=', value: 1 }] });
    await world.request({ kind: 'range', from: '["x"]', to: null }, 'b');
    const { ended, stop } = world.start();
    await world.until(() => world.state() === 'failed' && world.state('b') === 'failed');
    expect(world.store.reads.get('a')?.error).toMatchObject({
      code: 'DITTO_READ_REFUSED',
      message: expect.stringMatching(/no column nope/),
    });
    stop();
    await ended;
  });
});

describe('a read of all tables', () => {
  it('is done when every table that can be read was read again; its counts grow', async () => {
    const world = new World();
    await world.request({ kind: 'source' }, 'a', '');
    const { ended, stop } = world.start();
    await world.until(() => world.state() === 'running');
    expect([world.asked, world.store.reads.get('a')?.estimatedRows]).toEqual([1, 21]);
    world.copies.set('a', { state: 'done', rowsRead: 3 });
    world.copies.set('b', { state: 'unavailable', reason: 'no key' });
    world.finish({ state: 'copying', after: null, rowsRead: 2, goneBelow: null, again: false });
    await world.until(() => world.store.reads.get('a')?.counts.read === 5);
    expect(world.state()).toBe('running');
    world.finish({ state: 'done', rowsRead: 4 });
    await world.until(() => world.state() === 'done');
    expect(world.store.reads.get('a')?.counts).toEqual({ read: 7, emitted: null, gone: null });
    stop();
    await ended;
  });
});
