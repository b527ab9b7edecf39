import { type CanonicalValue, type Column, GtidSet, type Row, type TextColumn, TextRows } from '#change-events';
import { describe, expect, it } from '@jest/globals';
import { makeColumn, makeLayout } from '../test/make-changes.ts';
import { BsonWriter } from './bson-writer.ts';
import { compileRowWriter } from './row-writer.ts';
import { TextComparison } from './text-comparison.ts';
import { compileTextRowWriter } from './text-row-writer.ts';

const unsigned = { unsigned: true };
const bigint = makeColumn('c', 'bigint', 'bigint', unsigned);
const decimal = makeColumn('c', 'decimal', 'decimal', { precision: 20, scale: 4 });
const text = makeColumn('c', 'text', 'text', { charset: 'utf8mb4' });
const floats = Buffer.alloc(8, 1);

/** Rows of one column with these texts. */
function rowsOf(texts: readonly (Buffer | null)[], decode: TextColumn['decode'], isPlain = true): TextRows {
  const places = texts.flatMap((one) => (one === null ? [-1, -1] : [3, 3 + one.length]));
  const buffers = texts.map((one) => Buffer.concat([Buffer.from('abc'), one ?? Buffer.alloc(0), Buffer.from('99')]));
  return new TextRows([{ decode, isPlain }], { buffers, places: Int32Array.from(places) });
}

function written(write: (writer: BsonWriter) => void): Buffer {
  const writer = new BsonWriter(16);
  write(writer);
  return Buffer.from(writer.bytes.subarray(0, writer.at));
}

describe('a row as text', () => {
  it.each<[string, Column, string | Buffer, CanonicalValue]>([
    ['INT', makeColumn('c', 'integer', 'int'), '-2147483648', -2147483648],
    ['INT ZEROFILL', makeColumn('c', 'integer', 'int', unsigned), '0000000042', 42],
    ['INT UNSIGNED', makeColumn('c', 'integer', 'int', unsigned), '4294967295', 4294967295],
    ['a small BIGINT', bigint, '-7', -7],
    ['a BIGINT of 15 digits', bigint, '999999999999999', 999999999999999],
    ['a BIGINT at 2^53', bigint, '9007199254740993', 9007199254740993n],
    ['the smallest BIGINT', bigint, '-9223372036854775808', -(2n ** 63n)],
    ['a BIGINT above Long', bigint, '18446744073709551615', 2n ** 64n - 1n],
    ['DECIMAL', decimal, '-1.5000', '-1.5000'],
    ['DECIMAL 0', decimal, '0.0000', '0.0000'],
    ['DECIMAL ZEROFILL', decimal, '00012.5000', '12.5000'],
    ['a long DECIMAL', decimal, '9999999999999999.9999', '9999999999999999.9999'],
    ['a long DECIMAL ZEROFILL', decimal, '0009999999999999.9999', '9999999999999.9999'],
    ['DECIMAL(65)', makeColumn('c', 'decimal', 'decimal', { precision: 65, scale: 2 }), '1.50', '1.50'],
    ['an empty text', text, '', ''],
    ['ASCII', text, 'x'.repeat(48), 'x'.repeat(48)],
    ['a long text', text, 'x'.repeat(200), 'x'.repeat(200)],
    ['a NUL and others', text, 'ü\0日本', 'ü\0日本'],
    ['U+FFFD', text, '\ufffd', '\ufffd'],
    ['a long text that is not ASCII', text, '日本'.repeat(40), '日本'.repeat(40)],
    ['ENUM', makeColumn('c', 'enum', 'enum'), 'größer', 'größer'],
    ['SET', makeColumn('c', 'set', 'set'), 'a,b', 'a,b'],
    ['DATE', makeColumn('c', 'date', 'date'), '0000-00-00', '0000-00-00'],
    ['TIME', makeColumn('c', 'time', 'time'), '-838:59:59.000', '-838:59:59.000'],
    ['DATETIME', makeColumn('c', 'datetime', 'datetime'), '2026-02-03 04:05:06.000007', '2026-02-03T04:05:06.000007'],
    ['TIMESTAMP', makeColumn('c', 'timestamp', 'timestamp'), '2026-02-03 04:05:06', '2026-02-03T04:05:06Z'],
    ['BLOB', makeColumn('c', 'bytes', 'blob'), Buffer.from([0, 255, 1]), Buffer.from([0, 255, 1])],
    ['BIT(12)', makeColumn('c', 'bits', 'bit'), Buffer.from([15, 255]), Buffer.from([15, 255])],
    ['geometry', makeColumn('c', 'geometry', 'point'), Buffer.alloc(25, 1), Buffer.alloc(25, 1)],
    ['BIT(1)', makeColumn('c', 'boolean', 'bit'), Buffer.from([1]), true],
    ['DOUBLE', makeColumn('c', 'double', 'double'), '1e-7', 1e-7],
    ['FLOAT', makeColumn('c', 'float', 'float'), '3.14', 3.14],
    ['JSON', makeColumn('c', 'json', 'json'), '{"a": [1, 2.5]}', '{"a": [1, 2.5]}'],
    ['VECTOR', makeColumn('c', 'vector', 'vector'), floats, floats],
  ])('is the BSON of its value: %s', (_, column, sent, value) => {
    const layout = makeLayout([column]);
    const rows = rowsOf([Buffer.from(sent as string), null], () => value);
    const asText = compileTextRowWriter(layout, rows.columns, [0], () => 'name');
    const asValue = compileRowWriter(layout, [0], () => 'name');
    expect(written((writer) => asText(writer, rows, 0))).toEqual(written((writer) => asValue(writer, [value])));
    expect(written((writer) => asText(writer, rows, 1))).toEqual(written((writer) => asValue(writer, [null])));
  });

  it('is decoded where only that says what it means', () => {
    const layout = makeLayout([text]);
    const rows = rowsOf([Buffer.from([0xe4])], () => 'ä', false);
    const asText = compileTextRowWriter(layout, rows.columns, [0], () => 'name');
    const asValue = compileRowWriter(layout, [0], () => 'name');
    expect(written((writer) => asText(writer, rows, 0))).toEqual(written((writer) => asValue(writer, ['ä'])));
  });
});

const VERSION = '0000000200000001000000000010ffffffffffffffff';
const GTID = '3e11fa47-71ca-11e1-9e33-c80aa9429562:5';

describe('a document that is equal', () => {
  const id = makeColumn('id', 'integer', 'int');
  const layout = { ...makeLayout([id, text]), key: [0] };
  const columns: TextColumn[] = [
    { decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)), isPlain: true },
    { decode: (bytes, start, end) => bytes.toString('utf8', start, end), isPlain: true },
  ];
  const rows = new TextRows(columns, { buffers: [Buffer.from('7abc')], places: Int32Array.of(0, 1, 1, 4) });
  const comparison = new TextComparison(layout, columns);
  const checkpoint = { version: VERSION, covered: GtidSet.parse(GTID.replace(':5', ':1-5')) };

  function documentOf(row: Row | null, given: { version?: string; gtid?: string | null; more?: string } = {}): Buffer {
    const { version = VERSION, gtid = GTID, more } = given;
    const label = (type: number, name: string): Buffer => Buffer.from(`${String.fromCharCode(type)}${name}\0`);
    return written((writer) => {
      const start = writer.begin();
      writer.int32(label(0x10, '_id'), 7);
      if (row !== null) {
        const embedded = writer.beginIn(label(0x03, 'row'));
        compileRowWriter(layout, [0, 1], ({ name }) => name)(writer, row);
        writer.end(embedded);
      }
      writer.string(label(0x02, 'v'), version);
      if (row !== null) writer.date(label(0x09, 'ts'), 1);
      if (gtid === null) writer.null(label(0x0a, 'gtid'));
      else writer.string(label(0x02, 'gtid'), gtid);
      if (row === null) writer.date(label(0x09, 'deletedAt'), 1);
      if (more !== undefined) writer.string(label(0x02, more), 'x');
      writer.end(start);
    });
  }

  it('has the key of the row', () => {
    expect(comparison.hasKey(rows, 0, documentOf([7, 'abc']))).toBe(true);
    const other = documentOf([7, 'abc']);
    other[9] = 8;
    expect(comparison.hasKey(rows, 0, other)).toBe(false);
  });

  it.each<[string, Buffer, boolean]>([
    ['of the checkpoint itself', documentOf([7, 'abc']), true],
    ['older', documentOf([7, 'abc'], { version: VERSION.replace('10f', '0ff') }), true],
    ['newer', documentOf([7, 'abc'], { version: VERSION.replace('10f', '11f') }), false],
    ['of a later lineage', documentOf([7, 'abc'], { version: `00000003${VERSION.slice(8)}` }), false],
    ['of an older lineage, covered', documentOf([7, 'abc'], { version: `00000001${VERSION.slice(8)}` }), true],
    [
      'of an older lineage, to be given again',
      documentOf([7, 'abc'], { version: `00000001${VERSION.slice(8)}`, gtid: GTID.replace(':5', ':6') }),
      false,
    ],
    ['without a GTID', documentOf([7, 'abc'], { gtid: null }), true],
    ['with text that is not a GTID', documentOf([7, 'abc'], { gtid: `${GTID}-6` }), false],
    ['with another value', documentOf([7, 'abd']), false],
    ['with a longer value', documentOf([7, 'abcd']), false],
    ['a tombstone', documentOf(null), false],
    ['with a field that Ditto does not write', documentOf([7, 'abc'], { more: 'x' }), false],
    ['with a malformed version', documentOf([7, 'abc'], { version: VERSION.replace('f', 'g') }), false],
    ['not whole', documentOf([7, 'abc']).subarray(0, -3), false],
  ])('%s', (_, document, expected) => {
    expect(comparison.isEqual(rows, 0, document, checkpoint)).toBe(expected);
  });

  it('I8: a text that is not UTF-8 is equal to nothing, not to its own bytes either', () => {
    const broken = new TextRows(columns, {
      buffers: [Buffer.from([0x37, 0x61, 0xff, 0x63])],
      places: Int32Array.of(0, 1, 1, 4),
    });
    const document = documentOf([7, 'abc']);
    document[document.indexOf('abc') + 1] = 0xff;
    expect(comparison.isEqual(broken, 0, document, checkpoint)).toBe(false);
  });
});
