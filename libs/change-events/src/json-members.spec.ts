import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { findMembers } from './json-members.ts';

describe('findMembers', () => {
  test('finds each member of any object, and its value', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (object) => {
        const json = Buffer.from(JSON.stringify(object));
        const found = findMembers(json)?.map(({ name, start, end }) => [
          name,
          JSON.parse(json.toString('utf8', start, end)) as unknown,
        ]);
        expect(found).toEqual(Object.entries(JSON.parse(json.toString()) as object));
      }),
    );
  });

  test('refuses what is no object, has white space, or goes on', () => {
    for (const text of [
      '',
      '1',
      '[]',
      '{',
      '{"a"}',
      '{"a":}',
      '{"a":1',
      '{"a":1}x',
      '{"a":1,}',
      '{"a": 1} ',
      '{a:1}',
      '{}{}',
      '{"a":"b}',
      '{"\\x":1}',
    ])
      expect([text, findMembers(Buffer.from(text))]).toEqual([text, null]);
  });
});
