import { describe, expect, it } from '@jest/globals';
import { type Row, type TableLayout } from '#change-events';
import { RowReader, type ChunkRead, type KeysRead } from '../ports/row-reader.ts';
import { SourceLoad, type LoadSample } from '../ports/source-load.ts';
import { PacedRowReader } from './paced-row-reader.ts';
import { Pacer } from './pacer.ts';

const signal = new AbortController().signal;
const layout = {} as TableLayout;

class NoLoad extends SourceLoad {
  override measure(): Promise<LoadSample> {
    return Promise.resolve({ runningThreads: 1, lagMs: null });
  }
}

/** 1,000 rows with the keys 0 to 999; each takes a tenth of a millisecond. */
class NumberedRows extends RowReader {
  readonly mostRowBytes = 77;
  isBroken = false;
  readonly lookUps: number[] = [];

  override findErrant(): string {
    return 'errant';
  }
  override readKeyOrder(): Promise<string> {
    return Promise.resolve('');
  }

  override listTables(): Promise<readonly TableLayout[]> {
    return Promise.resolve([layout]);
  }
  override readLayout(): Promise<TableLayout | null> {
    return Promise.resolve(layout);
  }
  override isGone(): Promise<boolean> {
    return Promise.resolve(true);
  }
  override estimateRows(): Promise<readonly number[]> {
    return Promise.resolve([1000]);
  }
  override readChunk({ after, limit }: Parameters<RowReader['readChunk']>[0]): Promise<ChunkRead> {
    if (this.isBroken) return Promise.reject(new Error('broken'));
    const first = after === null ? 0 : Number(after[0]) + 1;
    const rows = Array.from({ length: Math.min(limit, 1000 - first) }, (_, i) => [first + i]);
    const selectMs = rows.length / 10;
    return Promise.resolve({
      rows,
      lastKey: rows.at(-1) ?? null,
      complete: rows.length < limit,
      bytes: 0,
      high: 'h',
      selectMs,
    });
  }
  override readKeys({ keys }: Parameters<RowReader['readKeys']>[0]): Promise<KeysRead> {
    const rows = keys.filter((key) => Number(key[0]) < 1000);
    const absent = keys.filter((key) => Number(key[0]) >= 1000);
    return Promise.resolve({ rows, absent, unanswered: [], bytes: 0, high: 'h', selectMs: keys.length / 10 });
  }
  override findAbsent({ keys }: Parameters<RowReader['findAbsent']>[0]): Promise<readonly Row[]> {
    if (this.isBroken) return Promise.reject(new Error('broken'));
    this.lookUps.push(keys.length);
    return Promise.resolve(keys.filter((key) => Number(key[0]) >= 1000));
  }
}

function paced(queryMs: number): { readonly inner: NumberedRows; readonly pacer: Pacer; readonly reader: RowReader } {
  const inner = new NumberedRows();
  const bounds = { rowsPerSecond: 0, mostRunningThreads: 0, mostLagMs: 0, mostRows: 500, firstRows: 100 };
  const pacer = new Pacer({ ...bounds, queryMs, load: new NoLoad() });
  return { inner, pacer, reader: new PacedRowReader(inner, pacer) };
}

describe('PacedRowReader', () => {
  it('reads every row of a table once, in chunks that follow the time of a query', async () => {
    const { reader } = paced(30);
    const sizes: number[] = [];
    const rows: Row[] = [];
    for (let after: Row | null = null, isComplete = false; !isComplete;) {
      const read: ChunkRead = await reader.readChunk({ layout, after, limit: 400, dispatchedSet: '', signal });
      sizes.push(read.rows.length);
      rows.push(...read.rows);
      [after, isComplete] = [read.lastKey, read.complete];
    }
    expect(sizes).toEqual([100, 200, 300, 300, 100]);
    expect(rows.map(([key]) => key)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it('leaves keys beyond its turn unanswered', async () => {
    const { reader } = paced(30);
    const keys = Array.from({ length: 130 }, (_, i): Row => [950 + i]);
    const read = await reader.readKeys({ layout, keys, dispatchedSet: '', signal });
    expect([read.rows.length, read.absent.length, read.unanswered.length]).toEqual([50, 50, 30]);
    expect(read.unanswered).toEqual(keys.slice(100));
  });

  it('looks up all keys, as many at once as it may ever read, however slow rows are', async () => {
    const { inner, pacer, reader } = paced(0.1);
    for (let i = 0; i < 10; i++) await reader.readChunk({ layout, after: null, limit: 400, dispatchedSet: '', signal });
    expect(pacer.status().rows).toBe(1);
    const keys = Array.from({ length: 1100 }, (_, i): Row => [900 + i]);
    expect(await reader.findAbsent({ layout, keys, signal })).toEqual(keys.slice(100));
    expect(inner.lookUps).toEqual([500, 500, 100]);
    expect(pacer.status().rows).toBe(1);
  });

  it('counts each key that it looks up as a row', async () => {
    const pauses: number[] = [];
    const pause = (ms: number): Promise<void> => {
      pauses.push(ms);
      nowMs += ms;
      return Promise.resolve();
    };
    let nowMs = 0;
    const bounds = { rowsPerSecond: 100, queryMs: 30, mostRunningThreads: 0, mostLagMs: 0, mostRows: 100 };
    const pacer = new Pacer({ ...bounds, load: new NoLoad(), pause, nowMs: () => nowMs });
    const reader = new PacedRowReader(new NumberedRows(), pacer);
    const keys = Array.from({ length: 300 }, (_, i): Row => [i]);
    expect(await reader.findAbsent({ layout, keys, signal })).toEqual([]);
    expect(nowMs).toBeGreaterThanOrEqual(1000);
    expect(nowMs).toBeLessThanOrEqual(2100);
  });

  it('asks for at most a thousand keys in one statement, whatever a chunk may have', async () => {
    const inner = new NumberedRows();
    const bounds = { rowsPerSecond: 0, queryMs: 30, mostRunningThreads: 0, mostLagMs: 0, mostRows: 10_000 };
    const reader = new PacedRowReader(inner, new Pacer({ ...bounds, firstRows: 10_000, load: new NoLoad() }));
    const keys = Array.from({ length: 2500 }, (_, i): Row => [i]);
    await reader.findAbsent({ layout, keys, signal });
    expect(inner.lookUps).toEqual([1000, 1000, 500]);
    const read = await reader.readKeys({ layout, keys, dispatchedSet: '', signal });
    expect(read.unanswered).toEqual(keys.slice(1000));
  });

  it('takes no more rows than asked for', async () => {
    const { reader } = paced(30);
    const read = await reader.readChunk({ layout, after: null, limit: 7, dispatchedSet: '', signal });
    expect(read.rows.length).toBe(7);
  });

  it('ends its turn when a read fails', async () => {
    const { inner, pacer, reader } = paced(30);
    inner.isBroken = true;
    const chunk = reader.readChunk({ layout, after: null, limit: 400, dispatchedSet: '', signal });
    await expect(chunk).rejects.toThrow('broken');
    await expect(reader.findAbsent({ layout, keys: [[1]], signal })).rejects.toThrow('broken');
    expect(pacer.status().rows).toBe(100);
  });

  it('asks all else of the reader itself', async () => {
    const { reader } = paced(30);
    const table = { database: 'd', table: 't' };
    expect(reader.mostRowBytes).toBe(77);
    expect(reader.findErrant()).toBe('errant');
    expect(await reader.listTables(signal)).toEqual([layout]);
    expect(await reader.readLayout(table, signal)).toBe(layout);
    expect(await reader.isGone(table, signal)).toBe(true);
    expect(await reader.estimateRows([table], signal)).toEqual([1000]);
  });
});
