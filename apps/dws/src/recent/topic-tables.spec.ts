import { beforeEach, expect, it } from '@jest/globals';
import { type TopicTable, TopicTables } from './topic-tables.ts';

const orders: TopicTable = { source: 'eu', table: { database: 'shop', table: 'orders' } };

let nowMs = 0;
let loads = 0;
let stored: Map<string, TopicTable>;
let tables: TopicTables;

beforeEach(() => {
  [nowMs, loads] = [0, 0];
  stored = new Map([['eu.shop.orders', orders]]);
  const load = () => {
    loads++;
    return Promise.resolve(new Map(stored));
  };
  tables = new TopicTables({ load, nowMs: () => nowMs });
});

it('loads the tables once for topics that are known', async () => {
  for (nowMs = 0; nowMs < 10_000; nowMs += 100) expect(await tables.find('eu.shop.orders')).toBe(orders);
  expect(tables.get('eu.shop.orders')).toBe(orders);
  expect(loads).toBe(1);
});

it('finds a table that is new within about a second', async () => {
  await tables.find('eu.shop.orders');
  nowMs = 500;
  stored.set('eu.shop.lines', { ...orders });
  expect(await tables.find('eu.shop.lines')).toBeUndefined();
  nowMs = 1_600;
  expect(await tables.find('eu.shop.lines')).toBeDefined();
});

it('asks with growing pauses for topics that are of no table', async () => {
  for (nowMs = 0; nowMs < 3_600_000; nowMs += 500) await tables.find('eu.foreign');
  expect(loads).toBeLessThan(80);
  stored.set('eu.foreign', orders);
  const sinceMs = nowMs;
  while ((await tables.find('eu.foreign')) === undefined) nowMs += 500;
  expect(nowMs - sinceMs).toBeLessThanOrEqual(60_000);
});
