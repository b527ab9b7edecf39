import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LIVE_VERSIONS, versionFloor, versionNumber } from './mirror-indexes.ts';

const keyOf = (number: bigint): string => LIVE_VERSIONS.toKey(number) as string;
const version = fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: 44, maxLength: 44 });

describe('versionFloor', () => {
  it('is the number of a version', () => {
    fc.assert(
      fc.property(version, (text) => {
        expect(versionFloor(text)).toBe(versionNumber(text));
      }),
    );
  });

  it('is the highest version that is not above a text, whatever the text is', () => {
    const unit = fc.constantFrom(...Array.from('09afgAZ:/`- ~ü'));
    const text = fc.oneof(
      fc.string({ unit, maxLength: 50 }),
      fc.tuple(version, fc.nat(44), fc.string({ unit, maxLength: 5 })).map(([of, at, rest]) => of.slice(0, at) + rest),
    );
    fc.assert(
      fc.property(text, (given) => {
        const floor = versionFloor(given);
        expect(keyOf(floor) <= given || floor === 0n).toBe(true);
        expect(keyOf(floor + 1n) > given || given >= 'g').toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
