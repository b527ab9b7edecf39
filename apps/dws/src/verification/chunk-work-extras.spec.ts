import { describe, expect, it } from '@jest/globals';
import { type Row } from '#change-events';
import { assumeLayout } from '#replication';
import {
  type ChunkEnd,
  type ChunkRequest,
  type ChunkVerdict,
  type DueChunk,
  type ForeignRow,
  type KeyRange,
  type ListedPage,
  type MismatchStore,
  type NewMismatch,
  type RepairStore,
  type RowCounts,
  type RunChunk,
  type TablePhase,
  type TakenChunk,
  type Verdict,
  type VerificationRunStore,
} from '#verification';
import { type ChunkOutcome, ChunkWork } from './chunk-work.ts';
import { type VerifiedSource } from './verified-source.ts';

const never = new AbortController().signal;
const layout = assumeLayout('shop', 'orders');
const place = { runId: 'run', sink: 'mongo', database: 'shop', table: 'orders', phase: 'extras' } as const;
const foreign: ForeignRow = { id: 'f', shown: '{}', fingerprint: 'g' };

/** A sink with the keys 0 to 22, in pages of any size, and a source that lacks every third of them. */
class World {
  /** Chunks by where they begin. */
  readonly chunks = new Map<string | null, RunChunk>();
  readonly lookedUp: number[] = [];
  readonly verified: number[] = [];
  readonly found: NewMismatch[] = [];
  readonly ignored = new Set<string>();
  readonly completed = new Map<string, RowCounts>();
  size = 23;
  pageRows = 5;
  generation = 1;
  listed: number | undefined;
  seesExtras = false;
  extrasIn: KeyRange | null = null;
  /** Of the listings. */
  readonly parts: unknown[] = [];
  /** Called before the keys of a page are looked up. */
  beforeLookUp: (keys: readonly number[]) => void = () => undefined;

  constructor() {
    this.#add(null);
  }

  work(after: string | null, phase: TablePhase = 'extras'): Promise<ChunkOutcome> {
    const chunk = { ...this.chunks.get(after), phase };
    const signature = this.seesExtras ? keySignature.replace(/]$/, ',"with extras"]') : keySignature;
    const run = { id: 'run', source: 's', scope: { kind: 'source' }, secondWayShare: 0 };
    const taken = { chunk, run, table: { keySignature: signature } };
    return new ChunkWork(
      {
        runs: this.#runs as VerificationRunStore,
        mismatches: this.#mismatches as MismatchStore,
        repairs: {} as RepairStore,
        source: this.#source as unknown as VerifiedSource,
        chunkRows: this.pageRows,
        onDue: () => undefined,
        onFound: () => undefined,
      },
      taken as unknown as TakenChunk,
      never,
    ).run();
  }

  /** All chunks that are not done, until there is none. */
  async workAll(): Promise<void> {
    for (;;) {
      const next = [...this.chunks.values()].find(({ id }) => !this.completed.has(id));
      if (next === undefined) return;
      expect(await this.work(next.after)).toMatchObject({ kind: 'done' });
    }
  }

  /** As the store: the first end that was recorded stays. */
  recordEnd(chunk: RunChunk, end: ChunkEnd): { end: ChunkEnd; next: DueChunk | null } {
    const known = this.chunks.get(chunk.after)?.end;
    if (known) return { end: known, next: null };
    this.chunks.set(chunk.after, { ...chunk, end });
    return { end, next: end.isLast ? null : this.#add(end.until) };
  }

  #add(after: string | null): DueChunk {
    const number = this.chunks.size;
    const id = `chunk ${number}`;
    this.chunks.set(after, { ...place, id, number, after, end: null, attempts: 0 });
    return { id, attempts: 0, notBeforeMs: 0 };
  }

  async *#list(after: string | null): AsyncGenerator<ListedPage> {
    for (let first = after === null ? 0 : Number(after) + 1; first < this.size;) {
      const last = Math.min(this.size, first + this.pageRows) - 1;
      const keys = Array.from({ length: last - first + 1 }, (_, i): Row => [first + i]);
      yield await Promise.resolve({ keys, foreign: first === 0 ? [foreign] : [], isExact: true, after: String(last) });
      first = last + 1;
    }
  }

  readonly #runs: Partial<VerificationRunStore> = {
    recordEnd: (chunk, end) => Promise.resolve(this.recordEnd(chunk, end)),
    complete: ({ id }, counts, _second, listed) => {
      this.completed.set(id, counts);
      this.listed = listed;
      return Promise.resolve([]);
    },
  };

  readonly #mismatches: Partial<MismatchStore> = {
    record: (found) => {
      this.found.push(...found);
      return Promise.resolve(found);
    },
    countIgnored: (found) => Promise.resolve(found.filter(({ key }) => this.ignored.has(key)).length),
  };

  readonly #source = {
    stream: { readTable: () => Promise.resolve({ generation: this.generation, copied: 'yes', layout }) },
    reader: {
      readKeyOrder: () => Promise.resolve(''),
      findAbsent: ({ keys }: { keys: readonly Row[] }) => {
        this.beforeLookUp(keys.map(Number));
        this.lookedUp.push(...keys.map(Number));
        return Promise.resolve(keys.filter(([key]) => Number(key) % 3 === 0));
      },
    },
    sink: () =>
      Promise.resolve({
        seesExtras: () => this.seesExtras,
        list: ({ after, part }: { after: string | null; part?: KeyRange | 'no range' }) => {
          this.parts.push(part);
          return this.#list(after);
        },
      }),
    verifier: () =>
      Promise.resolve({
        verifyChunk: async ({ onRead }: ChunkRequest): Promise<ChunkVerdict> => {
          await onRead?.({ layout, lastKey: [22], complete: true, rows: 15 });
          const verdict = { state: 'judged', equal: 15, mismatches: [], unsettled: [], quarantined: [] } as const;
          return { verdict, sampled: [], lastKey: [22], complete: true, extrasIn: this.extrasIn };
        },
        verifyKeys: (_table: unknown, _layout: unknown, keys: readonly Row[]): Promise<Verdict> => {
          this.verified.push(...keys.map(Number));
          const fault = { kind: 'extra', differences: [], damage: null, row: null, stored: null } as const;
          const mismatches = keys.map((key) => ({ ...fault, key }));
          return Promise.resolve({ state: 'judged', equal: 0, mismatches, unsettled: [], quarantined: [] });
        },
      }),
  };
}

const keySignature = JSON.stringify([[['unknown', 'int', 'integer', []]], '']);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const lackedUpTo = (count: number): number[] => upTo(count).filter((key) => key % 3 === 0);
const keysOf = (found: readonly NewMismatch[]): string[] => found.filter(({ isKey }) => isKey).map(({ key }) => key);

describe('the listing of what a sink has', () => {
  it('is cut into chunks of one page: each key is looked up once, and what the source lacks is verified', async () => {
    const world = new World();
    await world.workAll();
    expect([...world.chunks.keys()]).toEqual([null, '4', '9', '14', '19', '22']);
    expect(world.lookedUp).toEqual(upTo(23));
    expect(world.verified).toEqual(lackedUpTo(23));
    expect(keysOf(world.found)).toEqual(lackedUpTo(23).map((key) => `[${key}]`));
    expect(world.found.filter(({ isKey }) => !isKey)).toMatchObject([{ key: 'f', kind: 'damaged' }]);
    expect([...world.completed.values()].map(({ rows, mismatches }) => [rows, mismatches])).toEqual([
      ...[
        [5, 3],
        [5, 2],
        [5, 1],
      ], // the foreign one is in the first
      ...[
        [5, 2],
        [3, 1],
        [0, 0],
      ],
    ]);
  });

  it('of an empty sink is one chunk', async () => {
    const world = new World();
    world.size = 0;
    await world.workAll();
    expect([...world.chunks.values()]).toMatchObject([{ end: { until: null, isLast: true } }]);
  });

  it.each([1, 2, 3, 4, 7, 30])('leaves nothing out when a chunk is done again in pages of %d', async (pageRows) => {
    const world = new World();
    world.beforeLookUp = () => {
      throw new Error('killed');
    };
    await expect(world.work(null)).rejects.toThrow('killed');
    expect(world.chunks.get(null)).toMatchObject({ end: { until: '4', isLast: false } });
    world.beforeLookUp = () => undefined;
    world.pageRows = pageRows;
    expect(await world.work(null)).toMatchObject({ kind: 'done' });
    expect(world.lookedUp).toEqual(expect.arrayContaining(upTo(5)));
    await world.workAll();
    expect(new Set(world.lookedUp)).toEqual(new Set(upTo(23)));
  });

  it('leaves a chunk to the worker that has recorded another end of it', async () => {
    const world = new World();
    const chunk = world.chunks.get(null) as RunChunk;
    const work = world.work(null);
    world.recordEnd(chunk, { until: '2', isLast: false });
    expect(await work).toEqual({ kind: 'lost' });
    expect([world.lookedUp, world.found]).toEqual([[], []]);
  });

  it('is not judged when the table was copied meanwhile', async () => {
    const world = new World();
    world.beforeLookUp = () => world.generation++;
    expect(await world.work(null)).toMatchObject({ kind: 'not judged', hold: { state: 'being re-read' } });
    expect(world.completed.size).toBe(0);
  });
});

describe('what a sink sees beside the rows', () => {
  const range: KeyRange = { after: null, upTo: null };

  it('is listed and verified with the chunk: what the source lacks is found', async () => {
    const world = new World();
    [world.seesExtras, world.extrasIn] = [true, range];
    expect(await world.work(null, 'rows')).toMatchObject({
      kind: 'done',
      counts: { first: { rows: 15, equal: 15, mismatches: lackedUpTo(23).length + 1 } },
    });
    expect([world.parts, world.verified, world.listed]).toEqual([[range], lackedUpTo(23), 15]);
    expect(keysOf(world.found)).toEqual(lackedUpTo(23).map((key) => `[${key}]`));
  });

  it('is not listed when there is nothing, and the phase after the rows lists only what is in no range', async () => {
    const world = new World();
    world.seesExtras = true;
    expect(await world.work(null, 'rows')).toMatchObject({ kind: 'done', counts: { first: { rows: 15 } } });
    expect(world.parts).toEqual([]);
    const next = new World();
    next.seesExtras = true;
    next.size = 0;
    expect(await next.work(null, 'extras')).toMatchObject({ kind: 'done' });
    expect(next.parts).toEqual(['no range']);
  });

  it('is left to chunks of eight pages where there is more of it', async () => {
    const world = new World();
    [world.seesExtras, world.extrasIn, world.pageRows] = [true, range, 2];
    expect(await world.work(null, 'rows')).toEqual({ kind: 'crowded', at: '[15]' });
    expect([world.lookedUp, world.found, world.completed.size]).toEqual([[], [], 0]);
    world.size = 16;
    expect(await world.work(null, 'rows')).toMatchObject({ kind: 'done' });
    expect([world.lookedUp, world.verified]).toEqual([upTo(16), lackedUpTo(16)]);
  });

  it('is verified as a whole where a cut would leave no key to the chunk after it', async () => {
    const world = new World();
    [world.seesExtras, world.extrasIn, world.pageRows] = [true, { after: null, upTo: [15] }, 2];
    expect(await world.work(null, 'rows')).toMatchObject({ kind: 'done' });
    expect([world.lookedUp, world.verified]).toEqual([upTo(23), lackedUpTo(23)]);
  });

  it('is not judged, nor are the rows, when the table was copied meanwhile', async () => {
    const world = new World();
    [world.seesExtras, world.extrasIn] = [true, range];
    world.beforeLookUp = () => world.generation++;
    expect(await world.work(null, 'rows')).toMatchObject({ kind: 'not judged', hold: { state: 'being re-read' } });
    expect(world.completed.size).toBe(0);
  });
});
