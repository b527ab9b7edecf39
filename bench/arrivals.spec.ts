import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Arrivals, formatClock, parseClock } from './arrivals.ts';

describe('the clock in a row', () => {
  it('comes back to the microsecond', () => {
    const micros = fc.integer({ min: 1_500_000_000_000_000, max: 2_500_000_000_000_000 });
    fc.assert(
      fc.property(micros, (value) => {
        expect(Math.abs(parseClock(formatClock(value / 1000)) - value / 1000)).toBeLessThan(0.001);
      }),
    );
  });

  it('is UTC text with six digits', () => {
    expect(formatClock(Date.UTC(2026, 1, 3, 4, 5, 6) + 0.007)).toBe('2026-02-03T04:05:06.000007');
  });
});

describe('Arrivals', () => {
  it('counts each row once, at its first arrival, and not the rows of the warm-up', () => {
    const arrivals = new Arrivals({ last: 4, skipped: 2 });
    arrivals.arrive(1, 0, 50);
    arrivals.arrive(4, 100, 107);
    arrivals.arrive(4, 100, 500);
    expect(arrivals.lowestMissing).toBe(2);
    arrivals.arrive(3, 100, 103);
    arrivals.arrive(2, 0, 60);
    expect(arrivals.complete).toBe(true);
    expect(arrivals.delaysMs).toEqual([7, 3]);
  });

  it('leaves out ids of others', () => {
    const arrivals = new Arrivals({ last: 1, skipped: 0 });
    arrivals.arrive(0, 0, 1);
    arrivals.arrive(2, 0, 1);
    expect(arrivals.missing).toBe(1);
  });
});
