import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeColumn, makeLayout } from '../test/samples.ts';
import { isCanonicalKey } from './canonical-form.ts';
import { compareJsonRow, decodeJsonKey, decodeJsonRow } from './json-row.ts';
import { compileJsonRowEncoder, compileKeyEncoder } from './row-encoder.ts';
import { type ColumnKind, type CanonicalValue, type Row, VALUE_TYPE } from './table-layout.ts';

const kinds = Object.keys(VALUE_TYPE) as ColumnKind[];
const layout = makeLayout(
  kinds.map((kind) => makeColumn(`c "${kind}"`, kind, { unsigned: kind === 'bigint' })),
  [kinds.indexOf('bigint'), kinds.indexOf('text'), kinds.indexOf('bytes')],
);

const anyText = fc.string({ unit: 'binary' });
const bytes = fc.uint8Array().map((value) => Buffer.from(value));
const float = fc.float({ noNaN: true, noDefaultInfinity: true });
const smallInteger = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }).map((value): CanonicalValue => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
});

const values: Readonly<Record<ColumnKind, fc.Arbitrary<CanonicalValue>>> = {
  integer: fc.integer(),
  bigint: smallInteger,
  decimal: fc.tuple(fc.integer(), fc.nat(999)).map(([a, b]) => `${a}.${b}`),
  float: float.map((value) => Number(Math.fround(value).toPrecision(7))),
  double: fc.double({ noNaN: true, noDefaultInfinity: true }),
  text: anyText,
  bytes,
  boolean: fc.boolean(),
  bits: bytes,
  date: fc.constant('2026-02-03'),
  time: fc.constant('-838:59:59.000001'),
  datetime: fc.constant('0000-00-00T00:00:00'),
  timestamp: fc.constant('2026-02-03T04:05:06.000007Z'),
  enum: anyText,
  set: anyText,
  json: fc.json(),
  geometry: fc.oneof(
    fc.constant(Buffer.alloc(0)),
    fc.tuple(fc.nat(), fc.uint8Array({ minLength: 5 })).map(([srid, wkb]) => {
      const head = Buffer.alloc(4);
      head.writeUInt32LE(srid);
      return Buffer.concat([head, wkb]);
    }),
  ),
  vector: fc.array(float).map((numbers) => {
    const value = Buffer.alloc(4 * numbers.length);
    for (const [i, number] of numbers.entries()) value.writeFloatLE(number, 4 * i);
    return value;
  }),
};
const anyRow: fc.Arbitrary<Row> = fc.tuple(...kinds.map((kind) => fc.option(values[kind])));
const modes = fc.constantFrom('number' as const, 'string' as const);

describe('decodeJsonRow', () => {
  test('gives back the row that was encoded, of every kind, in both modes of BIGINT', () => {
    fc.assert(
      fc.property(anyRow, modes, (row, bigint) => {
        const json = Buffer.from(compileJsonRowEncoder(layout, { bigint })(row));
        expect(decodeJsonRow(layout, json, bigint)).toEqual(row);
        expect(compareJsonRow(layout, row, json, bigint)).toEqual([]);
      }),
    );
  });

  test('gives back the key that was encoded', () => {
    fc.assert(
      fc.property(anyRow, modes, (row, bigint) => {
        const json = Buffer.from(compileKeyEncoder(layout, { bigint })(row));
        const isKey = layout.key.every((index) => isCanonicalKey(layout.columns[index], row[index] ?? null));
        expect(decodeJsonKey(layout, json, bigint)).toEqual(
          isKey ? row.map((value, index) => (layout.key.includes(index) ? value : null)) : null,
        );
      }),
    );
  });

  test('refuses what is not a row of the layout', () => {
    const small = makeLayout([makeColumn('id', 'bigint'), makeColumn('b', 'bytes')]);
    const decode = (text: string, bigint: 'number' | 'string' = 'number'): Row | null =>
      decodeJsonRow(small, Buffer.from(text), bigint);
    expect(decode('{"id":1,"b":"AA=="}')).toEqual([1, Buffer.of(0)]);
    for (const text of [
      '',
      '{}',
      '[]',
      '{"id":1}',
      '{"id":1,"b":null,"c":1}',
      '{"id":1,"c":null}',
      '{"id":"1","b":null}',
      '{"id":1.5,"b":null}',
      '{"id":true,"b":null}',
      '{"id":1,"b":"A-"}',
      '{"id":1,"b":null',
      '{"id":1 ,"b":null}',
    ])
      expect([text, decode(text)]).toEqual([text, null]);
    expect(decode('{"id":1,"b":null}', 'string')).toBeNull();
    expect(decode('{"id":"18446744073709551615","b":null}', 'string')).toEqual([18446744073709551615n, null]);
  });
});

describe('compareJsonRow', () => {
  const columns = (['bigint', 'decimal', 'json', 'text', 'datetime', 'double'] as const).map((kind) =>
    makeColumn(kind, kind),
  );
  const small = makeLayout(columns);
  const row: Row = [9007199254740993n, '1.50', '{"a": 1, "b": [2.0]}', 'xä', '2026-02-03T04:05:06.000007', 0.1];
  const compare = (text: string) => compareJsonRow(small, row, Buffer.from(text), 'number');
  const equal =
    '{"bigint":9007199254740993,"decimal":"1.50","json":"{\\"a\\":1,\\"b\\":[2]}","text":"xä","datetime":"2026-02-03T04:05:06.000007","double":0.1}';

  test('finds equal what means the same', () => {
    expect(compare(equal)).toEqual([]);
    expect(compare(equal.replace('"1.50"', '"1.5"'))).toEqual([]);
    expect(compare(equal.replace('{\\"a\\":1,\\"b\\":[2]}', '{\\"b\\":[20e-1],\\"a\\":1}'))).toEqual([]);
    expect(compare(equal.replace('xä', 'x\\u00e4'))).toEqual([]);
    expect(compare(equal.replace('0.1}', '1e-1}'))).toEqual([]);
  });

  test.each([
    ['a digit that doubles do not hold', '993', '992', 'bigint'],
    ['another decimal', '1.50', '1.51', 'decimal'],
    ['a decimal that is no number', '1.50', '1.5x', 'decimal'],
    ['another document', '[2]', '[3]', 'json'],
    ['a document that is not JSON', '[2]', '[2', 'json'],
    ['one byte of text', 'xä', 'ya', 'text'],
    ['a microsecond', '000007', '000006', 'datetime'],
    ['a digit beyond the shortest of a double', '0.1}', '0.10000000000000001}', 'double'],
    ['a value of another type', '"1.50"', '1.50', 'decimal'],
    ['NULL', '"xä"', 'null', 'text'],
  ])('finds %s', (_, from, to, column) => {
    expect(compare(equal.replace(from, to))?.map((difference) => difference.column)).toEqual([column]);
  });

  test('names columns that only one side has', () => {
    expect(compare(equal.replace('"text"', '"texu"'))).toEqual([
      { column: 'text', expected: '"xä"', found: null },
      { column: 'texu', expected: null, found: '"xä"' },
    ]);
  });

  test('says when it is not JSON', () => {
    for (const text of ['', 'null', equal.slice(1), equal.replace('0.1}', '0.1.1}'), equal.replace('"xä"', '"xä')])
      expect([text, compare(text)]).toEqual([text, null]);
  });
});
