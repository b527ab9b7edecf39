import { describe, expect, it } from '@jest/globals';
import { normalizeJson } from '#change-events';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import { bsonToJson } from './bson-to-json.ts';
import { readElements } from './bson-reader.ts';
import { jsonToBson } from './json-to-bson.ts';

function readBack(value: unknown): string | undefined {
  const document = Buffer.from(mongo.BSON.serialize({ v: value }));
  const [element] = readElements(document);
  return element && bsonToJson(element.type, document.subarray(element.start, element.end));
}

describe('bsonToJson', () => {
  it.each([
    '{"a": [1, -2147483649, 1.5, 1e300, 12345678901234567890, 0.1], "b": {"10": null, "2": true, "": "x\\"ü"}}',
    'null',
    '[]',
    '{}',
    '"x"',
    'false',
    '{"$set": {"a": 1}}',
    '{"a": {"$json": "x"}}',
    '{"$json": "x"}',
    '{"$json": 1}',
    '1234567890123456789012345678901234567890',
    '-0.0',
  ])('gives back the document that %s is stored as', (text) => {
    expect(normalizeJson(readBack(jsonToBson(text)) ?? '')).toBe(normalizeJson(text));
  });

  it('gives back every document', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        expect(normalizeJson(readBack(jsonToBson(text)) ?? '')).toBe(normalizeJson(text));
      }),
    );
  });

  it.each([
    ['a date', new Date()],
    ['NaN', new mongo.Double(NaN)],
    ['Infinity', mongo.Decimal128.fromString('Infinity')],
    ['bytes inside', [new mongo.Binary(Buffer.alloc(1))]],
  ])('has no text for %s', (_, value) => {
    expect(readBack(value)).toBeUndefined();
  });
});
