import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileJsonRowEncoder } from './row-encoder.ts';
import { type Column, type ColumnKind, type Row, type TableLayout } from './table-layout.ts';
import { findWideColumns, isWideRow, rowPieces } from './wide-json.ts';

const kinds: readonly ColumnKind[] = ['bigint', 'text', 'json', 'bytes', 'double', 'enum', 'vector', 'bits'];
const facts = { unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] };
const columns = kinds.map((kind): Column => ({ ...facts, name: `a "${kind}"`, kind, type: kind }));
const layout: TableLayout = { database: 'shop', table: 'notes', columns, key: [0], fingerprint: 'notes' };

/** Longer values are wide. */
const WIDE = 64 * 1024;
/** What is escaped takes six characters. */
const LONGEST_PIECE = 6 * WIDE + 2;

/** What a value is made of: a failure shows it, and not the value. */
interface Recipe {
  readonly piece: string;
  readonly length: number;
}

const lengths = fc.oneof(fc.nat(20), fc.integer({ min: WIDE - 6, max: WIDE + 6 }), fc.integer({ min: 98_300, max: 200_000 })); // prettier-ignore
const units = ['a', '"', '\\', '\n', 'é', '🐬', '\ud83d', '\udc2c', '\u0000'];
const piece = fc.string({ unit: fc.constantFrom(...units), minLength: 1, maxLength: 9 });
const recipe = fc.option(fc.record<Recipe>({ piece, length: lengths }), { freq: 9 });

function textOf({ piece: part, length }: Recipe): string {
  return part.repeat(Math.ceil(length / part.length)).slice(0, length);
}

describe('the JSON of a row, piece by piece', () => {
  test('I9: is the text of the whole, and no piece is long', () => {
    let wide = 0;
    fc.assert(
      fc.property(recipe, recipe, recipe, fc.constantFrom('number', 'string'), (text, json, bytes, bigint) => {
        const row: Row = [
          2n ** 60n,
          text && textOf(text),
          json && textOf(json),
          bytes && Buffer.alloc(bytes.length, bytes.piece, 'utf16le'),
          0.1,
          'new "one"',
          Buffer.alloc(8),
          bytes && Buffer.from('xyz'),
        ];
        const written = [...rowPieces(layout, row, bigint)];
        const whole = compileJsonRowEncoder(layout, { bigint })(row);
        // not compared by the matcher, which would show them
        expect(written.join('') === whole).toBe(true);
        // each piece is written as bytes of its own: no character is parted
        expect(Buffer.concat(written.map((one) => Buffer.from(one))).equals(Buffer.from(whole))).toBe(true);
        expect(Math.max(...written.map(({ length }) => length))).toBeLessThanOrEqual(LONGEST_PIECE);
        const isWide = [text, json, bytes].some((one) => (one?.length ?? 0) > WIDE);
        expect(isWideRow(row, findWideColumns(layout))).toBe(isWide);
        wide += Number(isWide);
      }),
      { numRuns: 60 },
    );
    expect(wide).toBeGreaterThan(20);
  });
});
