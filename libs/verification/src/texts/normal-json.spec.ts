import { describe, expect, it } from '@jest/globals';
import { normalJson } from './normal-json.ts';

describe('normalJson', () => {
  it.each([
    ['{"b": 1, "a": [1.50, 2e1]}', '{"a":[1.5,20],"b":1.0}'],
    [' [ ] ', '[]'],
    ['{ }', '{}'],
    ['"\\u00e9\\n\\/"', '"é\\n/"'],
    ['{"a": {"d": null, "c": [true, false]}}', '{"a":{"c":[true,false],"d":null}}'],
    ['-0.0', '0'],
    ['9007199254740993', '9007199254740993.0'],
    ['{"10":1,"9":2,"__proto__":3}', '{"__proto__":3,"9":2,"10":1}'],
  ])('of %s is that of %s', (one, other) => {
    expect(normalJson(one)).not.toBeNull();
    expect(normalJson(one)).toBe(normalJson(other));
  });

  it.each([
    ['9007199254740993', '9007199254740992'],
    ['[1,2]', '[2,1]'],
    ['[1,"2"]', '["1",2]'],
    ['{"a":1}', '{"a":1,"b":null}'],
    ['"a"', '"A"'],
    ['null', '"null"'],
    ['[]', '{}'],
    ['0.1', '0.10000000000000001'],
    ['"a\\",\\"b"', '"a","b"'],
  ])('of %s is not that of %s', (one, other) => {
    expect(normalJson(one)).not.toBe(normalJson(other));
  });

  it.each(['', '[', '[1,]', '{"a"}', '{a:1}', '"a', '1 2', '[1] x', 'nul', '{"a":1,}', '"\u0001"', '--1', '1.2.3'])(
    'is null for %j, which is no JSON',
    (text) => {
      expect(normalJson(text)).toBeNull();
    },
  );
});
