import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { type Column, type ColumnKind, type TableLayout } from '#change-events';
import { readDriverTexts } from './driver-text.ts';

const { Binary, BSON, Decimal128, Double, Int32, Long } = mongo;

function layoutOf(kinds: Readonly<Record<string, ColumnKind>>, key: readonly number[] = [0]): TableLayout {
  const columns = Object.entries(kinds).map(([name, kind]): Column => ({
    name,
    kind,
    type: '',
    unsigned: false,
    precision: 0,
    scale: 0,
    length: 0,
    charset: null,
    labels: [],
  }));
  return { database: 'shop', table: 't', columns, key, fingerprint: '' };
}

function read(layout: TableLayout, document: mongo.Document): ReturnType<typeof readDriverTexts> {
  return readDriverTexts(layout, BSON.serialize(document));
}

function textOf(kind: ColumnKind, value: unknown): string | null | undefined {
  return read(layoutOf({ v: kind }), { _id: 1, row: { v: value } })?.row.get('v');
}

describe('the text of a stored value', () => {
  it.each<readonly [ColumnKind, unknown, string | null]>([
    ['integer', new Int32(-5), '-5'],
    ['bigint', Long.fromString('9223372036854775807'), '9223372036854775807'],
    ['bigint', Decimal128.fromString('18446744073709551615'), '18446744073709551615'],
    ['decimal', Decimal128.fromString('1.50'), '1.50'],
    ['decimal', '12345678901234567890123456789012345.5', '12345678901234567890123456789012345.5'],
    ['float', new Double(0.1), '0.1'],
    ['double', new Double(-0), '-0'],
    ['boolean', true, 'true'],
    ['bits', new Binary(Buffer.from('01ff', 'hex')), '01FF'],
    ['text', 'é', 'C3A9'],
    ['enum', '', ''],
    ['date', '0000-00-00', '0000-00-00'],
    ['vector', [new Double(0.5), new Double(-2)], '0000003F000000C0'],
    ['json', { a: new Int32(1), b: [new Double(1e300), null, 'x"'] }, '{"a": 1, "b": [1e+300, null, "x\\""]}'],
    ['json', { $json: '[1.50]' }, '[1.50]'],
    ['text', null, null],
  ])('%s %p', (kind, value, text) => {
    expect(textOf(kind, value)).toBe(text);
  });

  it('is a digest where it is long', () => {
    const text = 'é'.repeat(32_769);
    expect(textOf('text', text)).toBe(`sha256:${createHash('sha256').update(text).digest('hex')}`);
    expect(textOf('text', text.slice(1))).toBe('C3A9'.repeat(32_768));
  });

  it.each<readonly [ColumnKind, unknown]>([
    ['integer', new Double(5)],
    ['integer', '5'],
    ['decimal', new Double(1.5)],
    ['double', new Int32(1)],
    ['boolean', new Int32(1)],
    ['bytes', 'x'],
    ['bytes', new Binary(Buffer.from('x'), 5)],
    ['text', new Binary(Buffer.from('x'))],
    ['date', new Date(0)],
    ['vector', [new Double(0.1)]],
    ['json', new Binary(Buffer.from('x'))],
    ['json', [new Date(0)]],
  ])('of %s is marked where the type is another one: %p', (kind, value) => {
    expect(textOf(kind, value)).toMatch(/^(Double|Int32|Binary|string|object) /);
  });
});

describe('a document', () => {
  const layout = layoutOf({ a: 'integer', b: 'text', v: 'integer' }, [1, 0]);

  it('has its key in key order', () => {
    const texts = read(layout, { _id: { b: 'x', a: 7 }, row: { a: 7, b: 'x', v: null } });
    expect(texts?.key).toEqual(['78', '7']);
    expect(texts?.row).toEqual(
      new Map([
        ['a', '7'],
        ['b', '78'],
        ['v', null],
      ]),
    );
  });

  it.each([7, { b: 'x' }, { b: 'x', a: 7, c: 1 }])('without the parts of the key has none: %p', (id) => {
    expect(read(layout, { _id: id, row: {} })?.key).toEqual([]);
  });

  it('shows fields that are no columns', () => {
    expect(read(layout, { _id: 1, row: { other: new Int32(1) } })?.row.get('other')).toMatch(/^Int32 /);
  });

  it('that has no row, or is no document, gives nothing', () => {
    expect(read(layout, { _id: 1 })).toBeNull();
    expect(read(layout, { _id: 1, row: 'x' })).toBeNull();
    expect(readDriverTexts(layout, Buffer.from([5, 0, 0, 0]))).toBeNull();
    const broken = Buffer.from(BSON.serialize({ _id: 1, row: { b: 'é' } }));
    broken[broken.indexOf(0xc3)] = 0xff;
    expect(readDriverTexts(layout, broken)).toBeNull();
  });
});
