import { describe, expect, it } from '@jest/globals';
import { normalNumber, shortestSingle } from './normal-number.ts';

describe('normalNumber', () => {
  it.each([
    ['1.5', '1.50', '01.5', '15e-1', '0.15E+1', '1500e-3'],
    ['0', '0.00', '00', '0e5', '0E-6'],
    ['-0', '-0.0'],
    ['100', '1e2', '1E+2', '100.000', '0.1e3'],
    ['18446744073709551615', '18446744073709551615.0'],
    ['-0.001', '-1e-3'],
    ['1e300', `1${'0'.repeat(300)}`],
  ])('is one for %s and its other forms', (...forms) => {
    expect(new Set(forms.map(normalNumber)).size).toBe(1);
    expect(normalNumber(forms[0])).not.toBeNull();
  });

  it.each([
    ['1.5', '1.05'],
    ['9007199254740993', '9007199254740992'],
    ['1e22', '1e23'],
    ['-1', '1'],
    ['0', '-0'],
    ['123456789012345678901234567890.5', '123456789012345678901234567890.6'],
  ])('is not the same for %s and %s', (one, other) => {
    expect(normalNumber(one)).not.toBe(normalNumber(other));
  });

  it.each(['', '.', '5.', '.5', '1e', 'Double 5', 'NaN', 'Infinity', '1 2', '+1', '1_0', '0x1'])(
    'is null for %j',
    (text) => {
      expect(normalNumber(text)).toBeNull();
    },
  );
});

describe('shortestSingle', () => {
  it.each([
    [0.10000000149011612, 0.1],
    [3.4028234663852886e38, 3.4028235e38],
    [1.401298464324817e-45, 1e-45],
    [16777216, 16777216],
    [-0.3333333432674408, -0.33333334],
    [0, 0],
  ])('of %d is %d', (exact, shortest) => {
    expect(Math.fround(exact)).toBe(exact);
    expect(shortestSingle(exact)).toBe(shortest);
  });
});
