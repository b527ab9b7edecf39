import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { shortestFloat } from './float.ts';

test.each([
  [0.1, '0.1'],
  [3.4028234663852886e38, '3.4028235e+38'],
  [1.401298464324817e-45, '1e-45'],
  [16777216, '16777216'],
  [0.30000001192092896, '0.3'],
  [-1.5, '-1.5'],
  [123456.789, '123456.79'],
])('the float of %d has the text %s', (value, text) => {
  expect(String(shortestFloat(Math.fround(value)))).toBe(text);
});

test('the text reads back to the same float, and no shorter one does', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const short = shortestFloat(value);
      expect(Object.is(Math.fround(short), value)).toBe(true);
      const digits = short.toExponential().replace(/e.*|[-.]/g, '').length;
      if (digits > 1) expect(Math.fround(Number(value.toPrecision(digits - 1)))).not.toBe(value);
    }),
    { numRuns: 1000 },
  );
});
