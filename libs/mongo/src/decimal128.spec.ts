import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import { decimal128FromText } from './decimal128.ts';

describe('decimal128FromText', () => {
  it.each([
    '0',
    '-0',
    '0.00',
    '1.50',
    '-1.5',
    '9007199254740991',
    '9007199254740993',
    '12345678901234567',
    '-0.000001',
  ])('gives the bytes of the driver for %s', (text) =>
    expect(decimal128FromText(text).bytes).toEqual(mongo.Decimal128.fromString(text).bytes),
  );

  it('gives the bytes of the driver for every decimal of up to 34 digits', () => {
    const digits = fc.string({
      unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'),
      minLength: 1,
      maxLength: 17,
    });
    fc.assert(
      fc.property(fc.boolean(), digits, fc.option(digits), (negative, whole, fraction) => {
        const text = `${negative ? '-' : ''}${whole}${fraction === null ? '' : `.${fraction}`}`;
        expect(decimal128FromText(text).bytes).toEqual(mongo.Decimal128.fromString(text).bytes);
      }),
    );
  });

  it.each(['', '1.2.3', 'x', '12345678901234567890123456789012345.1'])('refuses %p', (text) => {
    expect(() => decimal128FromText(text)).toThrow();
  });
});
