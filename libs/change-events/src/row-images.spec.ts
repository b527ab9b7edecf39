import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
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
});
