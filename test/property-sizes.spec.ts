import { expect, it } from '@jest/globals';
import fc from 'fast-check';

it('properties are tried with as many elements as their arbitraries allow', () => {
  const longest = (of: fc.Arbitrary<{ readonly length: number }>): number =>
    Math.max(...fc.sample(of, { numRuns: 200 }).map(({ length }) => length));
  expect(longest(fc.uint8Array({ maxLength: 9_000 }))).toBeGreaterThan(8_192);
  expect(longest(fc.array(fc.nat(), { maxLength: 150 }))).toBeGreaterThan(128);
  expect(longest(fc.string({ maxLength: 300 }))).toBeGreaterThan(255);
});
