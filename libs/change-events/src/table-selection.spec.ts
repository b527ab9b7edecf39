import { expect, test } from '@jest/globals';
import { compileDatabaseSelection, compileTableSelection } from './table-selection.ts';

test.each<[string[], string[], string, string, boolean]>([
  [['shop.orders'], [], 'shop', 'orders', true],
  [['shop.orders'], [], 'shop', 'orders2', false],
  [['shop.orders'], [], 'Shop', 'orders', false],
  [['shop.*'], [], 'shop', 'anything', true],
  [['shop.*'], [], 'shop2', 'anything', false],
  [['*.orders'], [], 'a', 'orders', true],
  [['sh*p_*.o*s'], [], 'shop_eu', 'orders', true],
  [['shop.*'], ['shop.audit_*'], 'shop', 'audit_log', false],
  [['shop.*'], ['shop.audit_*'], 'shop', 'orders', true],
  [['*.*'], [], 'mysql', 'user', false],
  [['*.*'], [], 'performance_schema', 'threads', false],
  [['mysql.help_topic'], [], 'mysql', 'help_topic', true],
  [['`a.b`.c'], [], 'a.b', 'c', true],
  [['a.b.c'], [], 'a', 'b.c', true],
  [['shop.`*`'], [], 'shop', 'orders', false],
  [['shop.`*`'], [], 'shop', '*', true],
  [['shop.a+b'], [], 'shop', 'aab', false],
  [['shop.a+b'], [], 'shop', 'a+b', true],
  [['`a``b`.c'], [], 'a`b', 'c', true],
  [[], [], 'shop', 'orders', false],
])('include %j exclude %j: %s.%s → %j', (include, exclude, database, table, isIncluded) => {
  expect(compileTableSelection({ include, exclude })(database, table)).toBe(isIncluded);
});

test('all wrong patterns are named at once', () => {
  expect(() => compileTableSelection({ include: ['orders', 'a.b', ''], exclude: ['.x'] })).toThrow(
    expect.objectContaining({
      code: 'DITTO_CONFIG_TABLE_PATTERN_INVALID',
      context: { patterns: ['orders', '', '.x'] },
    }),
  );
});

test.each<[string[], string[], string, boolean]>([
  [['shop.orders'], [], 'shop', true],
  [['shop.orders'], [], 'shop2', false],
  [['sh*.orders'], [], 'shop', true],
  [['shop.*'], ['shop.audit_*'], 'shop', true],
  [['*.*'], ['shop.*'], 'shop', false],
  [['*.*'], [], 'mysql', false],
  [['mysql.help_topic'], [], 'mysql', true],
])('%j without %j may include a table of %s: %s', (include, exclude, database, expected) => {
  expect(compileDatabaseSelection({ include, exclude })(database)).toBe(expected);
});
