import { describe, expect, it } from '@jest/globals';
import { DittoError, silentLogger } from '#kernel';
import { FailedEventStore, type NewFailedEvent, type QuarantineChanges } from '../ports/failed-event-store.ts';
import { Admission } from '../ports/quarantined-keys.ts';
import { type RefusedChange } from '../ports/refused-changes.ts';
import { Quarantine, type QuarantineOptions } from './quarantine.ts';

const table = { database: 'd', table: 't' };
const LOGGED = '00000001000000010000000000100000000000000000';
const READ = '000000010000000100000000001fffffffff00000007';
const LOWEST = '00000001000000010000000000080000000000000000';
const LATER = '00000001000000010000000000200000000000000000';
const tooLarge = new DittoError('DITTO_TEST_TOO_LARGE', 'too large');

type Loaded = Awaited<ReturnType<FailedEventStore['load']>>;

/** Only what the owner of a source asks. */
class Store extends FailedEventStore {
  loaded: Loaded = [];
  /** How many rows each answer had. */
  readonly loads: number[] = [];
  readonly recorded: NewFailedEvent[] = [];
  readonly settled: QuarantineChanges[] = [];
  readonly log: string[] = [];
  answer: () => Promise<void> = () => Promise.resolve();
  /** Whether a row is open when it has been recorded. */
  isOpen: (event: NewFailedEvent) => boolean = () => true;

  override load(_source: string, state?: 'open' | 'discarded'): Promise<Loaded> {
    const isWanted = ({ isDiscarded }: Loaded[number]): boolean =>
      state === undefined || isDiscarded === (state === 'discarded');
    const loaded = this.loaded.filter(isWanted);
    this.loads.push(loaded.length);
    return Promise.resolve(loaded);
  }

  override async record(_grant: unknown, event: NewFailedEvent): Promise<boolean> {
    await this.answer();
    this.log.push(`record ${event.sink} ${event.key}`);
    this.recorded.push(event);
    return this.isOpen(event);
  }

  override async settle(_grant: unknown, changes: QuarantineChanges): Promise<void> {
    await this.answer();
    this.log.push('settle');
    this.settled.push(changes);
  }

  override find = nobodyAsks;
  override list = nobodyAsks;
  override findQuarantined = nobodyAsks;
  override findLacking = nobodyAsks;
  override listDue = nobodyAsks;
  override retried = nobodyAsks;
  override discard = nobodyAsks;
  override count = nobodyAsks;
}

function nobodyAsks(): Promise<never> {
  return Promise.reject(new Error('nobody asks'));
}

function open(store: Store, options: Partial<QuarantineOptions> = {}): Promise<Quarantine> {
  return Quarantine.open({
    grant: { source: 's', owner: 'o', token: 1 },
    store,
    sinks: ['kafka', 'mongo'],
    mostKeys: 2,
    retryAfterMs: 5,
    backoff: { initialMs: 1, maxMs: 1 },
    logger: silentLogger,
    nowMs: () => 100,
    ...options,
  });
}

function refused(key: string): RefusedChange {
  return { table, key, id: 'u:1/0', version: LOGGED, gtid: 'u:1', file: 'b.1', offset: 4, payload: null };
}

describe('Quarantine', () => {
  it('I6: a row is held back from when its record is durable, in the sink that has refused it', async () => {
    const store = new Store();
    const quarantine = await open(store);
    const recording = Promise.withResolvers<undefined>();
    store.answer = () => recording.promise;
    const record = quarantine.record('kafka', refused('[1]'), tooLarge);
    await Promise.resolve();
    expect(quarantine.keysOf('kafka').isEmpty).toBe(true);
    recording.resolve(undefined);
    await record;
    expect(store.recorded).toMatchObject([{ sink: 'kafka', key: '[1]', table, code: tooLarge.code }]);
    expect(quarantine.keysOf('kafka').has({ ...table, key: '[1]' })).toBe(true);
    expect(quarantine.keysOf('mongo').isEmpty).toBe(true);
  });

  it('I6: what can not be recorded rejects with the error of the store', async () => {
    const store = new Store();
    const down = new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true });
    store.answer = () => Promise.reject(down);
    const quarantine = await open(store);
    await expect(quarantine.record('kafka', refused('[1]'), tooLarge)).rejects.toBe(down);
    expect(quarantine.keysOf('kafka').isEmpty).toBe(true);
  });

  it('I6: stops the source at the row that is one too many of its table; rows that are in it may be refused again', async () => {
    const store = new Store();
    store.loaded = [{ ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false }];
    const quarantine = await open(store);
    await quarantine.record('kafka', refused('[2]'), tooLarge);
    await quarantine.record('kafka', refused('[1]'), tooLarge);
    await expect(quarantine.record('kafka', refused('[3]'), tooLarge)).rejects.toMatchObject({
      code: 'DITTO_QUARANTINE_FULL',
      retriable: false,
      cause: tooLarge,
    });
    await quarantine.record('mongo', refused('[3]'), tooLarge);
    const other = { ...refused('[3]'), table: { database: 'd', table: 'other' } };
    await quarantine.record('kafka', other, tooLarge);
    quarantine.keysOf('kafka').discard({ ...table, key: '[1]' }, 'u:1/0');
    await quarantine.record('kafka', refused('[3]'), tooLarge);
  });

  it('I6: a discarded row that is refused anew is one more of its table, and needs room as any other', async () => {
    const store = new Store();
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: true },
      { ...table, key: '[2]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
    ];
    const quarantine = await open(store);
    const newer = { ...refused('[1]'), id: 'u:2/0', version: LATER };
    await quarantine.record('kafka', newer, tooLarge);
    expect(quarantine.status()).toMatchObject([{ keys: 2, discarded: 0 }]);
    const full = await open(store, { mostKeys: 1 });
    await expect(full.record('kafka', newer, tooLarge)).rejects.toMatchObject({ code: 'DITTO_QUARANTINE_FULL' });
    expect(full.status()).toMatchObject([{ keys: 1, discarded: 1 }]);
  });

  it('I6: what was discarded stays so when it is delivered again, and takes no room', async () => {
    const store = new Store();
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: true },
      { ...table, key: '[2]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
    ];
    store.isOpen = ({ key }) => key !== '[1]';
    const recorded: string[] = [];
    const quarantine = await open(store, { mostKeys: 1, onRecorded: (_, { key }) => recorded.push(key) });
    const keys = quarantine.keysOf('kafka');
    const admission = new Admission(keys);
    const one = { ...table, key: '[1]' };
    // the log is repeated from a checkpoint before it; then in the log of another server, where versions are greater
    expect([admission.admits(one, LOWEST), admission.admits(one, LOGGED)]).toEqual([false, false]);
    await quarantine.record('kafka', { ...refused('[1]'), version: LATER }, tooLarge);
    expect(quarantine.status()).toMatchObject([{ keys: 1, discarded: 1 }]);
    expect(recorded).toEqual([]);
    expect(admission.admits(one, LATER)).toBe(true);
    admission.noteTaken();
    expect(keys.has(one)).toBe(false);
  });

  it('I6: what was discarded stays so when it is only read again, and takes no room; a change of its row does not', async () => {
    const store = new Store();
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: true },
      { ...table, key: '[2]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
    ];
    store.isOpen = ({ id }) => id !== 'w:1/k';
    const quarantine = await open(store, { mostKeys: 1 });
    // a retry that was asked for before the discard
    const read = { ...refused('[1]'), id: 'w:1/k', version: READ };
    await quarantine.record('kafka', read, tooLarge);
    expect(quarantine.status()).toMatchObject([{ keys: 1, discarded: 1 }]);
    const change = { ...refused('[1]'), id: 'u:2/0', version: LATER };
    await expect(quarantine.record('kafka', change, tooLarge)).rejects.toMatchObject({ code: 'DITTO_QUARANTINE_FULL' });
    // the change that was discarded, not the read of it, comes again in the log of another server
    await quarantine.record('kafka', { ...refused('[1]'), version: LATER }, tooLarge);
  });

  it('I6: a row that is refused once more takes no further room while that is recorded', async () => {
    const store = new Store();
    store.loaded = [{ ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false }];
    const quarantine = await open(store);
    await Promise.all(['[1]', '[2]'].map((key) => quarantine.record('kafka', refused(key), tooLarge)));
    expect(quarantine.keysOf('kafka').countOf(table)).toBe(2);
  });

  it('counts rows that are being recorded', async () => {
    const store = new Store();
    const quarantine = await open(store, { mostKeys: 1 });
    const results = await Promise.allSettled(
      ['[1]', '[2]', '[3]'].map((key) => quarantine.record('kafka', refused(key), tooLarge)),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  });

  it('I6: with room for none the source stops with the error of the sink', async () => {
    const quarantine = await open(new Store(), { mostKeys: 0 });
    await expect(quarantine.record('kafka', refused('[1]'), tooLarge)).rejects.toBe(tooLarge);
  });

  it('is as the last owner has left it; who was discarded is tried with the next change', async () => {
    const store = new Store();
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
      { ...table, key: '[2]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: true },
      { ...table, key: '[3]', sink: 'gone', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
    ];
    const keys = (await open(store)).keysOf('kafka');
    expect(['[1]', '[2]', '[3]'].map((key) => keys.isTried(table, key, LATER))).toEqual([false, true, null]);
    expect(keys.isTried(table, '[1]', READ)).toBe(true);
  });

  it('stores what was held back and what has left, before a row that comes back is recorded', async () => {
    const store = new Store();
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
      { ...table, key: '[2]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
    ];
    const quarantine = await open(store);
    const keys = quarantine.keysOf('kafka');
    const admission = new Admission(keys);
    const [one, two] = [
      { ...table, key: '[1]' },
      { ...table, key: '[2]' },
    ];
    expect([admission.admits(one, LOGGED), admission.admits(one, LOGGED), admission.admits(two, READ)]).toEqual([
      ...[false, false, true],
    ]);
    admission.noteHeld();
    admission.noteTaken();
    await quarantine.record('kafka', refused('[2]'), tooLarge);
    expect(store.settled).toEqual([
      {
        held: [{ sink: 'kafka', ...one, count: 2, lastMs: 100 }],
        delivered: [{ sink: 'kafka', ...two, version: READ }],
        endedTables: [],
      },
    ]);
    expect(store.log).toEqual(['settle', 'record kafka [2]']);
    expect(quarantine.status()).toEqual([{ sink: 'kafka', ...table, keys: 2, discarded: 0, heldChanges: 2 }]);
  });

  it('what could not be stored is stored later, and nothing of it twice', async () => {
    const store = new Store();
    store.loaded = [{ ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false }];
    const quarantine = await open(store);
    const hold = (): void => {
      const admission = new Admission(quarantine.keysOf('kafka'));
      admission.admits({ ...table, key: '[1]' }, LOGGED);
      admission.noteHeld();
    };
    hold();
    store.answer = () => Promise.reject(new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true }));
    await quarantine.storeLast();
    hold();
    store.answer = () => Promise.resolve();
    await quarantine.storeLast();
    await quarantine.storeLast();
    expect(store.settled.map(({ held }) => held.map(({ count }) => count))).toEqual([[2]]);
  });

  it('I6: stores any number of changes in parts, and keeps what of them is not stored yet', async () => {
    const store = new Store();
    const keys = Array.from({ length: 250 }, (_, i) => `[${i}]`);
    store.loaded = keys.map((key) => ({
      ...table,
      key,
      sink: 'kafka',
      version: LOGGED,
      changeId: 'u:1/0',
      isDiscarded: false,
    }));
    const quarantine = await open(store, { mostKeys: 1000 });
    const admission = new Admission(quarantine.keysOf('kafka'));
    for (const key of keys) {
      admission.admits({ ...table, key }, LOGGED);
      admission.admits({ ...table, key }, READ);
    }
    admission.noteHeld();
    admission.noteTaken();
    const sizeOf = (changes: QuarantineChanges): number => changes.held.length + changes.delivered.length;
    let parts = 0;
    store.answer = () =>
      parts++ < 3 ? Promise.resolve() : Promise.reject(new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true }));
    await quarantine.storeLast();
    expect(store.settled.map(sizeOf)).toEqual([25, 25, 25]);
    store.answer = () => Promise.resolve();
    await quarantine.record('kafka', refused('[0]'), tooLarge);
    expect(store.settled.map(sizeOf)).toEqual(Array<number>(20).fill(25));
    for (const kind of ['held', 'delivered'] as const)
      expect(store.settled.flatMap((changes) => changes[kind].map(({ key }) => key))).toEqual(keys);
    expect(store.log.at(-1)).toBe('record kafka [0]');
  });

  it('I6: the end of a table frees its rows, durably before the stream goes on, and says with which change', async () => {
    const store = new Store();
    store.loaded = [{ ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false }];
    const quarantine = await open(store);
    await quarantine.endTable('mongo', table, LOGGED);
    store.answer = () => Promise.reject(new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true }));
    await expect(quarantine.endTable('kafka', table, LOGGED)).rejects.toMatchObject({ code: 'DITTO_TEST_DOWN' });
    expect(quarantine.keysOf('kafka').isEmpty).toBe(true);
    store.answer = () => Promise.resolve();
    await quarantine.endTable('kafka', table, LOGGED);
    expect(store.settled).toEqual([
      { held: [], delivered: [], endedTables: [{ sink: 'kafka', ...table, version: LOGGED }] },
    ]);
  });

  it('the end of a table waits for what is to be stored of that table, and for nothing else', async () => {
    const store = new Store();
    const other = { database: 'd', table: 'other' };
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
      { ...other, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
    ];
    const quarantine = await open(store);
    const admission = new Admission(quarantine.keysOf('kafka'));
    admission.admits({ ...other, key: '[1]' }, READ);
    admission.noteTaken();
    admission.admits({ ...table, key: '[1]' }, LATER);
    admission.noteHeld();
    store.answer = () => Promise.reject(new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true }));
    await quarantine.endTable('kafka', { database: 'd', table: 'third' }, LATER);
    await quarantine.endTable('mongo', other, LATER);
    // it has left, and that is not stored
    await expect(quarantine.endTable('kafka', other, LATER)).rejects.toMatchObject({ code: 'DITTO_TEST_DOWN' });
    const storing = Promise.withResolvers<undefined>();
    store.answer = () => storing.promise;
    const stored = quarantine.storeLast();
    await quarantine.endTable('mongo', other, LATER);
    let hasEnded = false;
    const ended = quarantine.endTable('kafka', other, LATER).then(() => (hasEnded = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(hasEnded).toBe(false);
    storing.resolve(undefined);
    await Promise.all([stored, ended]);
  });

  it('learns what was discarded meanwhile, and asks for no other row again', async () => {
    const store = new Store();
    const other = { ...table, key: '[2]', sink: 'mongo', version: LOGGED, changeId: 'u:1/0', isDiscarded: false };
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
      other,
    ];
    const quarantine = await open(store);
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: true },
      other,
    ];
    const stop = new AbortController();
    const run = quarantine.run(stop.signal);
    while (quarantine.keysOf('kafka').isTried(table, '[1]', LATER) !== true)
      await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort();
    await expect(run).rejects.toBeDefined();
    expect(quarantine.status()).toMatchObject([
      { keys: 0, discarded: 1 },
      { keys: 1, discarded: 0 },
    ]);
    expect(store.loads.slice(0, 2)).toEqual([2, 1]);
  });

  it('rows that are read are tried with the next change, too, in each sink that has refused them', async () => {
    const store = new Store();
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
      { ...table, key: '[2]', sink: 'mongo', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
    ];
    const quarantine = await open(store);
    quarantine.tryNext(table, ['[1]', '[3]']);
    expect(quarantine.keysOf('kafka').isTried(table, '[1]', LOGGED)).toBe(true);
    expect(quarantine.keysOf('kafka').isTried(table, '[3]', LOGGED)).toBeNull();
    expect(quarantine.keysOf('mongo').isTried(table, '[2]', LOGGED)).toBe(false);
  });
});

describe('Admission', () => {
  it('a further message of a change leads nothing out, and follows the one that does', async () => {
    const store = new Store();
    store.loaded = [{ ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false }];
    const keys = (await open(store)).keysOf('kafka');
    const held: string[] = [];
    keys.onHeld = ({ key }) => held.push(key);
    const one = { ...table, key: '[1]' };
    const first = new Admission(keys);
    expect(first.admits(one, LOGGED)).toBe(false);
    first.noteHeld();
    // discarded before the tombstone of that delete comes
    keys.discard(one, 'u:1/0');
    const second = new Admission(keys);
    expect(second.admits(one, LOGGED, false)).toBe(false);
    second.noteHeld();
    second.noteTaken();
    expect([keys.has(one), held]).toEqual([true, ['[1]']]);
    const third = new Admission(keys);
    expect([third.admits(one, READ), third.admits(one, READ, false)]).toEqual([true, true]);
    third.noteTaken();
    expect(keys.isEmpty).toBe(true);
    expect(new Admission(keys).admits(one, READ, false)).toBe(true);
  });

  it('I6: a row leaves with a change that is not older than what was refused, and is tried until then', async () => {
    const store = new Store();
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: READ, changeId: 'w/7/h', isDiscarded: false },
      { ...table, key: '[2]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
    ];
    const quarantine = await open(store);
    const keys = quarantine.keysOf('kafka');
    const [one, two] = [
      { ...table, key: '[1]' },
      { ...table, key: '[2]' },
    ];
    const take = (of: typeof one, version: string): void => {
      const admission = new Admission(keys);
      expect(admission.admits(of, version)).toBe(true);
      admission.noteTaken();
    };
    // the log is repeated from before the read that was refused last
    quarantine.tryNext(table, ['[1]', '[2]']);
    take(one, LOGGED);
    take(one, LOGGED.replace(/0$/, '1'));
    expect(keys.has(one)).toBe(true);
    // refused again while an older change was being delivered
    const older = new Admission(keys);
    expect(older.admits(two, LOGGED)).toBe(true);
    await quarantine.record('kafka', { ...refused('[2]'), version: LOGGED.replace(/0$/, '1') }, tooLarge);
    older.noteTaken();
    expect(keys.has(two)).toBe(true);
    take(two, READ);
    await quarantine.storeLast();
    expect(store.settled.flatMap(({ delivered }) => delivered.map(({ key }) => key))).toEqual(['[2]']);
    take(one, READ);
    expect(keys.isEmpty).toBe(true);
  });

  it('what follows a change that is tried is delivered with it, and a row that is refused again stays', async () => {
    const store = new Store();
    store.loaded = [
      { ...table, key: '[1]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
      { ...table, key: '[2]', sink: 'kafka', version: LOGGED, changeId: 'u:1/0', isDiscarded: false },
    ];
    const keys = (await open(store)).keysOf('kafka');
    const seen: string[] = [];
    keys.onTaken = ({ key }, version) => seen.push(`${key} ${version}`);
    const admission = new Admission(keys);
    const one = { ...table, key: '[1]' };
    const two = { ...table, key: '[2]' };
    const later = LOGGED.replace('100000000000000000', '200000000000000000');
    expect([admission.admits(one, READ), admission.admits(one, later), admission.admits(two, READ)]).toEqual([
      ...[true, true, true],
    ]);
    admission.refused(two);
    admission.noteTaken();
    expect(seen).toEqual([`[1] ${later}`]);
    expect([keys.has(one), keys.has(two)]).toEqual([false, true]);
  });
});
