import { expect, test } from '@jest/globals';
import { formatTableName, topicName } from '#change-events';
import { compileTopicPattern, guessTable, sourceOf } from './topic-table.ts';

test('source and table are read back from the name of a topic', () => {
  for (const [database, table] of [
    ['store', 'orders'],
    ['Shop 1', 'ä.ö'],
    ['a_b', 'c-d'],
    ['a.b', 'c'],
    ['a', 'b.c'],
  ] as const) {
    const topic = topicName('shop', database, table);
    expect([sourceOf(topic), guessTable(topic)]).toEqual(['shop', formatTableName({ database, table })]);
  }
});

test('the topics of other sources are left alone', () => {
  const pattern = compileTopicPattern(['shop', 'a-b']);
  const topics = ['shop.d.t', 'a-b.d.t', 'shop2.d.t', 'my.shop.d.t', 'shop.d', 'shop', '__consumer_offsets'];
  expect(topics.filter((topic) => pattern.test(topic))).toEqual(['shop.d.t', 'a-b.d.t']);
});
