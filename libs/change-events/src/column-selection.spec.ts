import { describe, expect, test } from '@jest/globals';
import {
  compileColumnSelection,
  everyColumn,
  findIdleColumnPatterns,
  findReselectedTables,
} from './column-selection.ts';

describe('compileColumnSelection', () => {
  test.each<[string[], string, string, string, boolean]>([
    [['shop.customers.email'], 'shop', 'customers', 'email', false],
    [['shop.customers.email'], 'shop', 'customers', 'Email', false],
    [['shop.customers.email'], 'shop', 'Customers', 'email', true],
    [['shop.customers.email'], 'shop', 'customers', 'email2', true],
    [['shop.*.secret_*'], 'shop', 'anything', 'secret_key', false],
    [['shop.*.secret_*'], 'shop', 'anything', 'secretkey', true],
    [['*.*.ssn'], 'a', 'b', 'ssn', false],
    [['shop.a.x', 'shop.a.y'], 'shop', 'a', 'y', false],
    [['`a.b`.`c.d`.e'], 'a.b', 'c.d', 'e', false],
    [['a.b.c.d'], 'a', 'b', 'c.d', false],
    [['a.b.`*`'], 'a', 'b', 'x', true],
    [['a.b.`*`'], 'a', 'b', '*', false],
    [['a.b.`x``y`'], 'a', 'b', 'x`y', false],
    [['a.b.ä'], 'a', 'b', 'Ä', false],
    [[], 'a', 'b', 'c', true],
  ])('%j: %s.%s.%s is replicated → %j', (exclude, database, table, column, expected) => {
    expect(compileColumnSelection(exclude)(database, table, column)).toBe(expected);
  });

  test('without a pattern costs nothing', () => {
    expect(compileColumnSelection([])).toBe(everyColumn);
  });

  test('all wrong patterns are named at once', () => {
    expect(() => compileColumnSelection(['shop.orders', 'a.b.c', '', '.a.b'])).toThrow(
      expect.objectContaining({
        code: 'DITTO_CONFIG_COLUMN_PATTERN_INVALID',
        context: { patterns: ['shop.orders', '', '.a.b'] },
      }),
    );
  });
});

const tables = [
  { database: 'shop', table: 'orders', columns: ['id', 'note'] },
  { database: 'shop', table: 'customers', columns: ['id', 'Email'] },
];

test('patterns that match no column are found', () => {
  const exclude = ['shop.orders.note', '*.*.email', 'shop.orders.email', 'shop.order.note', '*.*.x*'];
  expect(findIdleColumnPatterns(exclude, tables)).toEqual(['shop.orders.email', 'shop.order.note', '*.*.x*']);
});

test.each<[string[], string[], string[]]>([
  [[], [], []],
  [['shop.orders.note'], ['shop.orders.note'], []],
  [[], ['shop.orders.note'], ['orders']],
  [['shop.orders.note'], [], ['orders']],
  [['shop.orders.note'], ['shop.customers.email'], ['orders', 'customers']],
  [['shop.orders.note'], ['shop.orders.note', 'other.*.note'], []],
  // the column may be gone by now, and still be in the sinks
  [[], ['shop.customers.gone'], ['customers']],
  [[], ['*.*.note'], ['orders', 'customers']],
])('from %j to %j: %j', (before, after, expected) => {
  expect(findReselectedTables(before, after, tables).map(({ table }) => table)).toEqual(expected);
});
