import { type CanonicalValue, type Column } from '#change-events';
import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { makeColumn, makeLayout } from '../test/make-changes.ts';
import { BsonWriter } from './bson-writer.ts';
import { compileRowWriter } from './row-writer.ts';

const { Binary, Decimal128, Double, Int32, Long } = mongo;

function stored(column: Column, value: CanonicalValue): unknown {
  const writer = new BsonWriter();
  const start = writer.begin();
  compileRowWriter(makeLayout([column]), [0], () => 'value')(writer, [value]);
  writer.end(start);
  return mongo.BSON.deserialize(writer.bytes.subarray(start, writer.at), { promoteValues: false })['value'];
}

const unsigned = { unsigned: true };
const bigint = makeColumn('c', 'bigint', 'bigint');
const float = makeColumn('c', 'float', 'float');
const floats = Buffer.alloc(8);
floats.writeFloatLE(1.5, 0);
floats.writeFloatLE(-2, 4);

describe('BSON values of canonical values', () => {
  it.each<[string, Column, CanonicalValue, unknown]>([
    ['INT', makeColumn('c', 'integer', 'int'), -2147483648, new Int32(-2147483648)],
    ['MEDIUMINT UNSIGNED', makeColumn('c', 'integer', 'mediumint', unsigned), 16777215, new Int32(16777215)],
    ['YEAR', makeColumn('c', 'integer', 'year'), 2026, new Int32(2026)],
    ['a small INT UNSIGNED', makeColumn('c', 'integer', 'int', unsigned), 7, Long.fromNumber(7)],
    ['the greatest INT UNSIGNED', makeColumn('c', 'integer', 'int', unsigned), 4294967295, Long.fromNumber(4294967295)],
    ['a small BIGINT', bigint, -7, Long.fromNumber(-7)],
    ['a BIGINT at 2^53', bigint, -9007199254740991, Long.fromString('-9007199254740991')],
    ['the smallest BIGINT', bigint, -(2n ** 63n), Long.fromString('-9223372036854775808')],
    ['the greatest Long', bigint, 2n ** 63n - 1n, Long.fromString('9223372036854775807')],
    ['BIGINT UNSIGNED above Long', bigint, 2n ** 64n - 1n, Decimal128.fromString('18446744073709551615')],
    [
      'DECIMAL',
      makeColumn('c', 'decimal', 'decimal', { precision: 9, scale: 2 }),
      '1.50',
      Decimal128.fromString('1.50'),
    ],
    ['DECIMAL(65)', makeColumn('c', 'decimal', 'decimal', { precision: 65, scale: 2 }), '1.50', '1.50'],
    ['a whole FLOAT', float, 3, new Double(3)],
    ['FLOAT', float, 3.14, new Double(3.14)],
    ['negative zero', makeColumn('c', 'double', 'double'), -0, new Double(-0)],
    ['text', makeColumn('c', 'text', 'varchar'), 'ü\0日本', 'ü\0日本'],
    ['bytes', makeColumn('c', 'bytes', 'blob'), Buffer.from([0, 255, 1]), new Binary(Buffer.from([0, 255, 1]))],
    [
      'BIT(12)',
      makeColumn('c', 'bits', 'bit', { length: 12 }),
      Buffer.from([15, 255]),
      new Binary(Buffer.from([15, 255])),
    ],
    ['geometry', makeColumn('c', 'geometry', 'point'), Buffer.alloc(25, 1), new Binary(Buffer.alloc(25, 1))],
    ['VECTOR', makeColumn('c', 'vector', 'vector'), floats, [new Double(1.5), new Double(-2)]],
    ['BIT(1)', makeColumn('c', 'boolean', 'bit'), true, true],
    ['DATE', makeColumn('c', 'date', 'date'), '0000-00-00', '0000-00-00'],
    ['TIME', makeColumn('c', 'time', 'time', { scale: 3 }), '-838:59:59.000', '-838:59:59.000'],
    [
      'DATETIME',
      makeColumn('c', 'datetime', 'datetime', { scale: 6 }),
      '2026-02-03T04:05:06.000007',
      '2026-02-03T04:05:06.000007',
    ],
    ['TIMESTAMP', makeColumn('c', 'timestamp', 'timestamp'), '2026-02-03T04:05:06Z', '2026-02-03T04:05:06Z'],
    ['ENUM', makeColumn('c', 'enum', 'enum'), '', ''],
    ['SET', makeColumn('c', 'set', 'set'), 'a,b', 'a,b'],
    ['JSON', makeColumn('c', 'json', 'json'), '[1, 1.5]', [new Int32(1), new Double(1.5)]],
    ['NULL', makeColumn('c', 'json', 'json'), null, null],
  ])('%s', (_name, column, value, expected) => expect(stored(column, value)).toStrictEqual(expected));
});
