import { describe, expect, it } from '@jest/globals';
import { Random } from '../../../test/types/random.ts';
import { sampleKeys } from './sample-keys.ts';

const keysOf = (count: number): readonly number[] => [...Array(count).keys()];

describe('sampleKeys', () => {
  it.each([
    [1000, 0.01],
    [1000, 0.5],
    [1000, 0.3337],
    [150, 0.9],
    [100, 0.01],
    [7, 0.1],
    [1, 0.2],
  ])('of %i keys takes each with the same probability %f', (size, share) => {
    const random = new Random(3);
    const next = (): number => random.bits() / 2 ** 32;
    // a chunk of a small share is a hundred keys or none
    const rounds = Math.ceil((size < 100 ? 20_000 : 4000) / Math.max(share, 0.1) / 10);
    const taken = new Map<number, number>();
    for (let i = 0; i < rounds; i++)
      for (const key of sampleKeys(keysOf(size), share, next)) taken.set(key, (taken.get(key) ?? 0) + 1);
    const total = [...taken.values()].reduce((sum, count) => sum + count, 0);
    expect(Math.abs(total / rounds / size / share - 1)).toBeLessThan(0.15);
    const [first = 0, last = 0] = [taken.get(0), taken.get(size - 1)];
    expect(first).toBeGreaterThan(0);
    expect(last).toBeGreaterThan(0);
  });

  it.each([0, 1, 99, 100, 101, 1000])('of %i keys takes all for 1, in some order, and none for 0', (size) => {
    const all = sampleKeys(keysOf(size), 1);
    expect(new Set(all)).toEqual(new Set(keysOf(size)));
    expect(all).toHaveLength(size);
    expect(sampleKeys(keysOf(size), 0)).toEqual([]);
  });

  it('takes no key twice, and not few at a time from a large chunk', () => {
    const sizes = new Set<number>();
    for (let i = 0; i < 300; i++) {
      const keys = sampleKeys(keysOf(1000), 0.01);
      expect(new Set(keys).size).toBe(keys.length);
      sizes.add(keys.length);
    }
    expect([...sizes].sort((a, b) => a - b)).toEqual([0, 100]);
  });
});
