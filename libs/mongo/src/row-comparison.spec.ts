import { describe, expect, it } from '@jest/globals';
import { type CanonicalValue, type Column, type Row, VALUE_TYPE } from '#change-events';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import { columnsOf, columnWithValue } from '../test/column-values.ts';
import { makeColumn, makeLayout } from '../test/make-changes.ts';
import { readElements } from './bson-reader.ts';
import { BsonWriter } from './bson-writer.ts';
import { RowComparison } from './row-comparison.ts';
import { compileRowWriter } from './row-writer.ts';

const { Binary, Decimal128, Double, Int32, Long } = mongo;
const id = makeColumn('id', 'integer', 'int');

function comparisonOf(columns: readonly Column[]) {
  const counters = { byBytes: 0, byValue: 0 };
  const comparison = new RowComparison(makeLayout(columns), counters);
  const compare = (row: Row, stored: Buffer) => comparison.compare(row, stored, 0, stored.length);
  return { compare, counters };
}

function write(columns: readonly Column[], row: Row): Buffer {
  const writer = new BsonWriter();
  const start = writer.begin();
  compileRowWriter(makeLayout(columns), [...columns.keys()], ({ name }) => name)(writer, row);
  writer.end(start);
  return Buffer.from(writer.bytes.subarray(0, writer.at));
}

const serialize = (fields: mongo.Document): Buffer => Buffer.from(mongo.BSON.serialize(fields));

const decimal = makeColumn('c', 'decimal', 'decimal', { precision: 9, scale: 2 });
const wide = makeColumn('c', 'decimal', 'decimal', { precision: 60, scale: 2 });
const int = makeColumn('c', 'integer', 'int');
const bigint = makeColumn('c', 'bigint', 'bigint');
const double = makeColumn('c', 'double', 'double');
const text = makeColumn('c', 'text', 'varchar');
const bytes = makeColumn('c', 'bytes', 'blob');
const json = makeColumn('c', 'json', 'json');
const vector = makeColumn('c', 'vector', 'vector');
const datetime = makeColumn('c', 'datetime', 'datetime', { scale: 6 });
const floats = Buffer.alloc(8);
floats.writeFloatLE(0.5, 0);
floats.writeFloatLE(-3, 4);

describe('RowComparison', () => {
  it('finds every row of Ditto equal by its bytes', () => {
    fc.assert(
      fc.property(fc.array(columnWithValue, { minLength: 1, maxLength: 12 }), (members) => {
        const columns = members.map(({ column }, i) => ({ ...column, name: `c${i}` }));
        const row = members.map(({ value }) => value);
        const { compare, counters } = comparisonOf(columns);
        expect(compare(row, write(columns, row))).toEqual([]);
        expect(counters).toEqual({ byBytes: 1, byValue: 0 });
      }),
      { numRuns: 500 },
    );
  });

  it.each<[string, Column, CanonicalValue, unknown]>([
    ['a decimal with fewer zeros', decimal, '1.50', Decimal128.fromString('1.5')],
    ['a decimal with an exponent', decimal, '100.00', Decimal128.fromString('1E+2')],
    ['a decimal as text, as of a wider column', decimal, '1.50', '1.500'],
    ['a wide decimal as Decimal128', wide, '1.50', Decimal128.fromString('1.50')],
    ['a Long in an INT column', int, 5, Long.fromNumber(5)],
    ['an Int32 in a BIGINT column', bigint, 5, new Int32(5)],
    ['a Decimal128 in a BIGINT column', bigint, 5, Decimal128.fromString('5')],
    ['-0', double, 0, new Double(-0)],
    ['a JSON number by its value', json, '{"a": 1.50}', { a: Decimal128.fromString('1.5') }],
    ['JSON members in another order', json, '{"a": 1, "b": [2]}', { b: [2], a: 1 }],
    ['JSON that was kept as text', json, '{"a": 1}', { $json: '{"a": 1.0}' }],
    ['NULL', json, null, null],
  ])('finds it equal by its value: %s', (_, column, value, stored) => {
    const { compare, counters } = comparisonOf([id, column]);
    expect(compare([1, value], serialize({ c: stored, id: 1 }))).toEqual([]);
    expect(counters).toEqual({ byBytes: 0, byValue: 1 });
  });

  it.each<[string, Column, CanonicalValue, unknown, string, string]>([
    ['a number', int, 5, new Int32(6), '5', '6'],
    ['a decimal with more digits', decimal, '1.50', Decimal128.fromString('1.505'), '1.50', '1.505'],
    ['letters of another case', text, 'a', 'A', 'a', 'A'],
    [
      'a microsecond',
      datetime,
      '2026-02-03T04:05:06.000007',
      '2026-02-03T04:05:06.000008',
      '2026-02-03T04:05:06.000007',
      '2026-02-03T04:05:06.000008',
    ],
    ['NULL', text, null, '', 'NULL', ''],
    ['a text that is cut inside a surrogate pair', text, `${'a'.repeat(199)}😀b`, 'a', `${'a'.repeat(199)}…`, 'a'],
    ['the JSON document null', json, null, { $json: 'null' }, 'NULL', 'null'],
    [
      'a JSON number beyond 2^53',
      json,
      '9007199254740993',
      Long.fromString('9007199254740992'),
      '9007199254740993',
      '9007199254740992',
    ],
    ['bytes', bytes, Buffer.from([1, 255]), new Binary(Buffer.from([1, 254])), '0x01ff', '0x01fe'],
    ['a vector', vector, floats, [new Double(0.5), new Double(-4)], '[0.5,-3]', '[0.5,-4]'],
  ])('names what differs: %s', (_, column, value, stored, source, sink) => {
    const { compare } = comparisonOf([id, column]);
    expect(compare([1, value], serialize({ id: 1, c: stored }))).toEqual([{ column: 'c', source, sink }]);
  });

  it.each<[string, Column, CanonicalValue, unknown]>([
    ['text for a number', int, 5, '5'],
    ['a double for an integer', int, 5, new Double(5)],
    ['NaN', double, 5, new Double(NaN)],
    ['no number', decimal, '1.50', 'x'],
    ['an infinite decimal', decimal, '1.50', Decimal128.fromString('Infinity')],
    ['bytes of another subtype', bytes, Buffer.from([1]), new Binary(Buffer.from([1]), 4)],
    ['a date', datetime, '2026-02-03T04:05:06.000007', new Date(5)],
    ['a vector of what is no 32-bit float', vector, floats, [new Double(0.1), new Double(-3)]],
    ['an object id in JSON', json, '{}', { a: new mongo.ObjectId() }],
  ])('does not decode %s', (_, column, value, stored) => {
    expect(comparisonOf([id, column]).compare([1, value], serialize({ id: 1, c: stored }))).toBeNull();
  });

  it('names missing and additional columns', () => {
    expect(comparisonOf([id, text]).compare([1, 'a'], serialize({ id: 1, d: Long.fromNumber(7), '': 'x' }))).toEqual([
      { column: 'c', source: 'a', sink: null },
      { column: 'd', source: null, sink: '{"$numberLong":"7"}' },
      { column: '', source: null, sink: '"x"' },
    ]);
  });

  it('names an additional column that the driver can not read', () => {
    const stored = serialize({ id: 1, d: new mongo.BSONRegExp('a', 's') });
    stored[stored.indexOf('a\0s') + 2] = 'g'.charCodeAt(0);
    expect(comparisonOf([id]).compare([1], stored)).toEqual([
      { column: 'd', source: null, sink: expect.stringMatching(/^"not readable/) },
    ]);
  });

  it('shows 200 characters of a value, from shortly before those that differ', () => {
    const long = 'x'.repeat(1000);
    const [difference] = comparisonOf([text]).compare([`${long}a${long}`], serialize({ c: `${long}b` })) ?? [];
    expect(difference).toEqual({
      column: 'c',
      source: `…${'x'.repeat(40)}a${'x'.repeat(159)}…`,
      sink: `…${'x'.repeat(40)}b`,
    });
    expect(comparisonOf([text]).compare([`a${long}`], serialize({ c: 'b' }))).toEqual([
      { column: 'c', source: `a${'x'.repeat(199)}…`, sink: 'b' },
    ]);
  });

  it('goes on after a row that is wider than what it keeps in memory', () => {
    const { compare, counters } = comparisonOf([text]);
    for (const row of [['x'.repeat(3_000_000)], ['y']]) expect(compare(row, write([text], row))).toEqual([]);
    expect(counters.byBytes).toBe(2);
  });

  it.each(Object.keys(VALUE_TYPE) as (keyof typeof VALUE_TYPE)[])(
    'finds any one flipped bit of a value: %s',
    (kind) => {
      let found = 0;
      fc.assert(
        fc.property(fc.oneof(...columnsOf[kind]), ({ column, value }) => {
          const columns = [id, { ...column, name: 'c' }, makeColumn('z', 'text', 'varchar')];
          const row: Row = [1, value, 'end'];
          const { compare } = comparisonOf(columns);
          const stored = write(columns, row);
          const { start, end } = [...readElements(stored)][1] ?? { start: 0, end: 0 };
          // of a long one some bits, all parts of it
          const step = Math.max(1, Math.floor(((end - start) * 8) / 48));
          for (let bit = start * 8; bit < end * 8; bit += step) {
            const flipped = Buffer.from(stored);
            flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
            if (isEqualByDefinition(column, value, flipped)) continue;
            expect(compare(row, flipped)).not.toEqual([]);
            found++;
          }
        }),
        { numRuns: 30 },
      );
      expect(found).toBeGreaterThan(100);
    },
  );
});

/** Such as 0 and -0, or 1.0 and 1.00 in JSON: read by the driver, not by the code under test. */
function isEqualByDefinition(column: Column, value: CanonicalValue, stored: Buffer): boolean {
  if (value === null || !['decimal', 'float', 'double', 'json', 'bigint'].includes(column.kind)) return false;
  try {
    const { c } = mongo.BSON.deserialize(stored, { promoteValues: false }) as { c: unknown };
    if (column.kind === 'json') {
      const written = mongo.BSON.deserialize(write([{ ...column, name: 'c' }], [value]), { promoteValues: false });
      return numbersOf(c) === numbersOf(written['c']);
    }
    return Number(String(c)) === 0 && Number(value) === 0;
  } catch {
    return false;
  }
}

/** As JSON text in which numbers are doubles, and their zeros have no sign. */
function numbersOf(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof Decimal128) return `decimal ${Number(part.toString()) + 0}`;
    return part;
  }).replaceAll('-0', '0');
}
