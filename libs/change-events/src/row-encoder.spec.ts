import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeColumn, makeLayout } from '../test/samples.ts';
import { compileJsonRowEncoder, compileKeyEncoder, encodeKey } from './row-encoder.ts';
import { type CanonicalValue, type ColumnKind } from './table-layout.ts';

function encodeValue(kind: ColumnKind, value: CanonicalValue): string {
  const text = compileJsonRowEncoder(makeLayout([makeColumn('v', kind)]))([value]);
  expect(() => JSON.parse(text) as unknown).not.toThrow();
  return text.slice('{"v":'.length, -1);
}

function floats(...values: number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

const CASES: Readonly<Record<ColumnKind, readonly (readonly [CanonicalValue, string])[]>> = {
  integer: [
    [-128, '-128'],
    [4294967295, '4294967295'],
  ],
  bigint: [
    [42, '42'],
    [18446744073709551615n, '18446744073709551615'],
    [-9223372036854775808n, '-9223372036854775808'],
  ],
  decimal: [['-1234567890123456789.1200', '"-1234567890123456789.1200"']],
  float: [[0.1, '0.1']],
  double: [
    [1e300, '1e+300'],
    [-0, '-0'],
    [5e-324, '5e-324'],
  ],
  text: [
    ['plain', '"plain"'],
    ['a "quoted" \\ line\n\u0001', '"a \\"quoted\\" \\\\ line\\n\\u0001"'],
    ['ärger, 漢字, 😀', '"ärger, 漢字, 😀"'],
    ['\ud800', '"\\ud800"'],
    ['', '""'],
  ],
  bytes: [
    [Buffer.from([0, 255, 16]), '"AP8Q"'],
    [Buffer.alloc(0), '""'],
  ],
  boolean: [[true, 'true']],
  bits: [[Buffer.from([1, 255]), '"Af8="']],
  date: [['0000-00-00', '"0000-00-00"']],
  time: [['-838:59:59.000001', '"-838:59:59.000001"']],
  datetime: [['2026-02-03T04:05:06.000007', '"2026-02-03T04:05:06.000007"']],
  timestamp: [['2026-02-03T04:05:06.700Z', '"2026-02-03T04:05:06.700Z"']],
  enum: [['it\'s "x"', '"it\'s \\"x\\""']],
  set: [['a,b', '"a,b"']],
  json: [['{"a": 1.50}', '"{\\"a\\": 1.50}"']],
  geometry: [
    [Buffer.from([0xe6, 0x10, 0, 0, 1, 2]), '{"wkb":"AQI=","srid":4326}'],
    [Buffer.from([0, 0, 0, 0, 1, 2]), '{"wkb":"AQI=","srid":null}'],
  ],
  vector: [
    [floats(0.1, -2, 3.5), '[0.1,-2,3.5]'],
    [Buffer.alloc(0), '[]'],
  ],
};

describe('JSON of canonical values', () => {
  test.each(
    Object.entries(CASES).flatMap(([kind, cases]) => cases.map((one) => [kind as ColumnKind, ...one] as const)),
  )('%s %p is %s', (kind, value, text) => {
    expect(encodeValue(kind, value)).toBe(text);
    expect(encodeValue(kind, null)).toBe('null');
  });

  test('a number that JSON does not have is refused with a code', () => {
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      expect(() => encodeValue('double', value)).toThrow(expect.objectContaining({ code: 'DITTO_VALUE_NOT_FINITE' }));
    }
  });

  test('any text and any double survive the way through JSON', () => {
    const encode = compileJsonRowEncoder(makeLayout([makeColumn('t', 'text'), makeColumn('d', 'double')]));
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 60 }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        (t, d) => {
          expect(JSON.parse(encode([t, d]))).toEqual({ t, d });
        },
      ),
    );
  });

  test('columns are in order under their names, whatever these are', () => {
    const names = ['id', 'a"b', 'c\\d', "e'f", '`', '__proto__', 'line\nbreak', '\u2028', '${1}', '日本'];
    const encode = compileJsonRowEncoder(makeLayout(names.map((name) => makeColumn(name, 'integer'))));
    const text = encode(names.map((_, i) => i));
    expect(text).toBe(`{${names.map((name, i) => `${JSON.stringify(name)}:${i}`).join(',')}}`);
  });

  test('BIGINT as strings by option, INT stays a number', () => {
    const layout = makeLayout([makeColumn('id', 'bigint'), makeColumn('n', 'integer')]);
    expect(compileJsonRowEncoder(layout, { bigint: 'string' })([7, 7])).toBe('{"id":"7","n":7}');
    expect(compileJsonRowEncoder(layout)([7, 7])).toBe('{"id":7,"n":7}');
    expect(compileKeyEncoder(layout, { bigint: 'string' })([2n ** 63n, 7])).toBe('{"id":"9223372036854775808"}');
  });
});

describe('message key', () => {
  const columns = [makeColumn('a', 'integer'), makeColumn('b', 'text'), makeColumn('c', 'double')];

  test('holds the key columns in key order', () => {
    expect(encodeKey(makeLayout(columns, [1, 0]), [1, 'x', 2])).toBe('{"b":"x","a":1}');
    expect(encodeKey(makeLayout(columns, [0]), [1, 'x', 2])).toBe('{"a":1}');
  });

  test('I2: 0 and -0, one key to MySQL, are one key', () => {
    const encode = compileKeyEncoder(makeLayout(columns, [2]));
    expect(encode([1, 'x', -0])).toBe('{"c":0}');
    expect(encode([1, 'x', 0])).toBe('{"c":0}');
  });

  test('a table without a key has none', () => {
    const code = expect.objectContaining({ code: 'DITTO_TABLE_NO_KEY' });
    expect(() => compileKeyEncoder(makeLayout(columns, []))).toThrow(code);
    expect(() => encodeKey(makeLayout(columns, []), [1, 'x', 2])).toThrow(code);
  });
});
