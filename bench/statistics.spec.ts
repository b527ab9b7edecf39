import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { percentilesOf, rateOf } from './statistics.ts';

describe('percentilesOf', () => {
  it('takes values by nearest rank', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(percentilesOf(values)).toEqual({ p50: 100, p95: 190, p99: 198, max: 200 });
  });

  it('is 0 throughout without values', () => {
    expect(percentilesOf([])).toEqual({ p50: 0, p95: 0, p99: 0, max: 0 });
  });

  it('never falls from one percentile to the next, and ends with the greatest value', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1 }), (values) => {
        const { p50, p95, p99, max } = percentilesOf(values);
        expect(p50 <= p95 && p95 <= p99 && p99 <= max).toBe(true);
        expect(max).toBe(Math.max(...values));
      }),
    );
  });
});

describe('rateOf', () => {
  it('is per second', () => {
    expect(rateOf(500, 250)).toBe(2000);
    expect(rateOf(500, 0)).toBe(0);
  });
});
