import { describe, expect, it } from '@jest/globals';
import { encodeKeyValues, type Row, type TableLayout } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import {
  type ListedRead,
  RequestedReadStore,
  type NewRead,
  type NextRead,
  type ReadProgress,
  type RequestedRead,
} from '../ports/requested-read-store.ts';
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
    return Promise.resolve([...this.reads.values()]);
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
      dispatchedSet: () => '',
      nowMs: () => 0,
      snapshot: {
        ask: () => {
          this.asked++;
          this.copy = { state: 'pending', endsGone: true };
          return Promise.resolve();
        },
        copyOf: () => this.copy,
        readingsOf: () => this.readings,
        failureOf: () => (this.tableError ? { error: this.tableError, attempts: 1, sinceMs: 0 } : undefined),
        waitUntilEnded: () => new Promise((ended) => this.#ended.push(ended)),
      },
      settings: {
        reads: {
          open: () => Promise.resolve({ dispatchedSet: '' } as never),
          close: (_, { rows, absent = [] }) =>
            Promise.resolve({ emittedRows: rows.length + absent.length, heldBytes: 1, confirmed: Promise.resolve() }),
          abandon: () => undefined,
        },
        reader: { mostRowBytes: 1000, readLayout: this.#readLayout, readKeys } as never,
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
