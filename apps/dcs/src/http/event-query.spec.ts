import { describe, expect, test } from '@jest/globals';
import { compileKeyMatch, eventQuerySchema } from './event-query.ts';

describe('compileKeyMatch', () => {
  test.each([
    ['{"id":1}', '{"id":1}', true],
    [' { "id" : 1 } ', '{"id":1}', true],
    ['{"id":1}', '{"id":11}', false],
    ['1', '{"id":1}', true],
    ['1', '{"id":11}', false],
    ['1', '{"id":"1"}', true],
    ['18446744073709551615', '{"id":18446744073709551615}', true],
    ['a"b', '{"id":"a\\"b"}', true],
    ['a b', '{"id":"a b"}', true],
    ['{"id": "a  b"}', '{"id":"a  b"}', true],
    ['1', '{"a":1,"b":2}', false],
    ['1', '', false],
    ['x', '{"id":1}', false],
  ])('asked %s, key %s: %s', (asked, key, expected) => {
    expect(compileKeyMatch(asked)(key)).toBe(expected);
  });
});

test('a key of a megabyte takes no time, whatever is in it', () => {
  const began = performance.now();
  for (const part of [' ', '"', '\\"', '{"a":', '[']) {
    const asked = `{"id":"x"${part.repeat(1_000_000 / part.length)}`;
    compileKeyMatch(asked)(asked);
    compileKeyMatch(`{"id":${' '.repeat(1_000_000)}1}`)(`{"id":"${part.repeat(1_000_000 / part.length)}`);
  }
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(compileKeyMatch(`{"id":${' '.repeat(1_000_000)}1}`)('{"id":1}')).toBe(true);
});

test('a query has a limit, and its table is database.table', () => {
  expect(eventQuerySchema.parse({ source: 'shop' })).toEqual({ source: 'shop', limit: 50 });
  const tableOf = (table: string): string | undefined => eventQuerySchema.parse({ source: 'shop', table }).table;
  expect(['a.b', 'a.b.c', '`a.b`.c', '`a`.`b`'].map(tableOf)).toEqual(['a.b', 'a.`b.c`', '`a.b`.c', 'a.b']);
  expect(eventQuerySchema.safeParse({ source: 'shop', table: 'orders', limit: '0' }).error?.issues).toHaveLength(2);
});
