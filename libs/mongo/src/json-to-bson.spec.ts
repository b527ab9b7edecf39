import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import { jsonToBson } from './json-to-bson.ts';

const { Decimal128, Double, Long } = mongo;

/** Names that every object has. */
const inherited = new RegExp(`"(${Object.getOwnPropertyNames(Object.prototype).join('|')})":`);

function throughBson(text: string): unknown {
  const bytes = mongo.BSON.serialize({ value: jsonToBson(text) });
  return mongo.BSON.deserialize(bytes, { promoteValues: false })['value'];
}

describe('jsonToBson', () => {
  it.each([
    ['1', new mongo.Int32(1)],
    ['-2147483648', new mongo.Int32(-2147483648)],
    ['2147483648', Long.fromString('2147483648')],
    ['9007199254740993', Long.fromString('9007199254740993')],
    ['-9223372036854775808', Long.fromString('-9223372036854775808')],
    ['18446744073709551615', Decimal128.fromString('18446744073709551615')],
    ['1.0', new Double(1)],
    ['1.50', new Double(1.5)],
    ['0.1', new Double(0.1)],
    ['1e20', new Double(1e20)],
    ['-0.0', new Double(-0)],
    ['0.10000000000000000001', Decimal128.fromString('0.10000000000000000001')],
    ['12345678901234567890.12345', Decimal128.fromString('12345678901234567890.12345')],
    ['"text"', 'text'],
    ['true', true],
    ['[null]', [null]],
  ])('keeps %s exactly', (text, expected) => expect(throughBson(text)).toStrictEqual(expected));

  it.each([
    '{"$ref": 1}',
    '{"a": {"$json": "x"}}',
    '{"_bsontype": "Long"}',
    '{"a": {"constructor": [{"b": 1}]}}',
    '{"__proto__": []}',
    'null',
    String.raw`{"a\u0000b": 1}`,
    String.raw`["\ud800"]`,
    String.raw`{"\udc00": 1}`,
    '0.12345678901234567890123456789012345678901',
    `${'['.repeat(99)}1${']'.repeat(99)}`,
  ])('keeps as text what BSON or its drivers do not hold: %s', (text) =>
    expect(throughBson(text)).toEqual({ $json: text }),
  );

  it('embeds names with dots, empty names and __proto__', () => {
    expect(mongo.BSON.deserialize(mongo.BSON.serialize({ v: jsonToBson('{"a.b": 1, "": 2}') }))).toEqual({
      v: { 'a.b': 1, '': 2 },
    });
    const embedded = jsonToBson('{"__proto__": {"x": 1}}') as object;
    expect(Object.keys(embedded)).toEqual(['__proto__']);
  });

  it('embeds 98 levels', () => {
    expect(jsonToBson(`${'['.repeat(98)}1${']'.repeat(98)}`)).toBeInstanceOf(Array);
  });

  it('gives back any document of text, integers and booleans', () => {
    const value = fc
      .jsonValue({ maxDepth: 4, depthSize: 'small' })
      .filter((json) => !/\$|_bsontype|e-|0\.|-0|\d{10}|__proto__/.test(JSON.stringify(json)))
      .filter((json) => json !== null && !inherited.test(JSON.stringify(json)));
    fc.assert(
      fc.property(value, (json) => {
        const text = JSON.stringify(json);
        expect(mongo.BSON.deserialize(mongo.BSON.serialize({ v: jsonToBson(text) }))['v']).toEqual(JSON.parse(text));
      }),
    );
  });

  it('throws for text that is not JSON', () => expect(() => jsonToBson('{')).toThrow(SyntaxError));
});
