import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ReadSize, type ReadSizeOptions } from './read-size.ts';

const MEBIBYTE = 1024 * 1024;
const MOST_BYTES = 4 * MEBIBYTE;
const MOST_ROW_BYTES = 128 * MEBIBYTE;

function sizeOf(options: Partial<ReadSizeOptions> = {}): ReadSize {
  return new ReadSize({
    firstRows: 64,
    mostRows: 2000,
    mostBytes: MOST_BYTES,
    mostRowBytes: MOST_ROW_BYTES,
    isCautious: false,
    ...options,
  });
}

/** Reads rows of these widths from `at` on as a reader does; gives what was received. */
function read(
  size: ReadSize,
  widths: readonly number[],
  at: number,
): { readonly rows: number; readonly bytes: number } {
  const { rows: limit, bytes: most } = size;
  let rows = 0;
  let bytes = 0;
  let isCut = false;
  for (const width of widths.slice(at, at + limit)) {
    isCut = bytes + width > most;
    bytes = Math.min(most, bytes + width);
    if (isCut) break;
    rows++;
  }
  size.noteRead({ rows, bytes, isCut });
  return { rows, bytes };
}

/** Reads a whole table; gives the bytes of each read, and its bound. */
function readAll(size: ReadSize, widths: readonly number[]): { readonly bytes: number; readonly most: number }[] {
  const reads: { bytes: number; most: number }[] = [];
  for (let at = 0; at < widths.length;) {
    const { bytes: most } = size;
    const { rows, bytes } = read(size, widths, at);
    reads.push({ bytes, most });
    at += rows;
    if (reads.length > 10 * widths.length + 100) throw new Error('the table is never read to its end');
  }
  return reads;
}

describe('ReadSize', () => {
  it('I9: bounds the first read, and every other one, although nobody knows how wide the rows are', () => {
    const size = sizeOf();
    expect([size.rows, size.bytes]).toEqual([64, MOST_BYTES]);
    size.noteRead({ rows: 64, bytes: 6400, isCut: false });
    expect([size.rows, size.bytes]).toEqual([128, MEBIBYTE]);
  });

  it('grows step by step, to as many rows as fill half of the bound', () => {
    const size = sizeOf();
    const limits = Array.from({ length: 8 }, () => {
      size.noteRead({ rows: size.rows, bytes: size.rows * 4096, isCut: false });
      return size.rows;
    });
    expect(limits).toEqual([128, 256, 512, 512, 512, 512, 512, 512]);
    expect(size.bytes).toBe(MOST_BYTES);
  });

  it('grows by little where larger reads have failed', () => {
    const size = sizeOf({ firstRows: 16, isCautious: true });
    size.noteRead({ rows: 16, bytes: 16, isCut: false });
    expect(size.rows).toBe(17);
  });

  it('does not grow by a read that was not full', () => {
    const size = sizeOf();
    size.noteRead({ rows: 63, bytes: 63, isCut: false });
    expect(size.rows).toBe(64);
    size.noteRead({ rows: 0, bytes: 0, isCut: false });
    expect([size.rows, size.bytes]).toEqual([64, MEBIBYTE]);
  });

  it('I9: a discarded window does not raise the rows of the next read', () => {
    for (const firstRows of [1, 2, 15]) {
      const size = sizeOf({ firstRows });
      size.noteDiscarded();
      expect(size.rows).toBe(firstRows);
    }
    const size = sizeOf({ firstRows: 100 });
    const limits = Array.from({ length: 4 }, () => {
      size.noteDiscarded();
      return size.rows;
    });
    expect(limits).toEqual([50, 25, 16, 16]);
  });

  it('asks for as many rows as came where the bound ended a read, and for one where not even one came', () => {
    const size = sizeOf();
    size.noteRead({ rows: 3, bytes: MOST_BYTES, isCut: true });
    expect([size.rows, size.bytes]).toEqual([1, Math.ceil((2 * MOST_BYTES) / 3)]);
    size.noteRead({ rows: 0, bytes: MOST_BYTES, isCut: true });
    expect([size.rows, size.bytes]).toEqual([1, MOST_ROW_BYTES]);
    size.noteRead({ rows: 1, bytes: 16 * MEBIBYTE, isCut: false });
    expect([size.rows, size.bytes]).toEqual([1, MOST_ROW_BYTES]);
    size.noteRead({ rows: 1, bytes: 1000, isCut: false });
    expect([size.rows, size.bytes]).toEqual([2, MEBIBYTE]);
  });

  it('asks for no more rows than the sinks hold within the bound, also when they come to be known later', () => {
    const size = sizeOf({ firstRows: 1000 });
    size.noteRead({ rows: 1000, bytes: 1000, isCut: false });
    expect(size.rows).toBe(2000);
    size.noteHeld(1000, 8 * MOST_BYTES);
    expect(size.rows).toBe(125);
    size.noteRead({ rows: 125, bytes: 125, isCut: false });
    expect(size.rows).toBe(125);
    size.noteHeld(0, 0);
    expect(size.rows).toBe(125);
    size.noteHeld(125, 125);
    size.noteRead({ rows: 125, bytes: 125, isCut: false });
    expect(size.rows).toBe(250);
  });

  it('I9: of whatever widths the rows are, each is read, within the bound, and little more than all of them is received', () => {
    const width = fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 100, max: 2000 }) },
      { weight: 2, arbitrary: fc.integer({ min: MEBIBYTE, max: 5 * MEBIBYTE }) },
      { weight: 1, arbitrary: fc.integer({ min: 5 * MEBIBYTE, max: 64 * MEBIBYTE }) },
    );
    // rows of one kind one after the other, as an UPDATE of a range makes them
    const runs = fc.array(fc.tuple(width, fc.integer({ min: 1, max: 400 })), {
      minLength: 1,
      maxLength: 12,
      size: 'max',
    });
    fc.assert(
      fc.property(runs, (lengths) => {
        const widths = lengths.flatMap(([one, count]) => Array.from({ length: count }, () => one));
        const reads = readAll(sizeOf(), widths);
        const total = widths.reduce((sum, one) => sum + one, 0);
        for (const { bytes, most } of reads) expect(bytes).toBeLessThanOrEqual(most);
        expect(reads.filter(({ most }) => most > MOST_BYTES).length).toBeLessThanOrEqual(
          widths.filter((one) => one > MOST_BYTES / 2).length + lengths.length,
        );
        const received = reads.reduce((sum, { bytes }) => sum + bytes, 0);
        expect(received).toBeLessThan(2 * total + 4 * MOST_BYTES * lengths.length);
      }),
      { numRuns: 100 },
    );
  });
});
