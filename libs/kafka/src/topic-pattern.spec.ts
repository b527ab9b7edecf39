import { expect, it } from '@jest/globals';

import { compileTopicPattern } from './topic-pattern.ts';

it('the topics of other sources are left alone', () => {
  const pattern = compileTopicPattern(['shop', 'a-b']);
  const topics = ['shop.d.t', 'a-b.d.t', 'shop2.d.t', 'my.shop.d.t', 'shop.d', 'shop', '__consumer_offsets'];
  expect(topics.filter((topic) => pattern.test(topic))).toEqual(['shop.d.t', 'a-b.d.t']);
});
