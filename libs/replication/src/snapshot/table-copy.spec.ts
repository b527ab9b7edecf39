import { describe, expect, it } from '@jest/globals';
import { type Row, ValueImages } from '#change-events';
import { Deferred, silentLogger } from '#kernel';
import { layout } from '../../test/windowed-read-model.ts';
import { type ChunkRequest, type ImagesChunk } from '../ports/row-reader.ts';
import { type SettledWindow } from '../windows/window-registry.ts';
import { TableCopy, type TableCopyOptions } from './table-copy.ts';

const ROWS = 1005;
const CHUNK = 10;
/** Of so many bytes a read has no more than `CHUNK` rows. */
const ROW_BYTES = 100;
const never = new AbortController().signal;

interface Record {
  readonly lastKey: string | null;
  readonly rows: number;
}

/** A copy of `ROWS` rows; the stream, the sinks and the store do what they are told. */
class World {
  readonly reads: (Row | null)[] = [];
  readonly records: Record[] = [];
  /** What the window of each read is closed with, by its number from 0; confirmed at once where nothing is said. */
  readonly closings = new Map<number, Promise<SettledWindow | null>>();
  record: () => Promise<void> = () => Promise.resolve();
  mostChunks = 4;
  #closed = 0;

  run(options: Partial<TableCopyOptions> = {}, signal = never): Promise<boolean> {
    return new TableCopy({
      layout,
      after: null,
      isWanted: () => true,
      limit: null,
      mostChunks: () => this.mostChunks,
      record: (lastKey, rows) => {
        this.records.push({ lastKey, rows });
        return this.record();
      },
      settings: {
        reads: {
          open: () => Promise.resolve({ dispatchedSet: '', readBytes: 0 } as never),
          close: (_, { rows: { count } }) =>
            this.closings.get(this.#closed++) ??
            Promise.resolve({ emittedRows: count, heldBytes: count * ROW_BYTES, confirmed: Promise.resolve() }),
          abandon: () => undefined,
        },
        reader: { mostRowBytes: 1_000_000, readImages: (request: ChunkRequest) => this.#read(request) } as never,
        chunkRows: CHUNK,
        chunkBytes: 1_000_000,
        pauseMs: 0,
        backoff: { initialMs: 1, maxMs: 1 },
        logger: silentLogger,
      },
      ...options,
    }).run(signal);
  }

  #read({ after, limit }: ChunkRequest): Promise<ImagesChunk> {
    this.reads.push(after);
    const first = after === null ? 0 : Number(after[0]) + 1;
    const rows = Array.from({ length: Math.min(limit, ROWS - first) }, (_, i): Row => [first + i, 1]);
    const images = new ValueImages(layout, rows);
    const lastKey = rows.at(-1)?.slice(0, 1) ?? null;
    return Promise.resolve({ rows: images, lastKey, complete: rows.length < limit, bytes: 1, high: '' });
  }
}

function settled(confirmed: Promise<void>): Promise<SettledWindow> {
  return Promise.resolve({ emittedRows: CHUNK, heldBytes: CHUNK * ROW_BYTES, confirmed });
}

/** All that can go on without the gates has. */
async function rest(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

const keyOf = (rows: number): string => `[${rows - 1}]`;

describe('the copy of a table', () => {
  it('reads on while a chunk waits for the stream, the sinks or the store, up to so many chunks', async () => {
    for (const wait of ['stream', 'sinks', 'store']) {
      const world = new World();
      const gate = new Deferred<undefined>();
      const confirmed = { emittedRows: CHUNK, heldBytes: CHUNK, confirmed: Promise.resolve() };
      // the width of a row is known by the first chunk, which waits for nothing
      if (wait === 'stream')
        world.closings.set(1, gate.promise.then(() => confirmed)); // prettier-ignore
      else if (wait === 'sinks') world.closings.set(1, settled(gate.promise));
      else world.record = () => (world.records.length === 1 ? Promise.resolve() : gate.promise);
      const run = world.run();
      await rest();
      expect(world.reads).toHaveLength(1 + world.mostChunks);
      gate.resolve(undefined);
      expect(await run).toBe(true);
      expect(world.records.at(-1)?.lastKey).toBe(keyOf(ROWS));
    }
  });

  it('records in one what was confirmed while the store was at work, and each row once', async () => {
    const world = new World();
    const gate = new Deferred<undefined>();
    world.record = () => (world.records.length === 1 ? gate.promise : Promise.resolve());
    const run = world.run();
    await rest();
    gate.resolve(undefined);
    expect(await run).toBe(true);
    expect(world.records.slice(0, 2)).toEqual([
      { lastKey: keyOf(CHUNK), rows: CHUNK },
      { lastKey: keyOf(CHUNK * world.mostChunks), rows: CHUNK * (world.mostChunks - 1) },
    ]);
    expect(world.records.reduce((sum, { rows }) => sum + rows, 0)).toBe(ROWS);
  });

  it('I1: records chunks in key order, whichever is confirmed first', async () => {
    const world = new World();
    const [first, second] = [new Deferred<undefined>(), new Deferred<undefined>()];
    world.closings.set(1, settled(first.promise));
    world.closings.set(2, settled(second.promise));
    const run = world.run();
    await rest();
    expect(world.records.at(-1)?.lastKey).toBe(keyOf(CHUNK));
    first.resolve(undefined);
    await rest();
    expect(world.records.at(-1)?.lastKey).toBe(keyOf(2 * CHUNK));
    second.resolve(undefined);
    expect(await run).toBe(true);
    expect(world.records.reduce((sum, { rows }) => sum + rows, 0)).toBe(ROWS);
  });

  it('I1: goes back to a chunk whose window was discarded, with all that came after, and records nothing beyond it before', async () => {
    const world = new World();
    const gate = new Deferred<undefined>();
    world.closings.set(2, gate.promise.then(() => null)); // prettier-ignore
    const run = world.run();
    await rest();
    expect(world.records.at(-1)?.lastKey).toBe(keyOf(2 * CHUNK));
    const before = world.reads.length;
    expect(before).toBe(2 + world.mostChunks);
    world.mostChunks = 1;
    const again = new Deferred<undefined>();
    world.closings.set(before, settled(again.promise));
    gate.resolve(undefined);
    while (world.reads.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
    await rest();
    expect(world.reads.at(-1)).toEqual([2 * CHUNK - 1]);
    expect(world.records.at(-1)?.lastKey).toBe(keyOf(2 * CHUNK));
    again.resolve(undefined);
    expect(await run).toBe(true);
    expect(world.records.reduce((sum, { rows }) => sum + rows, 0)).toBe(ROWS);
  });

  it('ends, when it is not wanted any more, after the windows of all its chunks have', async () => {
    const world = new World();
    const gates = [1, 2, 3].map((chunk) => {
      const gate = new Deferred<SettledWindow>();
      world.closings.set(chunk, gate.promise);
      return gate;
    });
    const recording = new Deferred<undefined>();
    world.record = () => recording.promise;
    let isWanted = true;
    let hasEnded = false;
    const run = world.run({ isWanted: () => isWanted }).finally(() => (hasEnded = true));
    await rest();
    expect(world.reads).toHaveLength(1 + gates.length);
    isWanted = false;
    // the pass learns of it while its oldest chunk waits for the stream
    recording.resolve(undefined);
    await rest();
    for (const gate of gates) {
      expect(hasEnded).toBe(false);
      gate.resolve(await settled(Promise.resolve()));
      await rest();
    }
    expect(await run).toBe(false);
  });

  it('ends with what was recorded when it is not wanted any more, and when the store refuses', async () => {
    const world = new World();
    let isWanted = true;
    world.record = () => {
      isWanted = world.records.length < 3;
      return Promise.resolve();
    };
    expect(await world.run({ isWanted: () => isWanted })).toBe(false);
    expect(world.records).toHaveLength(3);
    const refused = new World();
    refused.record = () => Promise.reject(new Error('fenced'));
    await expect(refused.run()).rejects.toThrow('fenced');
  });
});
