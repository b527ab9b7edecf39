import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Deferred } from '#kernel';
import { type Grant, type TableRecord, TableStore } from '../ports/stores.ts';
import { layout } from '../../test/windowed-read-model.ts';
import { TableKeys } from '../tables/table-keys.ts';
import { isCopied, newRecord } from '../tables/table-record.ts';
import { TableRecords } from '../tables/table-records.ts';
import { SnapshotProgress } from './snapshot-progress.ts';

const grant: Grant = { source: 's', token: 1, owner: 'o' };
const table = { database: 'd', table: 'a' };

/** Of one table. Keeps with it when the reading of that progress had begun. */
class Store extends TableStore {
  stored: TableRecord | null = null;
  storedReading: ReadingTimes = { began: 0, completed: 0, ended: 0 };
  saves = 0;
  /** Saves that wait, when they are held back. */
  held: (() => void)[] | null = null;
  isDown = false;
  /** Of the progress that is given to `save`. */
  reading: ReadingTimes = this.storedReading;

  load = (): Promise<readonly TableRecord[]> => Promise.resolve(this.known());
  reserveReads = (): Promise<void> => Promise.resolve();
  reservedReads = (): Promise<number> => Promise.resolve(0);

  async save(
    _: Grant,
    [given]: readonly [TableRecord],
    hasSameAdopted: (record: TableRecord) => boolean,
  ): Promise<void> {
    const { reading, held } = this;
    if (held !== null) await new Promise<void>((resolve) => held.push(resolve));
    if (this.isDown) throw new Error('down');
    this.saves++;
    const record = hasSameAdopted(given) ? { ...given, adopted: this.stored?.adopted ?? null } : given;
    // what is not written is there already
    expect(record).toEqual(given);
    if (this.stored !== null) expectRaised(this.stored, record);
    this.stored = record;
    this.storedReading = reading;
  }

  known(): readonly TableRecord[] {
    return this.stored === null ? [] : [this.stored];
  }

  letThrough(): void {
    for (const save of this.held?.splice(0) ?? []) save();
  }
}

/** Who sees both knows by their generations that the sinks may have differed from the table between. */
function expectRaised(before: TableRecord, after: TableRecord): void {
  expect(after.generation).toBeGreaterThanOrEqual(before.generation);
  const hasEnded = isCopied(before) === 'yes' && isCopied(after) !== 'yes';
  if (hasEnded || !isDeepStrictEqual(after.adopted, before.adopted))
    expect(after.generation).toBeGreaterThan(before.generation);
}

/** In steps since the beginning. */
interface ReadingTimes {
  /** When the reading that is under way began. */
  readonly began: number;
  /** When the last one that was completed had begun, and the last one that also ended rows which were gone. */
  readonly completed: number;
  readonly ended: number;
}

function openRecords(store: Store): TableRecords {
  return new TableRecords({ grant, store, known: store.known() });
}

function openProgress(store: Store, options: { cascadePauseMs?: number; nowMs?: () => number } = {}): SnapshotProgress {
  return new SnapshotProgress({ records: openRecords(store), cascadePauseMs: 0, nowMs: () => 0, ...options });
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const steps = [
  'request',
  'losing request',
  'cascade',
  'read',
  'read to the end',
  'fail',
  'other columns',
  'other key',
  'drop',
  'hold saves',
  'let saves through',
  'continue saving',
  'down',
  'up',
  'crash',
] as const;
type Step = (typeof steps)[number];
const often: readonly Step[] = [
  'read',
  'read',
  'read',
  'read to the end',
  'read to the end',
  'request',
  'cascade',
  'cascade',
  'other columns',
];

/** One service after another that owns the source; each reads the table as `WindowedSnapshot` does. */
class Run {
  readonly store = new Store();
  #records = openRecords(this.store);
  #progress = this.#openProgress();
  #keys = new TableKeys(this.#records, () => '');
  /** What counted in memory after the last step. */
  #former: TableRecord | undefined;
  /** For each generation under which the table was stored as copied: the last request that it covered. */
  readonly #copied = new Map<number, number>();
  #layouts = 0;
  #now = 0;
  /** What each reading does next; null: none is under way. */
  #next: 'begin' | 'record' | 'complete rows' | 'complete ending' | null = null;
  #crashes = 0;
  /** When the last request, and the last one that may have taken rows away, was made that has been confirmed. */
  #asked = 0;
  #lost = 0;

  async step(step: Step): Promise<void> {
    this.#now++;
    const { store } = this;
    const now = this.#now;
    switch (step) {
      case 'request':
      case 'losing request':
        this.#note(this.#progress.request(table, step !== 'request'), step !== 'request');
        break;
      case 'cascade':
        if (this.#progress.isAsked([table])) this.#confirm(now, true);
        else this.#note(this.#progress.ask([table]), true);
        break;
      case 'read':
        this.#read();
        break;
      case 'read to the end':
        do this.#read();
        while (this.#next !== null);
        break;
      case 'fail':
        this.#fail();
        break;
      case 'other columns':
        this.#adopt(this.#keys.learn({ ...layout, ...table, fingerprint: `${++this.#layouts}` }));
        break;
      case 'other key':
        this.#adopt(this.#keys.keep({ ...layout, ...table, key: [this.#layouts++ % 2] }, true));
        break;
      case 'drop':
        this.#adopt(this.#keys.forget(table));
        break;
      case 'hold saves':
        store.held ??= [];
        break;
      case 'let saves through':
        store.letThrough();
        break;
      case 'continue saving':
        store.letThrough();
        store.held = null;
        break;
      case 'down':
      case 'up':
        store.isDown = step === 'down';
        break;
      case 'crash':
        await this.#crash();
    }
    await turn();
    this.#check();
  }

  #openProgress(): SnapshotProgress {
    return new SnapshotProgress({ records: this.#records, cascadePauseMs: 0, nowMs: () => 0 });
  }

  /** What can't be saved is tried again by the next adoption. */
  #adopt(saved: Promise<void>): void {
    saved.catch(() => undefined);
  }

  #note(saved: Promise<void>, losesRows: boolean): void {
    const now = this.#now;
    const crashes = this.#crashes;
    saved.then(
      () => crashes === this.#crashes && this.#confirm(now, losesRows),
      () => undefined,
    );
  }

  #confirm(at: number, losesRows: boolean): void {
    this.#asked = Math.max(this.#asked, at);
    if (losesRows) this.#lost = Math.max(this.#lost, at);
  }

  #read(): void {
    const { store } = this;
    const progress = this.#progress;
    const copy = progress.get(table)?.copy;
    if (copy === undefined) return;
    if (this.#next === null) {
      if (progress.next(() => true) === undefined) return;
      progress.take(table);
      this.#next = 'begin';
      return;
    }
    const isWanted = progress.isWanted(table);
    if (this.#next === 'begin' && !isWanted) {
      this.#release();
      return;
    }
    switch (this.#next) {
      case 'begin':
        if (copy.state === 'pending') store.reading = { ...store.reading, began: this.#now };
        progress.begin(table, copy.state === 'pending' && copy.endsGone ? 'version' : null);
        this.#next = copy.state === 'ending' ? 'complete ending' : 'record';
        break;
      case 'record':
        progress.record(table, '[1]', 1);
        this.#next = 'complete rows';
        break;
      case 'complete rows':
        if (isWanted && copy.state === 'copying' && copy.goneBelow === null)
          store.reading = { ...store.reading, completed: store.reading.began };
        progress.completeRows(table);
        if (progress.get(table)?.copy.state === 'ending') this.#next = 'complete ending';
        else this.#release();
        break;
      case 'complete ending': {
        const { began } = store.reading;
        if (isWanted) store.reading = { began, completed: began, ended: began };
        progress.completeEnding(table);
        this.#release();
      }
    }
    progress.save(table).catch(() => undefined);
  }

  #fail(): void {
    if (this.#next !== 'begin') return;
    this.#progress.fail(table, 'the table is gone');
    this.#progress.save(table).catch(() => undefined);
    // it has no row: whatever was asked before this reading was taken up is done
    if (this.#progress.get(table)?.copy.state === 'unavailable')
      this.store.reading = { began: this.#now, completed: this.#now, ended: this.#now };
    this.#release();
  }

  #release(): void {
    this.#progress.release(table);
    this.#next = null;
  }

  /** Saves that are on their way land, or fail, before another owner loads. */
  async #crash(): Promise<void> {
    this.#crashes++;
    this.store.isDown = true;
    this.store.letThrough();
    await turn();
    Object.assign(this.store, { isDown: false, held: null, reading: this.store.storedReading });
    this.#next = null;
    this.#records = openRecords(this.store);
    this.#progress = this.#openProgress();
    this.#keys = new TableKeys(this.#records, () => '');
    this.#former = undefined;
  }

  /** What is done covers all that was confirmed, and what is copied again since a request has another generation. */
  #check(): void {
    const { stored, storedReading: reading } = this.store;
    const current = this.#progress.get(table);
    if (this.#former !== undefined && current !== undefined) expectRaised(this.#former, current);
    this.#former = current;
    if (stored !== null && isCopied(stored) === 'yes') {
      const covered = this.#copied.get(stored.generation) ?? this.#asked;
      expect(covered).toBe(this.#asked);
      this.#copied.set(stored.generation, covered);
    }
    for (const [record, times] of [
      [stored, reading],
      [this.#progress.get(table), this.store.reading],
    ] as const) {
      if (record?.copy.state !== 'done' && record?.copy.state !== 'unavailable') continue;
      expect(times.completed).toBeGreaterThanOrEqual(this.#asked);
      expect(times.ended).toBeGreaterThanOrEqual(this.#lost);
    }
  }
}

describe('SnapshotProgress', () => {
  it('I1, I4: after any requests, readings, failed saves and crashes, what is done covers each request that was confirmed, and a generation stands for one copy of one layout', async () => {
    let [done, readTwice] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...steps, ...often), { maxLength: 60 }), async (taken) => {
        const run = new Run();
        for (const step of ['cascade', ...taken] as const) await run.step(step);
        if (run.store.stored?.copy.state === 'done') done++;
        if (run.store.storedReading.completed > 6) readTwice++;
      }),
      { numRuns: 700 },
    );
    expect([done > 5, readTwice > 5]).toEqual([true, true]);
  }, 60_000);

  it('I1: takes nothing for asked that a crash could still forget', async () => {
    const store = new Store();
    const copy = { state: 'copying', after: '[5]', rowsRead: 5, goneBelow: 'X', again: false } as const;
    store.stored = { ...newRecord(table), copy };
    const progress = openProgress(store);
    store.held = [];
    const requested = progress.request(table);
    await turn();
    expect(progress.isAsked([table])).toBe(false);
    store.letThrough();
    await requested;
    expect(progress.isAsked([table])).toBe(true);
  });

  it('treats a table as not asked while a reading of it is about to begin, and saves nothing again', async () => {
    const store = new Store();
    const progress = openProgress(store);
    await progress.ask([table]);
    progress.take(table);
    expect(progress.isAsked([table])).toBe(false);
    await progress.ask([table]);
    expect(store.saves).toBe(1);
    progress.fail(table, 'it was not there when its reading was taken up');
    expect(progress.get(table)?.copy.state).toBe('pending');
  });

  it('I4: a statement while a reading is about to begin is not covered by what that reading found', async () => {
    const progress = openProgress(new Store());
    await progress.request(table);
    progress.take(table);
    await progress.request(table);
    progress.fail(table, 'it was not there when its reading was taken up');
    expect(progress.get(table)?.copy.state).toBe('pending');
  });

  it('I4: ends rows for a cascade although a statement, which takes none away, has the table read from its first row', async () => {
    const progress = openProgress(new Store());
    await progress.request(table);
    progress.take(table);
    progress.begin(table, null);
    await progress.ask([table]);
    await progress.request(table);
    expect(progress.get(table)?.copy).toEqual({ state: 'pending', endsGone: true });
  });

  it('takes a table for asked while a read of it is recorded, and after a reading that did not begin', async () => {
    const store = new Store();
    const copy = { state: 'copying', after: null, rowsRead: 0, goneBelow: 'X', again: true } as const;
    store.stored = { ...newRecord(table), copy };
    const progress = openProgress(store);
    progress.take(table);
    expect(progress.isAsked([table])).toBe(false);
    progress.release(table);
    expect(progress.isAsked([table])).toBe(true);
    progress.take(table);
    progress.begin(table, null);
    store.held = [];
    progress.record(table, '[1]', 1);
    const saved = progress.save(table);
    await turn();
    expect(progress.isAsked([table])).toBe(true);
    store.letThrough();
    await saved;
  });

  it('takes nothing for asked whose save has failed: it may have been saved or not', async () => {
    const store = new Store();
    const progress = openProgress(store);
    await progress.ask([table]);
    store.isDown = true;
    await expect(progress.request(table)).rejects.toThrow('down');
    expect(progress.isAsked([table])).toBe(false);
    store.isDown = false;
    await progress.ask([table]);
    expect(progress.isAsked([table])).toBe(true);
  });

  it('I4: a statement for a table that was left out has gone rows end: some may have gone meanwhile', async () => {
    const progress = openProgress(new Store());
    await progress.request(table);
    expect(progress.get(table)?.copy).toEqual({ state: 'pending', endsGone: true });
  });

  it('rests after a reading that ended rows, and after no other', async () => {
    const progress = openProgress(new Store(), { cascadePauseMs: 60, nowMs: () => 1000 });
    const readOnce = (goneBelow: string | null): void => {
      progress.take(table);
      progress.begin(table, goneBelow);
      progress.completeRows(table);
      progress.completeEnding(table);
      progress.release(table);
    };
    await progress.plan([{ layout, estimatedRows: 0 }]);
    readOnce(null);
    expect(progress.restMs()).toBe(null);
    await progress.ask([table]);
    readOnce('X');
    expect(progress.restMs()).toBe(60);
  });

  it('counts the readings that are complete, also of a table that is asked for without end', async () => {
    const progress = openProgress(new Store());
    expect(progress.readingsOf(table)).toEqual({ begun: 0, completed: 0, rowsRead: 0 });
    await progress.ask([table]);
    for (const reading of [1, 2]) {
      progress.take(table);
      progress.begin(table, 'X');
      await progress.ask([table]);
      progress.record(table, '[1]', reading);
      progress.completeRows(table);
      expect(progress.readingsOf(table)).toMatchObject({ begun: reading, completed: reading - 1 });
      progress.completeEnding(table);
      progress.release(table);
      expect(progress.get(table)?.copy.state).toBe('pending');
      expect(progress.readingsOf(table)).toEqual({ begun: reading, completed: reading, rowsRead: reading });
    }
  });

  it('ends no rows of a table that could not be read once it is asked for without need', async () => {
    const progress = openProgress(new Store());
    await progress.ask([table]);
    progress.take(table);
    progress.fail(table, 'it has no key');
    expect(progress.get(table)?.copy).toEqual({ state: 'unavailable', reason: 'it has no key' });
  });

  it('knows no table that was only looked up', () => {
    const progress = openProgress(new Store());
    expect([progress.isWanted(table), progress.isAsked([table])]).toEqual([true, false]);
    progress.release(table);
    expect(progress.list()).toEqual([]);
  });

  it('saves what many ask for together', async () => {
    const store = new Store();
    const progress = openProgress(store);
    const gate = new Deferred<undefined>();
    const sizes: number[] = [];
    store.save = async (_, entries) => {
      sizes.push(entries.length);
      await gate.promise;
    };
    const asked = Array.from({ length: 1200 }, (_, i) => progress.request({ database: 'd', table: `t${i}` }));
    gate.resolve(undefined);
    await Promise.all(asked);
    expect(sizes).toEqual([500, 500, 200]);
  });
});
