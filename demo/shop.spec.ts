import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { customerId, planShop, skuOf } from './shop.ts';

test('the tables have the asked number of rows together, none is empty', () => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 50_000_000 }), (rows) => {
      const size = planShop(rows);
      const counts: readonly number[] = [size.customers, size.products, size.orders, size.order_lines];
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(rows);
      expect(Math.min(...counts)).toBeGreaterThan(0);
    }),
  );
});

test('every 500th customer has a number beyond 2^63', () => {
  expect(customerId(499)).toBe(499n);
  expect(customerId(500)).toBe(9_223_372_036_854_776_308n);
});

test('stock numbers are distinct text beyond ASCII', () => {
  const numbers = Array.from({ length: 1_000 }, (_, n) => skuOf(n + 1));
  expect(new Set(numbers).size).toBe(1_000);
  expect(numbers[0]).toBe('Zø0000001');
});
