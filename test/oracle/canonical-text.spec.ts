import { describe, expect, test } from '@jest/globals';
import {
  decimalText,
  doubleText,
  floatText,
  joinTexts,
  jsonText,
  numberSource,
  parseMessage,
} from './canonical-text.ts';

describe('decimals', () => {
  test.each([
    ['1.50', '1.5'],
    ['1.5', '1.5'],
    ['15e-1', '1.5'],
    ['+01.50', '1.5'],
    ['-0.00', '0'],
    ['0', '0'],
    ['-0.010', '-0.01'],
    ['1E+3', '1000'],
    ['1.2345E2', '123.45'],
    ['-1e-7', '-0.0000001'],
    ['.5', '0.5'],
    ['18446744073709551615', '18446744073709551615'],
    ['1902873505096360520509.635005641785', '1902873505096360520509.635005641785'],
  ])('%s is %s', (number, text) => {
    expect(decimalText(number)).toBe(text);
  });

  test.each(['', '-', '.', 'NaN', '1.2.3', '0x10'])('"%s" is not a number', (number) => {
    expect(decimalText(number)).toContain('no number');
  });
});

describe('floating point', () => {
  test('a FLOAT is the shortest decimal of its 32 bits', () => {
    expect(floatText(Math.fround(0.1))).toBe('0.1');
    expect(floatText(Math.fround(16777216))).toBe('16777216');
    expect(floatText(Math.fround(3.4028234663852886e38))).toBe('3.4028235e+38');
    expect(floatText(Math.fround(18741.3))).toBe('18741.3');
  });

  test('the widened double of a FLOAT is another double', () => {
    expect(doubleText(Math.fround(0.1))).not.toBe('0.1');
  });

  test('-0 is not 0', () => {
    expect(doubleText(-0)).not.toBe(doubleText(0));
  });
});

describe('JSON', () => {
  test('neither key order nor the way a number is written matters', () => {
    expect(jsonText('{"b": 1.50, "a": [1e2, null]}')).toBe(jsonText('{"a":[100,null],"b":1.5}'));
  });

  test('numbers beyond 2^53 are distinguished', () => {
    expect(jsonText('[9007199254740993]')).not.toBe(jsonText('[9007199254740992]'));
    expect(jsonText('0.1234567890123456')).not.toBe(jsonText('0.1234567890123457'));
  });

  test('a string is not a number, null is not a string, the order of an array matters', () => {
    expect(jsonText('"1"')).not.toBe(jsonText('1'));
    expect(jsonText('null')).not.toBe(jsonText('"null"'));
    expect(jsonText('[1,2]')).not.toBe(jsonText('[2,1]'));
  });

  test('long integers of a message keep all their digits', () => {
    const parsed = parseMessage('{"id":18446744073709551615,"n":[-9223372036854775808,5]}') as {
      id: unknown;
      n: unknown[];
    };
    expect(numberSource(parsed.id)).toBe('18446744073709551615');
    expect(parsed.n.map(numberSource)).toEqual(['-9223372036854775808', '5']);
  });

  test('what looks like a number inside a string stays text', () => {
    const text = '{"a":"[1e5,\\"18446744073709551615\\",","b\\\\":"12345678901234567890"}';
    expect(parseMessage(text)).toEqual(JSON.parse(text));
    expect(numberSource('18446744073709551615')).toBeNull();
  });
});

test('different lists never give the same text', () => {
  expect(joinTexts(['a', 'b'])).not.toBe(joinTexts(['ab', '']));
  expect(joinTexts([null])).not.toBe(joinTexts(['~']));
  expect(joinTexts(['', null])).not.toBe(joinTexts([null, '']));
});
