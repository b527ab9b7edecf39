import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeColumn, makeLayout } from '../test/samples.ts';
import { isCanonicalKey } from './canonical-form.ts';
import { decodeKeyValues, encodeKeyValues, hasKey, hasSameKey, keyValues, rowOfKey } from './key-values.ts';
import { type CanonicalValue, type Column, type ColumnKind } from './table-layout.ts';

const bigint = fc
  .bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n })
  .map((value): CanonicalValue =>
    BigInt.asIntN(54, value) === value && value !== -(2n ** 53n) ? Number(value) : value,
  );
const bytes = fc.uint8Array({ maxLength: 20 }).map((data) => Buffer.from(data));
const text = fc.string({ unit: 'grapheme' });
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const valuesOf: Readonly<Record<ColumnKind, fc.Arbitrary<CanonicalValue>>> = {
  integer: fc.integer(),
  bigint,
  decimal: fc.constantFrom('1.5000', '-99999999999999999999.0001'),
  float: double,
  double,
  text,
  bytes,
  boolean: fc.boolean(),
  bits: fc.uint8Array({ minLength: 3, maxLength: 3 }).map((data) => Buffer.from(data)),
  date: fc.constantFrom('0000-00-00', '2026-02-03'),
  time: fc.constantFrom('-838:59:59', '00:00:00'),
  datetime: fc.constantFrom('0000-00-00T00:00:00.000000', '2026-02-03T04:05:06.000007'),
  timestamp: fc.constantFrom('0000-00-00T00:00:00.000000Z', '2026-02-03T04:05:06.000007Z'),
  enum: fc.constantFrom('', 'a', 'ä,b'),
  set: fc.constantFrom('', 'a'),
  json: fc.json(),
  geometry: bytes,
  vector: bytes,
};
/** Digits of the fractions above. */
const SCALES: Readonly<Partial<Record<ColumnKind, number>>> = { decimal: 4, datetime: 6, timestamp: 6 };
const kinds = Object.keys(valuesOf) as readonly ColumnKind[];
const layout = makeLayout(
  [makeColumn('note', 'text'), ...kinds.map((kind) => makeColumn(kind, kind))],
  kinds.map((_, i) => i + 1).reverse(),
);
const row = fc.tuple(fc.constant('not in the key'), ...kinds.map((kind) => valuesOf[kind]));

describe('key values', () => {
  /** One column of each kind, with values that its rows can have. */
  const keyed = makeLayout(
    kinds.map((kind) =>
      makeColumn(kind, kind, {
        unsigned: kind === 'bigint',
        scale: SCALES[kind] ?? 0,
        length: 20,
        labels: ['a', 'ä,b'],
      }),
    ),
    kinds.map((_, i) => i).reverse(),
  );
  const inForm = keyed.columns.map((column) => valuesOf[column.kind].filter((value) => isCanonicalKey(column, value)));

  test('I1: a key stored as text comes back exactly, of whatever type', () => {
    fc.assert(
      fc.property(fc.tuple(...inForm), (values) => {
        const encoded = encodeKeyValues(keyed, values);
        expect(() => JSON.parse(encoded) as unknown).not.toThrow();
        expect(decodeKeyValues(keyed, encoded)).toEqual(keyValues(keyed, values));
      }),
    );
  });

  test.each<[ColumnKind, Partial<Column>, string, string[]]>([
    [
      'decimal',
      { precision: 9, scale: 2 },
      '["1.50"]',
      ['["1.5"]', '["1 OR 1"]', '["1+1"]', '["abc"]', '["-0.00"]', '["12345678.00"]'],
    ],
    ['integer', { type: 'int' }, '[5]', ['[1.5]', '[4294967297]', '[null]']],
    ['integer', { type: 'tinyint', unsigned: true }, '[255]', ['[256]', '[-1]']],
    ['bigint', {}, '["-9223372036854775808"]', ['["9223372036854775808"]']],
    ['bits', { length: 8 }, '["AA=="]', ['[""]', '["AAA="]']],
    ['date', {}, '["2026-02-03"]', ['["abc"]', '["2026-2-3"]']],
  ])('I10: what no row has in its key is no key: %s', (kind, options, good, bad) => {
    const keys = makeLayout([makeColumn('k', kind, options)]);
    expect(encodeKeyValues(keys, decodeKeyValues(keys, good))).toBe(good);
    for (const text of bad)
      expect(() => decodeKeyValues(keys, text)).toThrow(expect.objectContaining({ code: 'DITTO_KEY_TEXT_INVALID' }));
  });

  test('two rows have one text exactly when they have one key', () => {
    fc.assert(
      fc.property(row, row, fc.nat(kinds.length), (a, b, from) => {
        const mixed = b.map((value, i) => (i < from ? (a[i] ?? null) : value));
        expect(encodeKeyValues(layout, a) === encodeKeyValues(layout, mixed)).toBe(hasSameKey(layout, a, mixed));
      }),
    );
  });

  test('bytes are one key by content, text by every character', () => {
    const keys = makeLayout([makeColumn('a', 'bytes'), makeColumn('b', 'text')], [0, 1]);
    expect(hasSameKey(keys, [Buffer.from('x'), 'a'], [Buffer.from('x'), 'a'])).toBe(true);
    expect(hasSameKey(keys, [Buffer.from('x'), 'a'], [Buffer.from('y'), 'a'])).toBe(false);
    expect(hasSameKey(keys, [Buffer.from('x'), 'a'], [Buffer.from('x'), 'A'])).toBe(false);
    expect(hasSameKey(keys, [Buffer.from('x'), 'a'], [null, 'a'])).toBe(false);
  });

  test('I2: 0 and -0, one key to MySQL, have one text', () => {
    const keys = makeLayout([makeColumn('a', 'double')]);
    expect(hasSameKey(keys, [0], [-0])).toBe(true);
    expect(encodeKeyValues(keys, [-0])).toBe(encodeKeyValues(keys, [0]));
  });

  test('a row that is known by its key has the values of the key at their columns, and no others', () => {
    const keys = makeLayout([makeColumn('a', 'text'), makeColumn('b', 'text'), makeColumn('c', 'text')], [2, 0]);
    expect(rowOfKey(keys, ['third', 'first'])).toEqual(['first', null, 'third']);
  });

  test('a table without a key is recognized', () => {
    expect(hasKey(layout)).toBe(true);
    expect(hasKey(makeLayout([makeColumn('a', 'integer')], []))).toBe(false);
  });

  test.each(['', '{}', '[1]', '[1,2,3]', '["x","y"]', '[1.5,"y"]', '[9007199254740993,"y"]', '[1,2]', '[1,"y",3]'])(
    'the text %s is refused for a (bigint, text) key',
    (encoded) => {
      const keys = makeLayout([makeColumn('a', 'bigint'), makeColumn('b', 'text')], [0, 1]);
      const code = expect.objectContaining({ code: 'DITTO_KEY_TEXT_INVALID' });
      expect(() => decodeKeyValues(keys, encoded)).toThrow(code);
    },
  );
});
