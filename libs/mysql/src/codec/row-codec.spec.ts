import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileJsonRowEncoder, compileKeyEncoder, type TableLayout } from '#change-events';
import { binaryJson } from '../../test/binary-json.ts';
import { encodeImage, randomColumn, type RandomColumn } from '../../test/random-images.ts';
import { ColumnType } from '../layout/wire-types.ts';
import { type DecodableColumn } from '../layout/stream-layout.ts';
import { RowCodec } from './row-codec.ts';

interface Case {
  readonly columns: readonly RandomColumn[];
  readonly key: readonly number[];
  readonly images: readonly Buffer[];
}

function layoutOf({ columns, key }: Case): TableLayout {
  return {
    database: 'd',
    table: 't',
    columns: columns.map(({ decodable }) => decodable.column),
    key,
    fingerprint: '',
  };
}

function codecOf({ columns, key }: Case): RowCodec {
  return new RowCodec(
    columns.map(({ decodable }) => decodable),
    key,
  );
}

function cases(maxColumns: number): fc.Arbitrary<Case> {
  return fc.array(randomColumn(), { minLength: 1, maxLength: maxColumns }).chain((columns) => {
    const row = fc.tuple(...columns.map(({ stored }) => fc.option(stored, { freq: 5 })));
    return fc.record({
      columns: fc.constant(columns),
      key: fc.uniqueArray(fc.integer({ min: 0, max: columns.length - 1 }), { minLength: 1, maxLength: 3 }),
      images: fc.array(
        row.map((values) => encodeImage(columns, values)),
        { minLength: 1, maxLength: 3 },
      ),
    });
  });
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

describe('images of any layout', () => {
  test.each(['number', 'string'] as const)(
    'are the JSON of their values, BIGINT as %s, in no more bytes than the bound',
    (bigint) => {
      fc.assert(
        fc.property(cases(20), fc.integer({ min: 0, max: 9 }), (one, shift) => {
          const codec = codecOf(one);
          const layout = layoutOf(one);
          const { row, key } = codec.writers(bigint);
          const bytes = Buffer.concat([Buffer.alloc(shift, 0xaa), ...one.images]);
          let at = shift;
          for (const image of one.images) {
            expect(codec.skip(bytes, at, bytes.length)).toBe(at + image.length);
            const values = codec.decode(bytes, at);
            // nothing is written after the bound: what is there stays
            const bound = codec.bound.bytes(image.length);
            const target = Buffer.alloc(shift + bound, 0xee);
            const end = row(bytes, viewOf(bytes), at, target, viewOf(target), shift);
            expect(target.toString('utf8', shift, end)).toBe(compileJsonRowEncoder(layout, { bigint })(values));
            const ofKey = Buffer.alloc(shift + codec.bound.keyBytes(image.length), 0xee);
            const keyEnd = key?.(bytes, viewOf(bytes), at, ofKey, viewOf(ofKey), shift);
            expect(ofKey.toString('utf8', shift, keyEnd)).toBe(compileKeyEncoder(layout, { bigint })(values));
            at += image.length;
          }
        }),
        { numRuns: 300 },
      );
    },
  );

  test('hold their bound when every byte of text needs the longest escape', () => {
    fc.assert(
      fc.property(cases(6), (one) => {
        const codec = codecOf(one);
        const text = one.columns.map(({ decodable: { column } }) => {
          if (column.kind === 'json') return binaryJson(['\u0001'.repeat(2000)]);
          return column.kind === 'text' ? Buffer.alloc(column.charset === 'utf16' ? 200 : 255, 1) : null;
        });
        const image = encodeImage(one.columns, text);
        const target = Buffer.alloc(codec.bound.bytes(image.length));
        const end = codec.writers('number').row(image, viewOf(image), 0, target, viewOf(target), 0);
        expect(end).toBeLessThanOrEqual(target.length);
        expect(JSON.parse(target.toString('utf8', 0, end))).toBeInstanceOf(Object);
        const ofKey = Buffer.alloc(codec.bound.keyBytes(image.length));
        const keyEnd = codec.writers('number').key?.(image, viewOf(image), 0, ofKey, viewOf(ofKey), 0) ?? 0;
        expect(JSON.parse(ofKey.toString('utf8', 0, keyEnd))).toBeInstanceOf(Object);
      }),
    );
  });

  test('that are cut off anywhere, or whose lengths lie, are refused before they are read', () => {
    fc.assert(
      fc.property(cases(8), fc.integer({ min: 0, max: 1 << 30 }), (one, seed) => {
        const codec = codecOf(one);
        const image = one.images[0] ?? Buffer.alloc(0);
        const end = seed % image.length;
        expect(() => codec.skip(image, 0, end)).toThrow(RangeError);
        // more bytes after it are no excuse
        expect(() => codec.skip(Buffer.concat([image, Buffer.alloc(300)]), 0, end)).toThrow(RangeError);
      }),
      { numRuns: 100 },
    );
  });

  test('of damaged bytes give JSON within the bound, or an error: never a read or a write outside', () => {
    fc.assert(
      fc.property(
        cases(8),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (one, damage) => {
          const codec = codecOf(one);
          const image = Buffer.from(one.images[0] ?? []);
          for (const [at, byte] of damage) image[at % image.length] = byte;
          const end = endOf(codec, image);
          if (end === null) return;
          const target = Buffer.alloc(codec.bound.bytes(end) + 100, 0xee);
          const written = outcome(() => {
            const behind = codec.writers('number').row(image, viewOf(image), 0, target, viewOf(target), 0);
            return target.toString('utf8', 0, behind);
          });
          const decoded = outcome(() => compileJsonRowEncoder(layoutOf(one))(codec.decode(image, 0)));
          expect(written).toBe(decoded);
          expect(target.subarray(codec.bound.bytes(end)).every((byte) => byte === 0xee)).toBe(true);
        },
      ),
      { numRuns: 600 },
    );
  });
});

test('a value that is longer than its column, as only damage makes it, is refused and never cut off', () => {
  const binary: DecodableColumn = {
    physical: { type: ColumnType.string, size: 1, maxLength: 2, precision: 0, scale: 0 },
    column: {
      ...{ name: 'b', kind: 'bytes', type: 'binary(2)', unsigned: false, precision: 0, scale: 0 },
      length: 2,
      charset: null,
      labels: [],
    },
    decodeText: null,
  };
  const codec = new RowCodec([binary], [0]);
  const read = (value: string): unknown => {
    const image = encodeImage([{ decodable: binary, stored: fc.constant(Buffer.alloc(0)) }], [Buffer.from(value)]);
    const target = Buffer.alloc(100);
    const end = codec.writers('number').row(image, viewOf(image), 0, target, viewOf(target), 0);
    return [codec.decode(image, 0), target.toString('utf8', 0, end)];
  };
  expect(read('a')).toEqual([[Buffer.from('a\0')], '{"b":"YQA="}']);
  expect(() => read('abc')).toThrow(RangeError);
});

describe('images with excluded columns', () => {
  /** The same columns and images; columns outside of the key with a set bit are excluded. */
  function exclude({ columns, key }: Case, bits: number): { codec: RowCodec; kept: readonly number[] } {
    const isExcluded = (index: number): boolean => !key.includes(index) && ((bits >> index) & 1) === 1;
    const kept = [...columns.keys()].filter((index) => !isExcluded(index));
    const all = columns.map(({ decodable }, index) =>
      isExcluded(index) ? { physical: decodable.physical, column: null, decodeText: null } : decodable,
    );
    return { codec: new RowCodec(all, key), kept };
  }

  test('are the values and the JSON of the others, whatever bytes the excluded ones hold', () => {
    fc.assert(
      fc.property(cases(12), fc.integer({ min: 0, max: 4095 }), (one, bits) => {
        const whole = codecOf(one);
        const { codec, kept } = exclude(one, bits);
        const layout = layoutOf(one);
        const selected = {
          ...layout,
          columns: kept.map((index) => layout.columns[index] as (typeof layout.columns)[0]),
        };
        const places = { ...selected, key: one.key.map((index) => kept.indexOf(index)) };
        const { row, key } = codec.writers('number');
        for (const image of one.images) {
          expect(codec.skip(image, 0, image.length)).toBe(image.length);
          const all = whole.decode(image, 0);
          const values = codec.decode(image, 0);
          expect(values).toEqual(kept.map((index) => all[index]));
          const target = Buffer.alloc(codec.bound.bytes(image.length));
          const end = row(image, viewOf(image), 0, target, viewOf(target), 0);
          expect(target.toString('utf8', 0, end)).toBe(compileJsonRowEncoder(places)(values));
          const keyEnd = key?.(image, viewOf(image), 0, target, viewOf(target), 0);
          expect(target.toString('utf8', 0, keyEnd)).toBe(compileKeyEncoder(places)(values));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('that can not be decoded are no error: nothing looks into them', () => {
    const undecodable = fc
      .sample(randomColumn(), { numRuns: 400, seed: 3 })
      .filter(({ decodable: { column } }) => ['text', 'json', 'geometry', 'vector', 'enum'].includes(column.kind));
    const [id] = fc
      .sample(randomColumn(), { numRuns: 400, seed: 4 })
      .filter(({ decodable: { column } }) => column.kind === 'boolean');
    if (id === undefined) throw new Error('no column for the key');
    let refused = 0;
    for (const column of undecodable) {
      const columns = [id, column, id];
      const one = { columns, key: [0], images: [] };
      const { size } = column.decodable.physical;
      const bytes = Buffer.alloc(column.decodable.column.kind === 'enum' ? size : 255, 0xff);
      const image = encodeImage(columns, [Buffer.from([1]), bytes, Buffer.from([0])]);
      if (outcome(() => String(codecOf(one).decode(image, 0).length)) === 'refused') refused++;
      const { codec } = exclude(one, 2);
      expect(codec.decode(image, 0)).toEqual([true, false]);
    }
    expect(refused).toBeGreaterThan(20);
  });
});

/** Null for an image that does not end in its bytes. */
function endOf(codec: RowCodec, image: Buffer): number | null {
  try {
    return codec.skip(image, 0, image.length);
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return null;
  }
}

function outcome(run: () => string): string {
  try {
    return run();
  } catch {
    return 'refused';
  }
}

test('a table of a thousand columns', () => {
  const columns = fc.sample(randomColumn(), { numRuns: 1000, seed: 7 });
  const values = columns.map(({ stored }, i) => fc.sample(stored, { numRuns: 1, seed: i })[0] ?? null);
  const one = { columns, key: [3, 999], images: [encodeImage(columns, values)] };
  const codec = codecOf(one);
  const image = one.images[0] ?? Buffer.alloc(0);
  expect(codec.skip(image, 0, image.length)).toBe(image.length);
  const target = Buffer.alloc(codec.bound.bytes(image.length));
  const { row, key } = codec.writers('number');
  const decoded = codec.decode(image, 0);
  const layout = layoutOf(one);
  expect(target.toString('utf8', 0, row(image, viewOf(image), 0, target, viewOf(target), 0))).toBe(
    compileJsonRowEncoder(layout)(decoded),
  );
  expect(target.toString('utf8', 0, key?.(image, viewOf(image), 0, target, viewOf(target), 0))).toBe(
    compileKeyEncoder(layout)(decoded),
  );
});
