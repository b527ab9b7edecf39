import { describe, expect, it } from '@jest/globals';
import { type Row, type RowImages, type TableLayout, ValueImages } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { GoneRows } from '../snapshot/gone-rows.ts';
import { type MirroredKeys } from '../ports/mirrored-keys.ts';
import { type ChunkRead, type KeysRead, RowReader } from '../ports/row-reader.ts';
import { TableCopy } from '../snapshot/table-copy.ts';
import { layout } from '../../test/windowed-read-model.ts';
import { WindowRegistry } from './window-registry.ts';
import { Window } from './window.ts';
import { type ReadStream, type TableReadSettings, WindowedRead } from './windowed-read.ts';

const MEBIBYTE = 1024 * 1024;
const CHUNK_BYTES = 4 * MEBIBYTE;
const signal = new AbortController().signal;

/** A table with the keys 1, 2, 3, … whose rows have these widths; each read is bound as a server's is. */
class WideTable extends RowReader {
  readonly mostRowBytes = 128 * MEBIBYTE;
  /** Rows that were asked for, and those that came. */
  readonly reads: (readonly [asked: number, given: number])[] = [];
  /** Most that one read held. */
  mostBytes = 0;
  receivedBytes = 0;
  readonly widths: number[];

  constructor(widths: readonly number[]) {
    super();
    this.widths = [...widths];
  }

  readKeyOrder(): Promise<string> {
    return Promise.resolve('');
  }

  listTables = (): Promise<readonly TableLayout[]> => Promise.resolve([layout]);
  readLayout = (): Promise<TableLayout> => Promise.resolve(layout);
  isGone = (): Promise<boolean> => Promise.resolve(false);
  estimateRows = (): Promise<readonly number[]> => Promise.resolve([0]);

  readChunk({ after, limit, maxBytes }: Parameters<RowReader['readChunk']>[0]): Promise<ChunkRead> {
    const from = (after?.[0] ?? 0) as number;
    const keys = this.widths.map((_, index) => index + 1).slice(from, from + limit);
    const { rows, bytes, isCut } = this.#receive(keys, limit, maxBytes);
    return Promise.resolve({
      rows,
      lastKey: rows.at(-1)?.slice(0, 1) ?? null,
      complete: !isCut && keys.length < limit,
      bytes,
      high: '',
    });
  }

  readKeys({ keys, maxBytes }: Parameters<RowReader['readKeys']>[0]): Promise<KeysRead> {
    const there = keys.map((key) => key[0] as number).filter((key) => key <= this.widths.length);
    const { rows, bytes, isCut } = this.#receive(
      there.sort((a, b) => a - b),
      keys.length,
      maxBytes,
    );
    const others = keys.filter((key) => !rows.some((row) => row[0] === key[0]));
    return Promise.resolve({
      rows,
      absent: isCut ? [] : others,
      unanswered: isCut ? others : [],
      bytes,
      high: '',
    });
  }

  #receive(
    keys: readonly number[],
    asked: number,
    most = this.mostRowBytes,
  ): { readonly rows: Row[]; readonly bytes: number; readonly isCut: boolean } {
    const rows: Row[] = [];
    let bytes = 0;
    for (const key of keys) {
      bytes += this.widths[key - 1] as number;
      if (bytes > most) break;
      rows.push([key, 0]);
    }
    const isCut = bytes > most;
    this.mostBytes = Math.max(this.mostBytes, Math.min(bytes, most));
    this.receivedBytes += Math.min(bytes, most);
    this.reads.push([asked, rows.length]);
    return { rows, bytes: Math.min(bytes, most), isCut };
  }
}

/** Confirms what is read at once; collects it, and how much each read may hold. */
class Stream {
  readonly emitted: Row[] = [];
  readonly bounds: number[] = [];
  abandoned = 0;
  closed = 0;
  /** What a row, or the end of one, holds in the sinks. */
  heldWidth = 0;
  /** Asked for each window that is closed. */
  isDiscarded = (): boolean => false;
  readonly stream = {
    open: (_: TableLayout, readBytes: number) => {
      this.bounds.push(readBytes);
      return Promise.resolve({ dispatchedSet: '', readBytes });
    },
    abandon: () => {
      this.abandoned++;
    },
    close: (_: Window, { rows, absent = [] }: { rows: RowImages; absent?: readonly Row[] }) => {
      this.closed++;
      if (this.isDiscarded()) return Promise.resolve(null);
      const read = Array.from({ length: rows.count }, (_, i) => rows.row(i));
      this.emitted.push(...read, ...absent.map((key): Row => [key[0] ?? null, null]));
      const emittedRows = rows.count + absent.length;
      const heldBytes = emittedRows * this.heldWidth;
      return Promise.resolve({ emittedRows, heldBytes, confirmed: Promise.resolve() });
    },
  } as unknown as ReadStream;

  settings(reader: RowReader): TableReadSettings {
    return {
      reads: this.stream,
      reader,
      chunkRows: 2000,
      chunkBytes: CHUNK_BYTES,
      pauseMs: 0,
      backoff: { initialMs: 1, maxMs: 1 },
      logger: silentLogger,
    };
  }
}

async function copy(reader: RowReader, stream: Stream): Promise<void> {
  const table = new TableCopy({
    layout,
    settings: stream.settings(reader),
    after: null,
    isWanted: () => true,
    limit: null,
    mostChunks: () => 4,
    record: () => Promise.resolve(),
  });
  expect(await table.run(signal)).toBe(true);
}

async function lookUp(reader: RowReader, stream: Stream, pages: readonly (readonly number[])[]): Promise<void> {
  const mirror = {
    list: async function* () {
      for (const page of pages) {
        await Promise.resolve();
        yield page.map((key): Row => [key, null]);
      }
    },
  } as unknown as MirroredKeys;
  const settings = stream.settings(reader);
  const rows = new GoneRows({
    layout,
    mirror,
    above: '',
    below: '',
    tombstonesAbove: null,
    limit: null,
    settings,
    waitUntilConfirmed: () => Promise.resolve(),
    isWanted: () => true,
  });
  expect(await rows.end(signal)).toBe(true);
}

function repeat(count: number, width: number): number[] {
  return Array.from({ length: count }, () => width);
}

const keysOf = (rows: readonly Row[]): unknown[] => rows.map(([key]) => key);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('a chunk', () => {
  it('I9: continues after the last row that came before the bound', async () => {
    const reader = new WideTable([...repeat(70, 1024), ...repeat(20, MEBIBYTE), ...repeat(30, 1024)]);
    const stream = new Stream();
    await copy(reader, stream);
    expect(keysOf(stream.emitted)).toEqual(upTo(120));
    expect(reader.mostBytes).toBeLessThanOrEqual(CHUNK_BYTES);
  });

  it('I9: of rows that became wider than the bound is one row, and has room for nothing else', async () => {
    const reader = new WideTable([...repeat(70, 1024), ...repeat(20, 16 * MEBIBYTE), ...repeat(30, 1024)]);
    const stream = new Stream();
    await copy(reader, stream);
    expect(keysOf(stream.emitted)).toEqual(upTo(120));
    expect(reader.mostBytes).toBe(16 * MEBIBYTE);
    // one window was given up where nobody knew yet, and one row after the last wide one was asked for alone
    expect(stream.abandoned).toBe(1);
    expect(stream.bounds.filter((bytes) => bytes > CHUNK_BYTES)).toHaveLength(21);
    expect(reader.receivedBytes).toBeLessThan(20 * 16 * MEBIBYTE + 2 * CHUNK_BYTES);
  });

  it('I9: of one row stays one of one row when its window is discarded', async () => {
    const reader = new WideTable(repeat(70, 3 * MEBIBYTE));
    const stream = new Stream();
    let closed = 0;
    stream.isDiscarded = () => ++closed % 5 === 2;
    await copy(reader, stream);
    expect(new Set(keysOf(stream.emitted)).size).toBe(70);
    expect(reader.reads.slice(1).map(([asked]) => asked)).toEqual(repeat(reader.reads.length - 1, 1));
  });
});

describe('rows that are looked up by key', () => {
  it('I9: are asked for again as far as the bound left them unanswered, each one answered once', async () => {
    const reader = new WideTable([...repeat(50, 1024), ...repeat(50, MEBIBYTE)]);
    const stream = new Stream();
    await lookUp(reader, stream, [upTo(120).reverse(), [7, 8, 500]]);
    expect(keysOf(stream.emitted).sort((a, b) => Number(a) - Number(b))).toEqual(
      [...upTo(120), 7, 8, 500].sort((a, b) => a - b),
    );
    expect(stream.emitted.filter(([, value]) => value === null)).toHaveLength(21);
    expect(reader.mostBytes).toBeLessThanOrEqual(CHUNK_BYTES);
    expect(reader.receivedBytes).toBeLessThan(3 * 50 * MEBIBYTE);
  });

  it('I9: are read alone where one of them is wider than the bound', async () => {
    const reader = new WideTable(repeat(30, 16 * MEBIBYTE));
    const stream = new Stream();
    await lookUp(reader, stream, [upTo(40)]);
    expect(keysOf(stream.emitted)).toEqual(upTo(40));
    expect(reader.mostBytes).toBe(16 * MEBIBYTE);
    expect(reader.receivedBytes).toBeLessThan(30 * 16 * MEBIBYTE + 2 * CHUNK_BYTES);
  });

  it('I9: are not received again and again for one of them that is wide', async () => {
    const widths = repeat(200, 1000);
    widths[0] = 16 * MEBIBYTE;
    const reader = new WideTable(widths);
    const stream = new Stream();
    // the server gives that one first in whatever order it is asked for
    await lookUp(reader, stream, [upTo(200).reverse()]);
    expect(new Set(keysOf(stream.emitted))).toEqual(new Set(upTo(200)));
    expect(reader.receivedBytes).toBeLessThan(16 * MEBIBYTE + 10 * CHUNK_BYTES);
  });

  it('I9: are looked up by the hundred again once the wide ones are read, though the rest is gone', async () => {
    const reader = new WideTable(repeat(3, 16 * MEBIBYTE));
    const stream = new Stream();
    stream.heldWidth = 2000;
    await lookUp(reader, stream, [upTo(200), upTo(200), upTo(200)]);
    expect(stream.emitted).toHaveLength(600);
    expect(stream.bounds.filter((bytes) => bytes > CHUNK_BYTES).length).toBeLessThan(15);
    expect(reader.reads.length).toBeLessThan(60);
  });

  it('are looked up again when the window was discarded', async () => {
    const reader = new WideTable(repeat(10, 1000));
    const stream = new Stream();
    let closed = 0;
    stream.isDiscarded = () => ++closed === 1;
    await lookUp(reader, stream, [upTo(12)]);
    expect(keysOf(stream.emitted)).toEqual(upTo(12));
    expect(closed).toBe(2);
  });
});

describe('keys that windows note', () => {
  function open(registry: WindowRegistry, readSequence: number, table = 't'): Window {
    const window = new Window({
      id: '',
      layout: { ...layout, table },
      readSequence,
      dispatchedSet: '',
      maxNotedBytes: 800,
    });
    registry.add(window);
    return window;
  }

  function note(registry: WindowRegistry, table: string, keys: readonly number[]): void {
    const noted = { ...layout, table };
    registry.note(
      noted,
      null,
      new ValueImages(
        noted,
        keys.map((key) => [key, 1]),
      ),
    );
  }

  const discarded = (windows: readonly Window[]): boolean[] =>
    windows.map((window) => window.discardedBecause !== null);

  it('I9: are within one bound for all of them; the newest is discarded, so that the oldest can end', () => {
    const registry = new WindowRegistry();
    const windows = [open(registry, 7), open(registry, 9), open(registry, 8, 'other')];
    note(registry, 't', [1, 2]);
    note(registry, 'other', [1, 2, 3]);
    expect(discarded(windows)).toEqual([false, false, false]);
    note(registry, 't', [3, 4]);
    expect(discarded(windows)).toEqual([false, true, false]);
    note(registry, 't', [5, 6, 7, 8]);
    expect(discarded(windows)).toEqual([false, true, true]);
    note(registry, 't', upTo(20));
    expect(discarded(windows)).toEqual([true, true, true]);
  });

  it('are forgotten with their window', () => {
    const registry = new WindowRegistry();
    const first = open(registry, 1);
    note(registry, 't', upTo(8));
    registry.remove(first);
    const second = open(registry, 2);
    note(registry, 't', upTo(8));
    expect(discarded([first, second])).toEqual([false, false]);
  });
});

describe('a windowed read', () => {
  const down = new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true });
  const none = { rows: new ValueImages(layout, []), bytes: 0, answered: 0, isCut: false, high: '' };

  function windowedRead(stream: Stream, settings: Partial<TableReadSettings> = {}): WindowedRead {
    const size = {
      firstRows: 64,
      mostRows: 2000,
      mostBytes: CHUNK_BYTES,
      mostRowBytes: CHUNK_BYTES,
      isCautious: false,
    };
    return new WindowedRead({ ...stream.settings(new WideTable([])), ...settings, layout, size });
  }

  it('abandons its window when it fails, and says how much it had asked for', async () => {
    const stream = new Stream();
    const read = windowedRead(stream).read(() => Promise.reject(down), signal);
    await expect(read).rejects.toMatchObject({ limit: 64, cause: down });
    expect([stream.abandoned, stream.closed]).toEqual([1, 0]);
  });

  it('rejects with the reason of its signal when that ended it', async () => {
    const stream = new Stream();
    const stop = new AbortController();
    const read = windowedRead(stream).read(() => {
      stop.abort(new Error('stop now'));
      return Promise.reject(down);
    }, stop.signal);
    await expect(read).rejects.toThrow('stop now');
    expect(stream.abandoned).toBe(1);
  });

  it('pauses before each read, and before it takes room', async () => {
    const stream = new Stream();
    const reads = windowedRead(stream, { pauseMs: 40 });
    const began = performance.now();
    const first = reads.read(() => Promise.resolve(none), signal);
    await new Promise((resolve) => setImmediate(resolve));
    expect(stream.bounds).toEqual([]);
    await first;
    expect(performance.now() - began).toBeGreaterThan(25);
  });

  it('asks for less when its windows are discarded, and waits longer each time until one is confirmed', async () => {
    const stream = new Stream();
    const reads = windowedRead(stream, { backoff: { initialMs: 20, maxMs: 80 } });
    const limits: number[] = [];
    const waits: number[] = [];
    for (const isDiscarded of [true, true, true, false, true]) {
      stream.isDiscarded = () => isDiscarded;
      const { settled } = await reads.read(({ limit }) => {
        limits.push(limit);
        return Promise.resolve(none);
      }, signal);
      const began = performance.now();
      expect(await reads.confirm(settled, signal)).toBe(!isDiscarded);
      waits.push(performance.now() - began);
    }
    expect(limits).toEqual([64, 32, 16, 16, 16]);
    expect(waits[2]).toBeGreaterThan(50);
    expect(waits[4]).toBeLessThan(50);
  });
});
