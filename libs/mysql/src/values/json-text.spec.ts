import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJsonText, canonicalNumber } from './json-text.ts';

describe('canonicalNumber', () => {
  test.each([
    ['1', '1'],
    ['-0', '0'],
    ['-0.0', '0'],
    ['1.0', '1'],
    ['1.50', '1.5'],
    ['15e-1', '1.5'],
    ['1e20', '100000000000000000000'],
    ['1e21', '1e+21'],
    ['-0.000001', '-0.000001'],
    ['0.0000001', '1e-7'],
    ['18446744073709551615', '18446744073709551615'],
    ['123456789012345678901234567890.50', '1.234567890123456789012345678905e+29'],
  ])('%s is %s', (token, canonical) => {
    expect(canonicalNumber(token)).toBe(canonical);
  });

  test('is what ECMAScript prints for every double', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const printed = value === 0 ? '0' : String(value);
        expect(canonicalNumber(String(value))).toBe(printed);
        expect(canonicalNumber(value.toExponential())).toBe(printed);
      }),
    );
  });
});

describe('canonicalJsonText', () => {
  test('changes numbers only, never the content of strings', () => {
    expect(canonicalJsonText('{"1.50": [1.50, "1.0", -0.0, "a\\"1.0\\\\", 2]}')).toBe(
      '{"1.50": [1.5, "1.0", 0, "a\\"1.0\\\\", 2]}',
    );
  });

  test('keeps the value of every document', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.parse(canonicalJsonText(text))).toEqual(JSON.parse(text.replaceAll('-0,', '0,')));
      }),
    );
  });

  test('has one text for numbers of one value', () => {
    expect(canonicalJsonText('[1.5]')).toBe(canonicalJsonText('[1.500]'));
    expect(canonicalJsonText('[1e2]')).toBe(canonicalJsonText('[100]'));
  });
});
