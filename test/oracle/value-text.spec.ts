import { describe, expect, test } from '@jest/globals';
import mongoose from 'mongoose';
import { parseMessage } from './canonical-text.ts';
import { describeColumn, type OracleColumn } from './column.ts';
import { readBsonValue, readMessageValue, readMySqlValue } from './value-text.ts';

const { Binary, Decimal128, Double, Int32, Long } = mongoose.mongo;

function column(dataType: string, options: { unsigned?: boolean; precision?: number } = {}): OracleColumn {
  return describeColumn({
    name: 'c',
    dataType,
    unsigned: options.unsigned ?? false,
    precision: options.precision ?? 0,
  });
}

interface Case {
  readonly column: OracleColumn;
  readonly mysql: unknown;
  /** JSON text of the value in a message. */
  readonly message: string;
  readonly bson: unknown;
}

const cases: Readonly<Record<string, Case>> = {
  int: { column: column('int'), mysql: '-5', message: '-5', bson: new Int32(-5) },
  'int unsigned': {
    column: column('int', { unsigned: true }),
    mysql: '4294967295',
    message: '4294967295',
    bson: Long.fromString('4294967295'),
  },
  year: { column: column('year'), mysql: '0', message: '0', bson: new Int32(0) },
  bigint: {
    column: column('bigint'),
    mysql: '-9223372036854775808',
    message: '-9223372036854775808',
    bson: Long.fromString('-9223372036854775808'),
  },
  'bigint unsigned beyond 2^63': {
    column: column('bigint', { unsigned: true }),
    mysql: '18446744073709551615',
    message: '18446744073709551615',
    bson: Decimal128.fromString('18446744073709551615'),
  },
  decimal: {
    column: column('decimal', { precision: 9 }),
    mysql: '1.50',
    message: '"1.50"',
    bson: Decimal128.fromString('1.5'),
  },
  'long decimal': { column: column('decimal', { precision: 38 }), mysql: '0.10', message: '"0.10"', bson: '0.10' },
  float: { column: column('float'), mysql: Math.fround(0.1), message: '0.1', bson: new Double(0.1) },
  double: { column: column('double'), mysql: 1e-300, message: '1e-300', bson: new Double(1e-300) },
  varchar: { column: column('varchar'), mysql: 'é 🦊', message: '"é 🦊"', bson: 'é 🦊' },
  'bit(1)': { column: column('bit', { precision: 1 }), mysql: 'true', message: 'true', bson: true },
  'bit(20)': {
    column: column('bit', { precision: 20 }),
    mysql: '0CFEB6',
    message: '"DP62"',
    bson: new Binary(Buffer.from('0cfeb6', 'hex')),
  },
  binary: {
    column: column('binary'),
    mysql: '00FF00',
    message: '"AP8A"',
    bson: new Binary(Buffer.from('00ff00', 'hex')),
  },
  datetime: {
    column: column('datetime'),
    mysql: '2026-02-03T04:05:06.000007',
    message: '"2026-02-03T04:05:06.000007"',
    bson: '2026-02-03T04:05:06.000007',
  },
  json: {
    column: column('json'),
    mysql: '{"a": [1.0, 9007199254740993], "b": null}',
    message: '"{\\"b\\":null,\\"a\\":[1,9007199254740993]}"',
    bson: { b: null, a: [new Double(1), Long.fromString('9007199254740993')] },
  },
  'json that BSON can not hold': {
    column: column('json'),
    mysql: '{"": {"$a": 1}}',
    message: '"{\\"\\":{\\"$a\\":1}}"',
    bson: { $json: '{"":{"$a":1}}' },
  },
  'the JSON document null': { column: column('json'), mysql: 'null', message: '"null"', bson: { $json: 'null' } },
  point: {
    column: column('point'),
    mysql: '4326 0101000000',
    message: '{"wkb":"AQEAAAA=","srid":4326}',
    bson: new Binary(Buffer.from('e6100000' + '0101000000', 'hex')),
  },
  'geometry without a reference system': {
    column: column('geometry'),
    mysql: '0 0101000000',
    message: '{"wkb":"AQEAAAA=","srid":null}',
    bson: new Binary(Buffer.from('00000000' + '0101000000', 'hex')),
  },
  vector: {
    column: column('vector'),
    mysql: 'CDCCCC3D000080BF',
    message: '[0.1,-1]',
    bson: [new Double(Math.fround(0.1)), new Double(-1)],
  },
};

describe('one value, three servers', () => {
  test.each(Object.entries(cases))(
    '%s is the same in MySQL, Kafka and MongoDB',
    (_name, { column, mysql, message, bson }) => {
      const text = readMySqlValue(column, mysql);
      expect(text).not.toContain('‹');
      expect(readMessageValue(column, (parseMessage(`{"c":${message}}`) as { c: unknown }).c)).toBe(text);
      expect(readBsonValue(column, bson)).toBe(text);
    },
  );

  test.each(Object.entries(cases))('%s: NULL is NULL, and nothing else', (_name, { column, mysql }) => {
    expect([readMySqlValue(column, null), readMessageValue(column, null), readBsonValue(column, null)]).toEqual([
      null,
      null,
      null,
    ]);
    expect(readMySqlValue(column, mysql)).not.toBeNull();
  });
});

describe('values of the wrong type are never equal', () => {
  test.each<[string, OracleColumn, unknown]>([
    ['a Double for a DECIMAL', column('decimal', { precision: 9 }), new Double(1.5)],
    ['a Long for an INT', column('int'), Long.fromNumber(5)],
    ['an Int32 for a BIGINT', column('bigint'), new Int32(5)],
    ['a Decimal128 for a small BIGINT UNSIGNED', column('bigint', { unsigned: true }), Decimal128.fromString('5')],
    ['a Date for a DATETIME', column('datetime'), new Date(0)],
    ['a Double for an INT', column('int'), new Double(5)],
    ['text for a BLOB', column('blob'), 'AP8A'],
    ['32 bits more exact than they are', column('vector'), [new Double(0.1)]],
    ['numbers for a VECTOR that are no Double', column('vector'), [new Int32(1)]],
    ['nothing', column('int'), undefined],
  ])('%s', (_name, column, value) => {
    expect(readBsonValue(column, value)).toContain('‹');
  });

  test.each<[string, OracleColumn, unknown]>([
    ['a number for a DECIMAL', column('decimal', { precision: 9 }), 1.5],
    ['text for an INT', column('int'), '5'],
    ['a fraction for an INT', column('int'), 5.5],
    ['a number for a BIT(1)', column('bit', { precision: 1 }), 1],
    ['text that is no base64', column('blob'), 'é'],
    ['a geometry without its SRID', column('point'), { wkb: 'AQEAAAA=' }],
    ['0 for no SRID', column('point'), { wkb: 'AQEAAAA=', srid: 0 }],
    ['text for a VECTOR', column('vector'), 'zczMPQ=='],
    ['nothing', column('int'), undefined],
  ])('%s', (_name, column, value) => {
    expect(readMessageValue(column, value)).toContain('‹');
  });

  test('the widened double of a FLOAT differs', () => {
    expect(readMessageValue(column('float'), Math.fround(0.1))).not.toBe(
      readMySqlValue(column('float'), Math.fround(0.1)),
    );
  });
});

test('a type that the comparison does not know is refused', () => {
  expect(() => column('inet6')).toThrow('does not know');
});
