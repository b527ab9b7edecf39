import { expect, test } from '@jest/globals';
import { parseJsonExactly } from './exact-json.ts';

test('numbers keep all their digits on the way through', () => {
  const text = '{"a":18446744073709551615,"b":1.50,"c":[1,2.5,"x"],"d":null}';
  expect(JSON.stringify(parseJsonExactly(text))).toBe(text);
});
