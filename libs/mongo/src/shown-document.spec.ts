import { expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { showDocument, showField } from './shown-document.ts';

const { BSON } = mongo;

it('shows documents with every digit', () => {
  const document = {
    _id: BSON.Long.fromString('9223372036854775807'),
    row: {
      n: new BSON.Int32(5),
      d: new BSON.Double(1.5),
      p: BSON.Decimal128.fromString('1.50'),
      b: new BSON.Binary(Buffer.from('ab')),
      j: { $json: '{}', list: [true, null, 'x'] },
    },
    ts: new Date(1_700_000_000_123),
  };
  expect(showDocument(BSON.serialize(document))).toBe(
    '{"_id":9223372036854775807,"row":{"n":5,"d":1.5,"p":"1.50","b":"YWI=","j":{"$json":"{}","list":[true,null,"x"]}},"ts":"2023-11-14T22:13:20.123Z"}',
  );
});

it('shows what JavaScript has no value for', () => {
  const text = Buffer.from(
    BSON.serialize({ v: 'a?', p: new BSON.BSONRegExp('(?<=x', 's'), s: new BSON.BSONSymbol('y') }),
  );
  text[text.indexOf('a?') + 1] = 0xff;
  expect(showDocument(text)).toBe(
    '{"v":"a\ufffd","p":{"$regularExpression":{"pattern":"(?<=x","options":"s"}},"s":{"$symbol":"y"}}',
  );
  // of the type `undefined`
  expect(showField(Buffer.from([8, 0, 0, 0, 0x06, 0x76, 0, 0]))).toBe('null');
  expect(showField(BSON.serialize({ _id: { b: 1, a: BSON.Long.fromString('9223372036854775807') } }))).toBe(
    '{"b":{"$numberInt":"1"},"a":{"$numberLong":"9223372036854775807"}}',
  );
});

/** A document of one field with the name `v`. */
function makeDocument(type: number, value: readonly number[]): Buffer {
  return Buffer.from([8 + value.length, 0, 0, 0, type, 0x76, 0, ...value, 0]);
}

it.each([
  ['a pattern with an unknown option', makeDocument(0x0b, [0x61, 0, 0x67, 0])],
  ['old binary data with another length inside', makeDocument(0x05, [5, 0, 0, 0, 2, 9, 0, 0, 0, 1])],
])('says that %s is not readable', (_what, document) => {
  expect(showField(document)).toMatch(/^"not readable: /);
  expect(showDocument(document)).toMatch(/^{"unreadable":"not readable: /);
});
