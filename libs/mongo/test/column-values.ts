import { type CanonicalValue, type Column, type ColumnKind } from '#change-events';
import fc from 'fast-check';
import { makeColumn } from './make-changes.ts';

export interface ColumnWithValue {
  readonly column: Column;
  readonly value: CanonicalValue;
}

function withValue(column: Column, values: fc.Arbitrary<CanonicalValue>): fc.Arbitrary<ColumnWithValue> {
  return fc.option(values, { freq: 6 }).map((value) => ({ column, value }));
}

const someBytes = fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes));
const someText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 120 }),
  fc.string({ maxLength: 60 }),
  fc.constant('a\0ü日😀'),
);
const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 34n) + 1n, max: 10n ** 34n - 1n }), fc.nat(30))
  .map(([digits, scale]) => {
    const shown = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0');
    const point = shown.length - scale;
    return `${digits < 0n ? '-' : ''}${shown.slice(0, point)}${scale === 0 ? '' : `.${shown.slice(point)}`}`;
  })
  .filter((shown) => shown.replace(/[-.]/g, '').length <= 34);

/** Columns of every kind, with values that are hard for it. */
export const columnsOf: Readonly<Record<ColumnKind, readonly fc.Arbitrary<ColumnWithValue>[]>> = {
  integer: [
    withValue(makeColumn('c', 'integer', 'int'), fc.integer()),
    withValue(makeColumn('c', 'integer', 'int', { unsigned: true }), fc.nat(0xffff_ffff)),
    withValue(makeColumn('c', 'integer', 'mediumint', { unsigned: true }), fc.nat(0xff_ffff)),
  ],
  bigint: [
    withValue(
      makeColumn('c', 'bigint', 'bigint'),
      fc
        .oneof(
          fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
          fc.constantFrom(2n ** 63n, 2n ** 63n - 1n, -(2n ** 53n), -1n),
        )
        .map((value) => (value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value)),
    ),
  ],
  decimal: [34, 65].map((precision) =>
    withValue(makeColumn('c', 'decimal', 'decimal', { precision, scale: 2 }), decimal),
  ),
  float: [withValue(makeColumn('c', 'float', 'float'), fc.float({ noNaN: true }))],
  double: [
    withValue(
      makeColumn('c', 'double', 'double'),
      fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(0, -0, 3, 2 ** 40)),
    ),
  ],
  text: [withValue(makeColumn('c', 'text', 'text'), someText)],
  bytes: [withValue(makeColumn('c', 'bytes', 'blob'), someBytes)],
  boolean: [withValue(makeColumn('c', 'boolean', 'bit'), fc.boolean())],
  bits: [withValue(makeColumn('c', 'bits', 'bit', { length: 12 }), someBytes)],
  date: [withValue(makeColumn('c', 'date', 'date'), fc.constant('0000-00-00'))],
  time: [withValue(makeColumn('c', 'time', 'time'), fc.constant('-838:59:59'))],
  datetime: [withValue(makeColumn('c', 'datetime', 'datetime'), fc.constant('0000-00-00T00:00:00'))],
  timestamp: [withValue(makeColumn('c', 'timestamp', 'timestamp'), fc.constant('2026-02-03T04:05:06Z'))],
  enum: [withValue(makeColumn('c', 'enum', 'enum', { labels: ['a'] }), fc.constant('a'))],
  set: [withValue(makeColumn('c', 'set', 'set', { labels: ['a', 'b'] }), fc.constantFrom('', 'a,b'))],
  json: [withValue(makeColumn('c', 'json', 'json'), fc.json({ maxDepth: 3, depthSize: 'small' }))],
  geometry: [withValue(makeColumn('c', 'geometry', 'point'), someBytes)],
  vector: [
    withValue(
      makeColumn('c', 'vector', 'vector'),
      fc
        .array(fc.float({ noNaN: true }), { maxLength: 30 })
        .map((floats) => Buffer.from(Float32Array.from(floats).buffer)),
    ),
  ],
};
export const columnWithValue = fc.oneof(...Object.values(columnsOf).flat());
