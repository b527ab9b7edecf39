import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Column, type ColumnKind, keyValues, type TableLayout, ValueImages } from '#change-events';
import { TextCodec } from '../codec/text-codec.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { makeSelectList } from './select-list.ts';
import { SelectedTexts } from './selected-texts.ts';
import { TextImages } from './text-images.ts';

const facts: CharacterSetFacts = { charsetOfCollation: new Map(), maxLength: new Map(), tables: new Map() };

const digits = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 18 }).map((list) => list.join(''));
/** As a server prints it: zeros before a number come from ZEROFILL, which has no sign. */
const number = fc.oneof(
  digits,
  digits.map((text) => `-${text.replace(/^0+/, '')}`).filter((text) => text !== '-'),
);
const date = fc.constantFrom('0000-00-00', '2026-02-03', '9999-12-31');
const time = fc.constantFrom('00:00:00', '23:59:59.000007', '01:02:03.1');
const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ unit: fc.constantFrom('\0', '"', '\\', 'a', 'é', '😀'), maxLength: 300 })); // prettier-ignore
const bytes = fc.uint8Array({ maxLength: 300 }).map((list) => Buffer.from(list));

/** What a server sends for values of a kind. */
const SENT: Readonly<Partial<Record<ColumnKind, fc.Arbitrary<Buffer | string>>>> = {
  integer: number.map((text) => text.slice(0, 9)),
  bigint: number,
  decimal: fc.tuple(number, digits).map(([whole, fraction]) => `${whole}.${fraction}`),
  float: fc.float({ noNaN: true, noDefaultInfinity: true }).map(String),
  double: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }).map(String), fc.constantFrom('-0.0', '0.0', '1e20')), // prettier-ignore
  boolean: fc.constantFrom(Buffer.from([0]), Buffer.from([1])),
  bits: bytes,
  bytes,
  geometry: bytes.filter(({ length }) => length === 0 || length > 4),
  vector: bytes.map((list) => list.subarray(0, list.length - (list.length % 4))).filter((list) => list.every((byte) => byte !== 0x7f && byte !== 0xff)), // prettier-ignore
  date,
  time: fc.constantFrom('-838:59:59', '00:00:00.5', '01:02:03'),
  datetime: fc.tuple(date, time).map((parts) => parts.join(' ')),
  timestamp: fc.tuple(date, time).map((parts) => parts.join(' ')),
  enum: anyText,
  set: anyText,
  text: anyText,
  json: fc.json(),
};

const KINDS = Object.keys(SENT) as ColumnKind[];
const CHARSETS = ['utf8mb4', 'utf8mb3', 'utf16le'];

interface Sent {
  readonly column: Column;
  readonly values: readonly (Buffer | null)[];
}

const ROWS = 3;

function columnOf(kind: ColumnKind, name: string, charset: string): Column {
  const of = { precision: 0, scale: 0, length: 0, labels: [], unsigned: false };
  return { ...of, name, kind, type: kind, charset: kind === 'text' ? charset : null };
}

function sentOf(kind: ColumnKind): fc.Arbitrary<Sent> {
  return fc
    .record({ name: fc.string({ maxLength: 20 }), charset: fc.constantFrom(...CHARSETS) })
    .chain(({ name, charset }) => {
      const encoding = kind === 'text' && charset === 'utf16le' ? 'utf16le' : 'utf8';
      const value = (SENT[kind] as fc.Arbitrary<Buffer | string>).map((one) =>
        typeof one === 'string' ? Buffer.from(one, encoding) : one,
      );
      return fc.record({
        column: fc.constant(columnOf(kind, name, charset)),
        values: fc.array(fc.option(value, { freq: 5 }), { minLength: ROWS, maxLength: ROWS }),
      });
    });
}

/** Rows as they come: the length of each value before it. */
function textsOf(layout: TableLayout, sent: readonly Sent[]): SelectedTexts {
  const places: number[] = [];
  const buffers = Array.from({ length: ROWS }, (_, row) => {
    const parts: Buffer[] = [Buffer.from('head')];
    let at = 4;
    for (const { values } of sent) {
      const value = values[row] ?? null;
      const head = value === null ? Buffer.from([0xfb]) : lengthOf(value.length);
      parts.push(head, value ?? Buffer.alloc(0));
      at += head.length;
      places.push(value === null ? -1 : at, value === null ? -1 : at + value.length);
      at += value?.length ?? 0;
    }
    return Buffer.concat(parts);
  });
  const { columns } = makeSelectList(layout, { kind: 'mysql', facts });
  return new SelectedTexts(layout, columns, { buffers, places: Int32Array.from(places) });
}

function lengthOf(length: number): Buffer {
  return length < 251 ? Buffer.from([length]) : Buffer.from([0xfd, length & 255, (length >> 8) & 255, length >> 16]);
}

function layoutOf(sent: readonly Sent[], key: readonly number[]): TableLayout {
  return { database: 'd', table: 't', columns: sent.map(({ column }) => column), key, fingerprint: 'f' };
}

function imagesOf(layout: TableLayout, texts: SelectedTexts): TextImages {
  return new TextImages(layout, texts, new TextCodec(layout, texts.columns));
}

const table = fc
  .array(fc.constantFrom(...KINDS).chain(sentOf), { minLength: 1, maxLength: 20 })
  .chain((sent) => fc.tuple(fc.constant(sent), fc.array(fc.nat(sent.length - 1), { minLength: 1, maxLength: 3 })));

describe('rows of a SELECT', () => {
  test.each(['number', 'string'] as const)('are written as the JSON of their values, BIGINT as %s', (bigint) => {
    fc.assert(
      fc.property(table, fc.nat(9), ([sent, key], shift) => {
        const layout = layoutOf(sent, key);
        const texts = textsOf(layout, sent);
        const images = imagesOf(layout, texts);
        const rows = Array.from({ length: ROWS }, (_, row) => texts.row(row));
        const values = new ValueImages(layout, rows);
        for (const [index, row] of rows.entries()) {
          expect(keyValues(layout, images.keyRow(index))).toEqual(keyValues(layout, row));
          expect(images.row(index)).toEqual(row);
          const target = Buffer.alloc(shift + images.jsonBound(index, bigint), 0xee);
          const other = Buffer.alloc(shift + 3 * target.length);
          const end = images.writeJson(index, target, shift, bigint);
          expect(target.toString('utf8', shift, end)).toBe(
            other.toString('utf8', shift, values.writeJson(index, other, shift, bigint)),
          );
          const ofKey = Buffer.alloc(shift + images.keyBound(index), 0xee);
          const keyEnd = images.writeKey(index, ofKey, shift, bigint);
          expect(ofKey.toString('utf8', shift, keyEnd)).toBe(
            other.toString('utf8', shift, values.writeKey(index, other, shift, bigint)),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test('with a text that is none are refused before anything is written, whatever lies beside them', () => {
    // the last byte begins a character that the next value's length would end
    const text = columnOf('text', 'a', 'utf8mb4');
    const bad = [Buffer.from([0x61, 0xc3])];
    const follows = [Buffer.alloc(0xa9, 0x61)];
    for (const values of [bad, [Buffer.from([0xff])], [Buffer.alloc(300, 0x80)]]) {
      const sent = [
        { column: columnOf('integer', 'id', ''), values: [Buffer.from('1')] },
        { column: text, values },
        { column: { ...text, name: 'b' }, values: follows },
      ];
      const layout = layoutOf(sent, [0]);
      expect(() => imagesOf(layout, textsOf(layout, sent))).toThrow(
        expect.objectContaining({ code: 'DITTO_SOURCE_TEXT_INVALID' }),
      );
    }
  });

  test('say what they hold beside what the network gave, and decode it once', () => {
    const values = ['{"a": "é"}', null, '[1]'].map((text) => (text === null ? null : Buffer.from(text)));
    const utf16 = [Buffer.from('abcd', 'utf16le'), Buffer.from('ef', 'utf16le'), null];
    const sent = [
      { column: columnOf('integer', 'id', ''), values: ['1', '2', '3'].map((id) => Buffer.from(id)) },
      { column: columnOf('json', 'a', ''), values },
      { column: columnOf('text', 'b', 'utf16le'), values: utf16 },
      { column: columnOf('text', 'c', 'utf8mb4'), values: [Buffer.alloc(100, 0x61), null, null] },
    ];
    const layout = layoutOf(sent, [0, 2]);
    const texts = textsOf(layout, sent);
    const asked: string[] = [];
    const decode = texts.value.bind(texts);
    texts.value = (index, column) => {
      asked.push(`${index},${column}`);
      return decode(index, column);
    };
    const images = imagesOf(layout, texts);
    const rows = [0, 1, 2].map((index) => images.row(index));
    expect(images.keptBytes).toBe(2 * rows.flatMap((row) => [row[1], row[2]]).join('').length);
    expect(asked).toHaveLength(new Set(asked).size);
    expect(rows.map((row) => row[2])).toEqual(['abcd', 'ef', null]);
    expect(images.keyRow(0)[2]).toBe('abcd');
    expect(asked.filter((value) => value === '0,2')).toHaveLength(1);
  });

  test('wider than what a bound is worth are measured', () => {
    const sent = [
      { column: columnOf('integer', 'id', ''), values: ['1', '2', '3'].map((id) => Buffer.from(id)) },
      { column: columnOf('text', 'a', 'utf8mb4'), values: [Buffer.alloc(60_000, 1), Buffer.alloc(70_000, 0x61), null] },
    ];
    const layout = layoutOf(sent, [0]);
    const images = imagesOf(layout, textsOf(layout, sent));
    const bounds = [0, 1, 2].map((index) => images.jsonBound(index, 'number'));
    expect(bounds[0]).toBeGreaterThan(6 * 60_000);
    expect(bounds[1]).toBeLessThan(4 * 70_000);
    for (const [index, bound] of bounds.entries())
      expect(images.writeJson(index, Buffer.alloc(bound), 0, 'number')).toBeLessThanOrEqual(bound);
  });
});
