import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  collectionName,
  CollectionNames,
  formatTableName,
  mirrorDatabaseName,
  parseCollectionName,
  parseTableName,
  tableKey,
  type TableName,
  topicName,
  TopicNames,
} from './names.ts';
import { compileTableSelection } from './table-selection.ts';

/** Names are short and of few characters, so that two of them often look alike. */
const anyName = fc.stringMatching(/^[ab.`*_ ]{0,3}[ab.`*_]$/);
const anyTable: fc.Arbitrary<TableName> = fc.record({ database: anyName, table: anyName });

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
      new TopicNames('shop-1').claimAll([
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
      { database: 'shop', table: '表'.repeat(42) },
    ];
    const run = (): void => new TopicNames('p').claimAll(tables);
    expect(run).toThrow(expect.objectContaining({ code: 'DITTO_TOPIC_NAMES_INVALID', retriable: false }));
    expect(problemsOf(run)).toEqual([
      expect.stringContaining('shop.`a b` (p.shop.a_x0020b) and shop.a_x0020b'),
      // Kafka refuses a topic that differs from another only in '.' and '_'.
      expect.stringContaining('shop_a.b (p.shop_a.b) and shop.a_b'),
      expect.stringContaining('259 characters, 249 are allowed'),
    ]);
    expect(problemsOf(() => new TopicNames('bad prefix').claimAll(tables))).toEqual([
      expect.stringContaining('the prefix "bad prefix"'),
    ]);
  });

  test('I2: a table that comes later is compared with those that are there, until they go', () => {
    const topics = new TopicNames('p');
    const [first, second] = [
      { database: 'd', table: 'a b' },
      { database: 'd', table: 'a_x0020b' },
    ] as const;
    topics.claimAll([first]);
    expect(() => topics.claim(second)).toThrow(expect.objectContaining({ code: 'DITTO_TOPIC_NAMES_INVALID' }));
    topics.release(second);
    expect(() => topics.claim(second)).toThrow(expect.objectContaining({ code: 'DITTO_TOPIC_NAMES_INVALID' }));
    topics.claim(first);
    topics.release(first);
    topics.claim(second);
    expect(() => topics.claim(first)).toThrow(expect.objectContaining({ code: 'DITTO_TOPIC_NAMES_INVALID' }));
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
      new CollectionNames().claimAll([
        { database: 'a.b', table: 'c' },
        { database: 'a_x002Eb', table: 'c' },
        { database: 'd'.repeat(64), table: '表'.repeat(64) },
      ]);
    expect(problemsOf(run)).toEqual([
      expect.stringContaining('`a.b`.c (a_x002Eb.c) and a_x002Eb.c'),
      expect.stringContaining('257 bytes, 191 are allowed'),
    ]);
    expect(() => collectionName('d'.repeat(64), '表'.repeat(64))).toThrow(
      expect.objectContaining({ code: 'DITTO_MIRROR_NAME_INVALID' }),
    );
    expect(problemsOf(() => new CollectionNames().claimAll([{ database: 'a', table: 'b' }]))).toEqual([]);
  });
});

describe('one text for each table', () => {
  test('no two tables have one, neither for maps nor for people, and the latter can be read back', () => {
    fc.assert(
      fc.property(anyTable, anyTable, (a, b) => {
        const same = a.database === b.database && a.table === b.table;
        expect(tableKey(a) === tableKey(b)).toBe(same);
        expect(formatTableName(a) === formatTableName(b)).toBe(same);
        expect(parseTableName(formatTableName(a))).toEqual(a);
        expect(compileTableSelection({ include: [formatTableName(a)] })(b.database, b.table)).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['shop.orders', 'shop', 'orders'],
    ['a.b.c', 'a', 'b.c'],
    ['`a.b`.c', 'a.b', 'c'],
    ['`a``b`.`c`', 'a`b', 'c'],
  ])('%s is database %s, table %s', (text, database, table) => {
    expect(parseTableName(text)).toEqual({ database, table });
  });

  test.each(['orders', '.orders', 'shop.', '`a`b`.c'])('%s names no table', (text) => {
    expect(parseTableName(text)).toBeNull();
  });
});
