import { describe, expect, it } from '@jest/globals';
import { parseScope, type ScopeOptions } from './parse-scope.ts';

describe('a scope on the command line', () => {
  it.each<[ScopeOptions, object]>([
    [{}, {}],
    [{ keys: '[1,"a"]' }, { keys: [[1], ['a']] }],
    [{ keys: '[["eu",1]]' }, { keys: [['eu', 1]] }],
    [{ from: '18446744073709551615' }, { range: { from: ['18446744073709551615'] } }],
    [{ from: '["eu",1]', to: 'x y' }, { range: { from: ['eu', 1], to: ['x y'] } }],
    [
      { where: ['status = open', 'total>=99.50'] },
      {
        where: [
          { column: 'status', op: '=', value: 'open' },
          { column: 'total', op: '>=', value: '99.50' },
        ],
      },
    ],
    [
      { where: [`a b != 'it''s '`, 'c="x = y"'] },
      {
        where: [
          { column: 'a b', op: '!=', value: "it's " },
          { column: 'c', op: '=', value: 'x = y' },
        ],
      },
    ],
    [
      { where: ['a IN [1,"b"]', 'b is NULL', 'c Is Not Null'] },
      {
        where: [
          { column: 'a', op: 'in', value: [1, 'b'] },
          { column: 'b', op: 'is null' },
          { column: 'c', op: 'is not null' },
        ],
      },
    ],
    [{ where: ['a = x is null'] }, { where: [{ column: 'a', op: '=', value: 'x is null' }] }],
    // what comes after the first operator is one value, whatever it looks like
    [{ where: ["a = 1' OR '1'='1; --"] }, { where: [{ column: 'a', op: '=', value: "1' OR '1'='1; --" }] }],
    [{ where: ['a ='] }, { where: [{ column: 'a', op: '=', value: '' }] }],
  ])('%j', (options, scope) => {
    expect(parseScope(options)).toEqual(scope);
  });

  it.each<[ScopeOptions, RegExp]>([
    [{ keys: '[1]', from: '1' }, /one of/],
    [{ keys: '1' }, /JSON list/],
    [{ keys: '[]' }, /JSON list/],
    [{ keys: '[{"id":1}]' }, /no value/],
    [{ keys: '[9007199254740993]' }, /2\^53/],
    [{ where: ['a in b,c'] }, /COLUMN OPERATOR VALUE/],
    [{ where: ['a in [b]'] }, /JSON list/],
    [{ where: ['1'] }, /COLUMN OPERATOR VALUE/],
    [{ where: ['= 1'] }, /COLUMN OPERATOR VALUE/],
    [{ where: ['is null'] }, /COLUMN OPERATOR VALUE/],
  ])('refuses %j', (options, why) => {
    expect(() => parseScope(options)).toThrow(why);
  });
});
