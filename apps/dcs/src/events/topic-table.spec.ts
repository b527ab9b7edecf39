import { expect, test } from '@jest/globals';
import { formatTableName, topicName } from '#change-events';
import { guessTable, sourceOf } from './topic-table.ts';

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
