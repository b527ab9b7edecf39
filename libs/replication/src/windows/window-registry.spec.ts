import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  GtidAccumulator,
  GtidSet,
  KeyImages,
  type Row,
  type RowImages,
  type TableLayout,
  ValueImages,
} from '#change-events';
import { Window } from './window.ts';
import { type SettledWindow, WindowRegistry } from './window-registry.ts';
import { layout, SERVER } from '../../test/windowed-read-model.ts';

const KEYS = [0, 1, 2, 3, 4, 5];
const tables = [
  { database: 'd', table: 'a' },
  { database: 'd', table: 'b' },
  { database: 'e', table: 'a' },
];

function windowOn(of: TableLayout, readSequence: number, maxNotedBytes = 1_000_000): Window {
  return new Window({ id: `w${readSequence}`, layout: of, readSequence, dispatchedSet: '', maxNotedBytes });
}

function layoutOf(table: number, fingerprint = 'first'): TableLayout {
  return { ...layout, ...tables[table], fingerprint };
}

function images(of: TableLayout, keys: readonly number[]): ValueImages | null {
  return keys.length === 0 ? null : new ValueImages(of, keys.map((key) => [key, 1])); // prettier-ignore
}

/** Code that waits for a promise that is settled continues within a few turns of the queue. */
async function turn(): Promise<void> {
  for (let i = 0; i < 4; i++) await Promise.resolve();
}

/** What a window must do, kept by the plainest means. */
interface Expected {
  readonly window: Window;
  readonly table: number;
  readonly touched: Set<number>;
  isDiscarded: boolean;
  high: number | null;
  rows: readonly number[];
  absent: readonly number[];
  answer: SettledWindow | null | undefined;
}

const step = fc.record({
  kind: fc.constantFrom('open', 'open', 'change', 'change', 'change', 'hand in', 'hand in', 'end', 'end', 'statement', 'alter', 'abandon'), // prettier-ignore
  table: fc.nat(2),
  before: fc.subarray(KEYS, { maxLength: 2 }),
  after: fc.subarray(KEYS, { maxLength: 2 }),
  rows: fc.subarray(KEYS),
  which: fc.nat(20),
  ahead: fc.nat(3),
  isWhole: fc.boolean(),
});

describe('WindowRegistry', () => {
  it('I3, I4: a read gives what the log did not touch since its window was opened, after all that it saw, or nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
        const registry = new WindowRegistry();
        const passed = new GtidAccumulator(GtidSet.parse(''));
        const fingerprints = ['first', 'first', 'first'];
        const open: Expected[] = [];
        const emitted = new Map<Window, { rows: RowImages; absent: RowImages }>();
        const passages: { high: number; isPassed: boolean }[] = [];
        let [ended, opened] = [0, 0];
        const settle = (): void => {
          registry.settle(passed, (window, found) => {
            emitted.set(window, found);
            return { heldBytes: 0, confirmed: Promise.resolve() };
          });
        };
        const close = (expected: Expected): void => void open.splice(open.indexOf(expected), 1);
        for (const { kind, table, before, after, rows, which, ahead, isWhole } of steps) {
          const of = layoutOf(table, fingerprints[table]);
          let closings = 0;
          void registry.waitUntilClosed().then(() => closings++);
          const openBefore = open.length;
          if (kind === 'open') {
            const window = windowOn(of, ++opened);
            registry.add(window);
            const nothing = { isDiscarded: false, high: null, rows: [], absent: [], answer: undefined };
            open.push({ window, table, touched: new Set(), ...nothing });
          } else if (kind === 'change') {
            registry.note(of, images(of, before), images(of, after));
            for (const one of open)
              if (one.table === table) {
                for (const key of [...before, ...after]) one.touched.add(key);
                if (one.window.layout.fingerprint !== of.fingerprint) one.isDiscarded = true;
              }
          } else if (kind === 'hand in') {
            const one = open.filter(({ high }) => high === null)[which % Math.max(1, open.length)];
            if (one === undefined) continue;
            one.high = ended + ahead;
            one.rows = rows;
            one.absent = KEYS.filter((key) => !rows.includes(key));
            const read = {
              rows: new ValueImages(
                of,
                one.rows.map((key): Row => [key, 1]),
              ),
              absent: one.absent.map((key): Row => [key, null]),
              high: one.high === 0 ? '' : `${SERVER}:1-${one.high}`,
            };
            void registry.await(one.window, read).then((answer) => (one.answer = answer));
            const passage = { high: one.high, isPassed: false };
            passages.push(passage);
            void registry.waitUntilPassed(read).then(() => (passage.isPassed = true));
          } else if (kind === 'end') {
            passed.add(`${SERVER}:${++ended}`);
            settle();
          } else if (kind === 'statement') {
            const { database, table: name } = of;
            registry.discard(database, isWhole ? null : name, 'a statement');
            for (const one of open)
              if (one.window.layout.database === database && (isWhole || one.table === table)) one.isDiscarded = true;
          } else if (kind === 'alter') fingerprints[table] = `layout ${opened}`;
          else {
            const one = open.filter(({ high }) => high === null)[which % Math.max(1, open.length)];
            if (one !== undefined) {
              registry.remove(one.window);
              close(one);
            }
          }
          await turn();
          for (const one of [...open]) {
            const isDue = kind === 'end' && one.high !== null && one.high <= ended;
            if (!isDue) {
              expect([one.answer, emitted.has(one.window)]).toEqual([undefined, false]);
              continue;
            }
            close(one);
            if (one.isDiscarded) {
              expect([one.answer, emitted.has(one.window)]).toEqual([null, false]);
              continue;
            }
            const keysOf = (found?: RowImages): unknown[] =>
              Array.from({ length: found?.count ?? 0 }, (_, i) => found?.row(i)[0]);
            const untouched = (keys: readonly number[]): number[] => keys.filter((key) => !one.touched.has(key));
            expect(keysOf(emitted.get(one.window)?.rows)).toEqual(untouched(one.rows));
            expect(keysOf(emitted.get(one.window)?.absent)).toEqual(untouched(one.absent));
            expect(one.answer?.emittedRows).toBe(untouched(one.rows).length + untouched(one.absent).length);
          }
          if (kind === 'end') for (const { high, isPassed } of passages) expect(isPassed).toBe(high <= ended);
          expect(closings > 0).toBe(open.length < openBefore);
          expect(registry.isEmpty).toBe(open.length === 0);
          for (const [index, name] of tables.entries())
            expect(registry.hasOpen(name)).toBe(open.some((one) => one.table === index));
        }
      }),
      { numRuns: 100 },
    );
  }, 120_000);

  it('I9: a window that would have to keep more than its bound is discarded, by the length of the keys', async () => {
    const text = { ...layout.columns[0], kind: 'text', type: 'varchar(200)', charset: 'utf8mb4' };
    const wide = { ...layout, columns: [text, layout.columns[1]] } as TableLayout;
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => letter.repeat(200));
    for (const [bound, emits] of [
      [2000, null],
      [200_000, 0],
    ] as const) {
      const registry = new WindowRegistry();
      const window = windowOn(wide, 1, bound);
      registry.add(window);
      for (const [index, key] of keys.entries()) {
        registry.note(wide, null, new ValueImages(wide, [[key, 1]]));
        // what is noted already costs nothing more
        for (let again = 0; again < 50; again++) registry.note(wide, new KeyImages(wide, [[key, null]]), null);
        if (index < 3) expect(window.discardedBecause).toBeNull();
      }
      expect(window.discardedBecause === null).toBe(emits !== null);
      const answer = registry.await(window, { rows: new ValueImages(wide, [[keys[0] ?? '', 1]]), high: '' });
      registry.settle(new GtidAccumulator(GtidSet.parse('')), () => ({ heldBytes: 0, confirmed: Promise.resolve() }));
      expect((await answer)?.emittedRows ?? null).toBe(emits);
    }
  });

  it('I6: compares keys of whatever length to their ends', async () => {
    const text = { ...layout.columns[0], kind: 'text', type: 'longtext', charset: 'utf8mb4' };
    const wide = { ...layout, columns: [text, layout.columns[1]] } as TableLayout;
    const keys = ['a', 'b', 'c', 'd'].map((end) => '"é'.repeat(50_000) + end);
    const [noted, kept, gone, absent] = keys as [string, string, string, string];
    const registry = new WindowRegistry();
    const window = windowOn(wide, 1, 10_000_000);
    registry.add(window);
    registry.note(wide, new ValueImages(wide, [[noted, 1]]), new KeyImages(wide, [[gone, null]]));
    const rows = new ValueImages(wide, [noted, kept].map((key): Row => [key, 1])); // prettier-ignore
    const answer = registry.await(window, { rows, absent: [gone, absent].map((key): Row => [key, null]), high: '' });
    let emitted: unknown[] = [];
    registry.settle(new GtidAccumulator(GtidSet.parse('')), (_, found) => {
      emitted = [found.rows, found.absent].map((images) => [images.count, images.row(0)[0]]);
      return { heldBytes: 0, confirmed: Promise.resolve() };
    });
    expect(emitted).toEqual([
      [1, kept],
      [1, absent],
    ]);
    expect((await answer)?.emittedRows).toBe(2);
  });

  it('I9: says that less is held when rows are given away, and when the rows of a discarded window are not wanted', () => {
    const registry = new WindowRegistry();
    const passed = new GtidAccumulator(GtidSet.parse(''));
    const settle = (): boolean => registry.settle(passed, () => ({ heldBytes: 0, confirmed: Promise.resolve() }));
    const [first, second] = [windowOn(layout, 1), windowOn(layout, 2)];
    for (const [index, window] of [first, second].entries()) {
      window.readBytes = 100;
      registry.add(window);
      void registry.await(window, { rows: new ValueImages(layout, [[1, 1]]), high: `${SERVER}:1-${index + 1}` });
    }
    expect([settle(), registry.readBytes]).toEqual([false, 200]);
    second.discard('a reason');
    expect([settle(), registry.readBytes]).toEqual([true, 100]);
    passed.add(`${SERVER}:1`);
    expect([settle(), registry.readBytes]).toEqual([true, 0]);
    passed.add(`${SERVER}:2`);
    expect([settle(), registry.isEmpty]).toEqual([false, true]);
  });

  it('when the stream stops, waits for it learn why, and waits for an end of reads continue', async () => {
    const registry = new WindowRegistry();
    const window = windowOn(layout, 1);
    registry.add(window);
    const stopped = new Error('stopped');
    const read = registry.await(window, { rows: new ValueImages(layout, []), high: `${SERVER}:1` });
    const passage = registry.waitUntilPassed({ high: `${SERVER}:1` });
    const closed = registry.waitUntilClosed();
    registry.failAll(stopped);
    await expect(read).rejects.toBe(stopped);
    await expect(passage).rejects.toBe(stopped);
    await closed;
    expect(registry.isEmpty).toBe(true);
  });
});
