import { describe, expect, test } from '@jest/globals';
import {
  assertCollectionNames,
  assertTopicNames,
  collectionName,
  mirrorDatabaseName,
  parseCollectionName,
  topicName,
} from './names.ts';

function problemsOf(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return (error as { context: { problems: unknown } }).context.problems;
  }
  return [];
}

describe('topics', () => {
  test.each([
    ['shop', 'orders', 'p.shop.orders'],
    ['shop-eu', 'order_lines', 'p.shop-eu.order_lines'],
    ['a.b', 'c d', 'p.a_x002Eb.c_x0020d'],
    ['größe', '表', 'p.gr_x00F6_x00DFe._x8868'],
    ['x', '😀', 'p.x._xD83D_xDE00'],
    ['x', '$', 'p.x._x0024'],
  ])('%s . %s is %s', (database, table, topic) => {
    expect(topicName('p', database, table)).toBe(topic);
    expect(topic).toMatch(/^[A-Za-z0-9._-]+$/);
  });

  test('what Kafka can hold passes', () => {
    expect(() => {
      assertTopicNames('shop-1', [
        { database: 'shop', table: 'orders' },
        { database: 'shop', table: 'orders' },
        { database: 'shop', table: 'Orders' },
        { database: 'shop2', table: 'orders' },
      ]);
    }).not.toThrow();
  });

  test('all problems come in one error', () => {
    const tables = [
      { database: 'shop', table: 'a b' },
      { database: 'shop', table: 'a_x0020b' },
      { database: 'shop_a', table: 'b' },
      { database: 'shop', table: 'a_b' },
      { database: 'shop', table: '表'.repeat(40) },
    ];
    const run = (): void => assertTopicNames('bad prefix', tables);
    expect(run).toThrow(expect.objectContaining({ code: 'DITTO_TOPIC_NAMES_INVALID', retriable: false }));
    expect(problemsOf(run)).toEqual([
      expect.stringContaining('the prefix "bad prefix"'),
      expect.stringContaining('shop.a b (bad prefix.shop.a_x0020b) and shop.a_x0020b'),
      // Kafka refuses a topic that differs from another only in '.' and '_'.
      expect.stringContaining('shop_a.b (bad prefix.shop_a.b) and shop.a_b'),
      expect.stringContaining('256 characters, 249 are allowed'),
    ]);
  });
});

describe('collections and databases', () => {
  test.each([
    ['shop', 'orders', 'shop.orders'],
    ['a.b', 'c.d', 'a_x002Eb.c_x002Ed'],
    ['shop', 'pay$', 'shop.pay_x0024'],
    ['system', 'users', '_x0073ystem.users'],
    ['größe', '表', 'größe.表'],
  ])('%s . %s is the collection %s', (database, table, name) => {
    expect(collectionName(database, table)).toBe(name);
    expect(parseCollectionName(name)).toEqual({ database, table });
  });

  test.each(['_ditto', 'system.users', '.orders', 'a.b.c', 'a._x0041'])('%s names no table', (name) => {
    expect(parseCollectionName(name)).toBeNull();
  });

  test('a source has a database that no other source has', () => {
    expect(mirrorDatabaseName('shop-eu_1')).toBe('ditto_shop-eu_1');
    expect(mirrorDatabaseName('Shop.eu')).toBe('ditto__x0053hop_x002Eeu');
    expect(() => mirrorDatabaseName('x'.repeat(58))).toThrow(
      expect.objectContaining({ code: 'DITTO_MIRROR_NAME_INVALID' }),
    );
  });

  test('collisions and over-long names are refused', () => {
    const run = (): void =>
      assertCollectionNames([
        { database: 'a.b', table: 'c' },
        { database: 'a_x002Eb', table: 'c' },
        { database: 'd'.repeat(64), table: '表'.repeat(64) },
      ]);
    expect(problemsOf(run)).toEqual([
      expect.stringContaining('a.b.c and a_x002Eb.c'),
      expect.stringContaining('257 bytes, 191 are allowed'),
    ]);
    expect(() => collectionName('d'.repeat(64), '表'.repeat(64))).toThrow(
      expect.objectContaining({ code: 'DITTO_MIRROR_NAME_INVALID' }),
    );
    expect(problemsOf(() => assertCollectionNames([{ database: 'a', table: 'b' }]))).toEqual([]);
  });
});
