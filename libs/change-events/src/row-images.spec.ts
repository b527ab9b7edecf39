import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeKey } from './row-encoder.ts';
import { ValueImages } from './row-images.ts';
import { type Column, type Row, type TableLayout } from './table-layout.ts';

const facts = { unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] };
const columns: Column[] = [
  { ...facts, name: 'id', kind: 'text', type: 'varchar' },
  { ...facts, name: 'weight', kind: 'double', type: 'double' },
];
const layout: TableLayout = { database: 'shop', table: 'notes', columns, key: [0, 1], fingerprint: 'notes' };
const LONGEST = 200_000;

function longText(piece: string): string {
  return piece.repeat(Math.ceil(LONGEST / piece.length));
}

describe('ValueImages', () => {
  test('I9: the bound of a wide row is about its bytes, whatever its characters, and holds for row and key', () => {
    const pieces = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(pieces, fc.double({ noNaN: true, noDefaultInfinity: true }), (piece, weight) => {
        const row: Row = [longText(piece), weight];
        const images = new ValueImages(layout, [row]);
        const target = Buffer.alloc(8 * LONGEST);
        const end = images.writeJson(0, target, 0, 'number');
        const bound = images.jsonBound(0, 'number');
        expect(JSON.parse(target.toString('utf8', 0, end))).toEqual({ id: row[0], weight });
        expect(bound).toBeGreaterThanOrEqual(end);
        expect(bound).toBeGreaterThanOrEqual(images.writeKey(0, target, 0, 'number'));
        expect(bound).toBeLessThan(end + 2_000);
      }),
      { numRuns: 15 },
    );
  });

  test('a key has a bound of its own, and nothing is cut off where the target is smaller than it was', () => {
    const pieces = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(pieces, (piece) => {
        const images = new ValueImages(layout, [[longText(piece), 1]]);
        const target = Buffer.alloc(images.keyBound(0, 'number'));
        const end = images.writeKey(0, target, 0, 'number');
        expect(target.toString('utf8', 0, end)).toBe(encodeKey(layout, images.row(0)));
        const short = Buffer.alloc(end - 1);
        expect(() => images.writeKey(0, short, 0, 'number')).toThrow(RangeError);
        expect(() => images.writeJson(0, short, 0, 'number')).toThrow(RangeError);
      }),
      { numRuns: 15 },
    );
    const narrow = new ValueImages(layout, [['a', 1]]);
    expect(() => narrow.writeJson(0, Buffer.alloc(20), 0, 'number')).toThrow(RangeError);
  });
});
