import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type EventBytes } from './event-header.ts';
import { EventAssembler, eventSize, type EventPieces } from './nested-events.ts';
import { BLOCK_BYTES } from './spill-file.ts';
import { type HeldMark, XaStore } from './xa-store.ts';

let folder: string;
let store: XaStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xa-store-'));
  store = new XaStore({ memoryBytes: 3 * BLOCK_BYTES, folder });
});
afterEach(async () => {
  store.close();
  await rm(folder, { recursive: true });
});

/** An event whose body is `size` bytes of `fill`, with a checksum after it. */
function event(size: number, fill: number): EventBytes {
  const bytes = Buffer.alloc(7 + 19 + size + 4, 0xee);
  bytes.fill(0, 7, 26);
  bytes.writeUInt8(30, 7 + 4);
  bytes.writeUInt32LE(19 + size + 4, 7 + 9);
  bytes.fill(fill, 26, 26 + size);
  return { bytes, start: 7, body: 26, end: 26 + size };
}

async function readAll(pieces: EventPieces): Promise<{ size: number; fill: Set<number>; imagesBefore: number }[]> {
  const assembler = new EventAssembler();
  const events = [];
  for (;;) {
    const piece = await pieces.next();
    if (piece === null) break;
    const whole = assembler.push(piece);
    for (let at = 0; at < whole.length; at += eventSize(whole, at)) {
      const size = eventSize(whole, at);
      events.push({
        size: size - 19,
        fill: new Set(whole.subarray(at + 19, at + size)),
        imagesBefore: whole.readUInt32LE(at + 13),
      });
    }
  }
  expect(assembler.isEmpty).toBe(true);
  return events;
}

describe('XaStore', () => {
  test('gives back what was held, in order, from memory and from disk', async () => {
    const sizes = [10, 0, 5_000, 300_000, 70_000, 1, BLOCK_BYTES - 19, 40_000];
    const held = store.hold();
    sizes.forEach((size, i) => held.add(event(size, i + 1), i * 2));
    store.prepare('a', 'uuid:1', held);
    expect(store.usedBlocks).toBeGreaterThan(0);
    const prepared = store.take('a');
    expect(prepared?.gtid).toBe('uuid:1');
    expect(await readAll(held)).toEqual(
      sizes.map((size, i) => ({ size, fill: new Set(size === 0 ? [] : [i + 1]), imagesBefore: i * 2 })),
    );
    expect(store.usedBlocks).toBe(0);
    expect(store.usedBytes).toBe(0);
    expect(store.take('a')).toBeNull();
  });

  test('holds its bound with any number of small transactions, and leaves no file', async () => {
    for (let i = 0; i < 500; i++) {
      const held = store.hold();
      held.add(event(2_000, i % 256), 0);
      store.prepare(`x${i}`, `uuid:${i}`, held);
      expect(store.usedBytes).toBeLessThanOrEqual(4 * BLOCK_BYTES);
    }
    expect(readdirSync(folder)).toEqual([]);
    for (let i = 499; i >= 0; i--) {
      const prepared = store.take(`x${i}`);
      if (prepared === null) throw new Error('forgotten');
      expect(await readAll(prepared.events)).toEqual([{ size: 2_000, fill: new Set([i % 256]), imagesBefore: 0 }]);
    }
    expect([store.usedBlocks, store.usedBytes]).toEqual([0, 0]);
  });

  test('uses the room of decided transactions again', () => {
    for (let round = 0; round < 20; round++) {
      const held = store.hold();
      held.add(event(10 * BLOCK_BYTES, round), 0);
      store.prepare('a', 'uuid:1', held);
      expect(store.usedBlocks).toBeLessThanOrEqual(11);
      store.take('a')?.events.close();
      expect([store.usedBlocks, store.usedBytes]).toEqual([0, 0]);
    }
  });

  test('a folder that is not there is a coded error', () => {
    const broken = new XaStore({ memoryBytes: 0, folder: join(folder, 'missing') });
    const held = broken.hold();
    expect(() => held.add(event(3 * BLOCK_BYTES, 1), 0)).toThrow(
      expect.objectContaining({ code: 'DITTO_SOURCE_SPILL_FAILED', retriable: true }),
    );
    broken.close();
  });

  test('what was added after a mark is forgotten, in memory and on disk', async () => {
    const size = fc.constantFrom(0, 10, 5_000, 40_000, BLOCK_BYTES - 19, 150_000);
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ add: size }) },
      { weight: 1, arbitrary: fc.constant('mark' as const) },
      { weight: 1, arbitrary: fc.record({ cutTo: fc.nat({ max: 9 }) }) },
    );
    let cuts = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 30, size: 'max' }), async (steps) => {
        const held = store.hold();
        const sizes: number[] = [];
        const marks: { held: HeldMark; count: number }[] = [{ held: held.mark(), count: 0 }];
        for (const next of steps) {
          if (next === 'mark') marks.push({ held: held.mark(), count: sizes.length });
          else if ('add' in next) {
            held.add(event(next.add, sizes.length), sizes.length);
            sizes.push(next.add);
          } else {
            const mark = marks[next.cutTo % marks.length];
            if (mark === undefined) throw new Error('no mark');
            if (mark.count < sizes.length) cuts++;
            held.cutBack(mark.held);
            sizes.length = mark.count;
            marks.splice((next.cutTo % marks.length) + 1);
          }
        }
        expect(held.isEmpty).toBe(sizes.length === 0);
        held.settle();
        const events = await readAll(held);
        expect(events.map((found) => [found.size, found.imagesBefore])).toEqual(sizes.map((bytes, i) => [bytes, i]));
        held.close();
        expect([store.usedBytes, store.usedBlocks]).toEqual([0, 0]);
      }),
      { numRuns: 200 },
    );
    expect(cuts).toBeGreaterThan(100);
  });
});
