import { describe, expect, it } from '@jest/globals';
import { chooseLane, hashText } from './mirror-lanes.ts';

describe('chooseLane', () => {
  it('gives one key one lane, whether the driver gave a number or a bigint-sized text', () => {
    expect(chooseLane(1, 42, 4)).toBe(chooseLane(1, 42, 4));
    expect(chooseLane(1, 'abc', 4)).toBe(chooseLane(1, 'abc', 4));
    expect(chooseLane(1, 2n ** 60n, 4)).toBe(chooseLane(1, 2n ** 60n, 4));
  });

  it.each([
    ['consecutive numbers', (index: number) => index],
    ['numbers far apart', (index: number) => index * 4096],
    ['texts', (index: number) => `key-${index}`],
    ['fractions', (index: number) => index + 0.5],
  ])('spreads %s over all lanes', (_name, key) => {
    const counts = [0, 0, 0, 0];
    for (let index = 0; index < 4000; index++) {
      const lane = chooseLane(hashText('shop.orders'), key(index), 4);
      counts[lane] = (counts[lane] ?? 0) + 1;
    }
    for (const count of counts) expect(count).toBeGreaterThan(800);
  });
});
