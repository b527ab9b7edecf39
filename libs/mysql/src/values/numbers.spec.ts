import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decimalBytes, decimalText, integerFromText, joinInteger } from './numbers.ts';

describe('BIGINT', () => {
  test('has one form, whether it comes from bytes or from text', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const bytes = Buffer.alloc(8);
        bytes.writeBigInt64LE(value);
        const joined = joinInteger(bytes.readUInt32LE(0), bytes.readInt32LE(4));
        expect(joined).toBe(integerFromText(String(value)));
        expect(BigInt(joined)).toBe(value);
      }),
    );
  });

  test.each([2n ** 53n, 2n ** 53n - 1n, -(2n ** 53n), -(2n ** 53n) + 1n])(
    '%s is a number only if it is exact',
    (value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(value);
      const joined = joinInteger(bytes.readUInt32LE(0), bytes.readInt32LE(4));
      expect(typeof joined).toBe(Number.isSafeInteger(Number(value)) ? 'number' : 'bigint');
      expect(joined).toBe(integerFromText(String(value)));
    },
  );
});

describe('DECIMAL', () => {
  // the example of MySQL's source, strings/decimal.cc: 1234567890.1234 as DECIMAL(14,4)
  test.each([
    ['810dfb38d204d2', '1234567890.1234'],
    ['7ef204c72dfb2d', '-1234567890.1234'],
  ])('%s is %s', (hex, text) => {
    expect(decimalText(Buffer.from(hex, 'hex'), 0, 14, 4)).toBe(text);
    expect(decimalBytes(14, 4)).toBe(hex.length / 2);
  });
});
