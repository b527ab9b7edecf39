import { expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { showDocument } from './shown-document.ts';

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
