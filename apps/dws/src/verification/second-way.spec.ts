import { beforeEach, describe, expect, it } from '@jest/globals';
import { type Row, type TableLayout } from '#change-events';
import {
  type ChunkRequest,
  type ChunkVerdict,
  type Mismatch,
  type MismatchRecord,
  type MismatchState,
  type MismatchStore,
  type NewMismatch,
  type RowCounts,
  type RunChunk,
  sampleKeys,
  type TablePhase,
  type TakenChunk,
  type Verdict,
  type VerificationRunStore,
  type Way,
} from '#verification';
import { ChunkWork } from './chunk-work.ts';
import { type VerifiedSource } from './verified-source.ts';

const column = (name: string) => ({
  ...({ name, kind: 'integer', type: 'int', unsigned: false, precision: 0, scale: 0 } as const),
  ...{ length: 0, charset: null, labels: [] },
});
const layout: TableLayout = {
  ...{ database: 'shop', table: 't', columns: [column('id'), column('v')], key: [0], fingerprint: '' },
};
const ROWS = 10;
const keyOf = (id: number): Row => [id, null];

/** A table with the rows 0 to 9, which one of the ways may find to differ. */
class ComparedTable {
  readonly wrong: Record<Way, Set<number>> = { first: new Set(), second: new Set() };
  readonly restless = new Set<number>();
  isWaiting = false;
  readonly asked: Record<Way, number[]> = { first: [], second: [] };
  readonly records: MismatchRecord[] = [];
  readonly found: NewMismatch[] = [];
  counted: Record<Way, RowCounts> | null = null;

  async run(phase: TablePhase, secondWayShare: number, keys: readonly string[] | null = null): Promise<string> {
    const chunk: RunChunk = {
      ...{ id: '1', runId: 'r', database: 'shop', table: 't', sink: 'mongo', phase, number: 0 },
      ...{ after: null, end: null, attempts: 1 },
    };
    const scope = keys === null ? { kind: 'source' } : { kind: 'keys', database: 'shop', table: 't', keys };
    const taken = {
      chunk,
      run: { id: 'r', source: 'eu', scope, secondWayShare, createdAtMs: 5 },
      table: { keySignature: JSON.stringify([[['id', 'int', 'integer', []]], 'order']) },
    } as unknown as TakenChunk;
    const options = {
      ...{ runs: this.#runs(), mismatches: this.#mismatches(), source: this.#source(), chunkRows: 100 },
      repairs: { list: () => Promise.resolve([]), change: () => Promise.resolve(0) },
      ...{ onDue: () => undefined, onFound: (some: readonly NewMismatch[]) => this.found.push(...some) },
    };
    return (await new ChunkWork(options, taken, new AbortController().signal).run()).kind;
  }

  /** As it was found by an earlier run. */
  know(id: number, way: Way): void {
    const details = { way, differences: [], damage: null, storedVersion: null, fingerprint: null, shown: null };
    const known = { id: String(id), key: `[${id}]`, isKey: true, state: 'open', details };
    this.records.push(known as unknown as MismatchRecord);
  }

  states(): MismatchState[] {
    return this.records.map(({ state }) => state);
  }

  #judge(way: Way, keys: readonly Row[]): Verdict {
    const isIn = (known: ReadonlySet<number>) => (key: Row) => known.has(Number(key[0]));
    this.asked[way].push(...keys.map((key) => Number(key[0])));
    const mismatches = keys.filter(isIn(this.wrong[way])).map((key): Mismatch => ({
      ...{ kind: 'different', damage: null, key, row: key, stored: null },
      differences: [{ column: way, source: '1', sink: '2' }],
    }));
    const unsettled = keys.filter(isIn(this.restless));
    const equal = keys.length - mismatches.length - unsettled.length;
    return { state: 'judged', equal, mismatches, unsettled, quarantined: [] };
  }

  #source(): VerifiedSource {
    const verifier = (_: string, way: Way = 'first') =>
      Promise.resolve({
        verifyKeys: (_table: unknown, _layout: unknown, keys: readonly Row[]) =>
          Promise.resolve(
            this.isWaiting && way === 'second' ? { state: 'waiting', reason: 'x' } : this.#judge(way, keys),
          ),
        verifyChunk: ({ sampleShare = 0 }: ChunkRequest): Promise<ChunkVerdict> => {
          const keys = [...Array(ROWS).keys()].map(keyOf);
          return Promise.resolve({
            verdict: this.#judge(way, keys),
            sampled: sampleKeys(keys, sampleShare),
            lastKey: [9],
            complete: true,
            extrasIn: null,
          });
        },
      });
    const stream = { readTable: () => Promise.resolve({ generation: 1, copied: 'yes', layout }) };
    const reader = { readKeyOrder: () => Promise.resolve('order') };
    const sink = () => Promise.resolve({ seesExtras: () => false });
    return { stream, verifier, reader, sink } as unknown as VerifiedSource;
  }

  #runs(): VerificationRunStore {
    return {
      recordEnd: () => Promise.resolve({ end: { until: null, isLast: true }, next: null }),
      complete: (_: RunChunk, first: RowCounts, second: RowCounts) => {
        this.counted = { first, second };
        return Promise.resolve([]);
      },
    } as unknown as VerificationRunStore;
  }

  #mismatches(): MismatchStore {
    return {
      record: (found: readonly NewMismatch[]) => Promise.resolve(found),
      countIgnored: () => Promise.resolve(0),
      list: () => Promise.resolve(this.records),
      changeState: (id: string, _: unknown, { to }: { readonly to: MismatchState }) => {
        const at = this.records.findIndex((record) => record.id === id);
        this.records[at] = { ...(this.records[at] as MismatchRecord), state: to };
        return Promise.resolve(true);
      },
    } as unknown as MismatchStore;
  }
}

let table: ComparedTable;
beforeEach(() => {
  table = new ComparedTable();
});

describe('the second way of a run', () => {
  it('has its own counts; what only it has found is marked, what both have found is as the first has found it', async () => {
    table.wrong.first.add(1).add(2);
    table.wrong.second.add(2).add(3);
    table.restless.add(4);
    expect(await table.run('rows', 1)).toBe('done');
    const counted = { rows: ROWS, equal: 7, mismatches: 2, ignored: 0, unsettled: 1, quarantined: 0 };
    expect(table.counted).toEqual({ first: counted, second: counted });
    expect(table.found.map(({ key, details }) => [key, details.way, details.differences[0]?.column])).toEqual([
      ['[1]', 'first', 'first'],
      ['[2]', 'first', 'first'],
      ['[3]', 'second', 'second'],
    ]);
  });

  it('is not taken where its share is 0', async () => {
    table.wrong.second.add(3);
    expect(await table.run('rows', 0)).toBe('done');
    expect([table.asked.second, table.found, table.counted?.second.rows]).toEqual([[], [], 0]);
  });

  it('is taken by some chunks in a run of a small share', async () => {
    for (let i = 0; i < 200; i++) await table.run('rows', 0.1);
    expect(table.asked.second.length).toBeGreaterThan(0);
    expect(table.asked.second.length).toBeLessThan((200 * ROWS) / 2);
  });

  it('is taken by runs of keys', async () => {
    table.wrong.second.add(3);
    expect(await table.run('rows', 1, ['[3]', '[4]'])).toBe('done');
    expect(table.counted?.second).toMatchObject({ rows: 2, equal: 1, mismatches: 1 });
    expect(table.found).toMatchObject([{ key: '[3]', details: { way: 'second' } }]);
  });

  it('holds the chunk while it can not judge', async () => {
    table.isWaiting = true;
    table.wrong.first.add(1);
    expect(await table.run('rows', 1)).toBe('not judged');
    expect([table.found, table.counted]).toEqual([[], null]);
  });

  it('alone says that what it has found is gone', async () => {
    table.know(1, 'first');
    table.know(2, 'second');
    table.know(3, 'second');
    table.know(4, 'second');
    table.wrong.second.add(1).add(2);
    table.restless.add(4);
    await table.run('rechecks', 0);
    expect(table.states()).toEqual(['gone', 'open', 'gone', 'open']);
    expect(table.found).toMatchObject([{ key: '[2]', details: { way: 'second' } }]);
    expect(table.counted).toMatchObject({ first: { mismatches: 0, unsettled: 1 }, second: { mismatches: 1 } });
    table.wrong.second.clear();
    table.restless.clear();
    await table.run('rechecks', 0);
    expect(table.states()).toEqual(['gone', 'gone', 'gone', 'gone']);
  });

  it('leaves what the first way finds by now to it', async () => {
    table.know(1, 'second');
    table.wrong.first.add(1);
    await table.run('rechecks', 0);
    expect(table.asked.second).toEqual([]);
    expect(table.found).toMatchObject([{ key: '[1]', details: { way: 'first' } }]);
    expect(table.states()).toEqual(['open']);
  });
});
