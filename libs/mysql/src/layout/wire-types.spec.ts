import { describe, expect, test } from '@jest/globals';
import { FieldCursor } from '../binlog/field-cursor.ts';
import { MYSQL_TYPES } from './column-types.ts';
import { ColumnType, PREFIXED, readPhysicalColumn, typeName, valueBytes } from './wire-types.ts';

const codes: readonly number[] = Object.values(ColumnType);

function read(code: number, metadata: readonly number[]): ReturnType<typeof readPhysicalColumn> {
  return readPhysicalColumn(code, new FieldCursor(Buffer.from(metadata), 0));
}

describe('types of the log', () => {
  test('every type of every kind has a code in the log', () => {
    const physical = { precision: 10, scale: 2, maxLength: 4 };
    const named = codes.flatMap((type) =>
      [1, 2, 3, 4].flatMap((size) =>
        [true, false].flatMap((isBinary) =>
          [0, 1, 2, 3, 4, 5, 6, 7].map((geometryType) =>
            typeName({ physical: { ...physical, type, size }, isBinary, geometryType }),
          ),
        ),
      ),
    );
    const types = Object.values(MYSQL_TYPES).flatMap(({ types: names }) => names);
    expect(new Set(named.filter((name) => name !== null))).toEqual(new Set(types));
  });

  test.each([
    ['a decimal without digits', ColumnType.newDecimal, [0, 0]],
    ['a decimal with more places than digits', ColumnType.newDecimal, [5, 6]],
    ['a BIT of no bits', ColumnType.bit, [0, 0]],
    ['an ENUM of three bytes', ColumnType.string, [ColumnType.enum, 3]],
    ['a SET of nine bytes', ColumnType.string, [ColumnType.set, 9]],
    ['a BLOB without a length', ColumnType.blob, [0]],
    ['a compressed BLOB with a length of five bytes', ColumnType.blobCompressed, [5]],
    ['seven digits of a second', ColumnType.time2, [7]],
  ])('%s is refused', (_name, code, metadata) => {
    expect(() => read(code, metadata)).toThrow(RangeError);
  });

  test('a code that is not known has no name and no end', () => {
    const physical = read(200, []);
    expect([typeName({ physical, isBinary: false, geometryType: 0 }), valueBytes(physical)]).toEqual([null, null]);
  });

  test('the end of a value is found without a name: its column can be excluded', () => {
    expect(valueBytes(read(ColumnType.blobCompressed, [2]))).toBe(PREFIXED);
    expect(valueBytes(read(ColumnType.timestamp, []))).toBe(4);
  });
});
