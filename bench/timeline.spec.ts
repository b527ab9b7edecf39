import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { combineDeliveries, deliveryFromCounter, deliveryFromSamples, interpolate } from './timeline.ts';

describe('interpolate', () => {
  const samples = [
    { atMs: 100, value: 10 },
    { atMs: 200, value: 30 },
    { atMs: 300, value: 30 },
  ];

  it.each([
    [50, 10],
    [100, 10],
    [150, 20],
    [250, 30],
    [999, 30],
  ])('at %i is %i', (atMs, value) => expect(interpolate(samples, atMs)).toBe(value));
});

describe('deliveryFromSamples', () => {
  it('leaves out the wait before the first row', () => {
    const samples = [0, 0, 20, 60, 100, 100].map((value, index) => ({ atMs: index * 50, value }));
    const expected = { firstMs: 100, rowsAtFirst: 20, halfMs: 150, rowsAtHalf: 60, lastMs: 200 };
    expect(deliveryFromSamples(samples, 100)).toEqual(expected);
  });

  it('is null while rows are missing', () => {
    expect(deliveryFromSamples([{ atMs: 1, value: 99 }], 100)).toBeNull();
  });
});

describe('deliveryFromCounter', () => {
  it('finds the moments of the first, the middle and the last row', async () => {
    const arrivals = fc.array(fc.integer({ min: 1_000, max: 9_000 }), { minLength: 1, maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(arrivals, async (moments) => {
        const sorted = moments.toSorted((a, b) => a - b);
        const countUntil = (atMs: number) => Promise.resolve(sorted.filter((moment) => moment <= atMs).length);
        const found = await deliveryFromCounter(countUntil, sorted.length, 0, 10_000);
        expect(found.firstMs).toBe(sorted[0]);
        expect(found.halfMs).toBe(sorted[Math.ceil(sorted.length / 2) - 1]);
        expect(found.lastMs).toBe(sorted.at(-1));
        expect(found.rowsAtHalf * 2).toBeGreaterThanOrEqual(sorted.length);
      }),
    );
  });
});

describe('combineDeliveries', () => {
  it('begins with the first arrival anywhere and ends when the slowest sink has all', () => {
    const fast = { firstMs: 10, rowsAtFirst: 3, halfMs: 50, rowsAtHalf: 50, lastMs: 90 };
    const slow = { firstMs: 12, rowsAtFirst: 1, halfMs: 200, rowsAtHalf: 51, lastMs: 400 };
    const expected = { firstMs: 10, rowsAtFirst: 3, halfMs: 200, rowsAtHalf: 51, lastMs: 400 };
    expect(combineDeliveries([fast, slow])).toEqual(expected);
  });
});
