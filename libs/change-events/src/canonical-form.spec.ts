import { describe, expect, it } from '@jest/globals';
import { makeColumn } from '../test/samples.ts';
import { isCanonical } from './canonical-form.ts';
import { type CanonicalValue, type ColumnKind } from './table-layout.ts';

const CASES: Readonly<
  Record<ColumnKind, { readonly canonical: readonly CanonicalValue[]; readonly other: readonly CanonicalValue[] }>
> = {
  integer: { canonical: [0, -5, 2147483647], other: [1.5, '1', 1n, 2147483648] },
  bigint: { canonical: [0, 2n ** 63n - 1n], other: [2 ** 60, '1', 2n ** 63n] },
  decimal: {
    canonical: ['1.50', '-0.05', '120.00', '0.00', '1234567.00'],
    other: ['1.5', '01.50', '1', '1E2', 'x', 5, '-0.00', '12345678.00'],
  },
  float: { canonical: [0.1, -0, 3], other: [NaN, Infinity, '1'] },
  double: { canonical: [5e-324, 1e300], other: [NaN, true] },
  text: { canonical: ['', 'x'], other: [1, Buffer.alloc(1)] },
  bytes: { canonical: [Buffer.alloc(0)], other: ['x'] },
  boolean: { canonical: [true, false], other: [1] },
  bits: { canonical: [Buffer.alloc(2)], other: [Buffer.alloc(1), 'x'] },
  date: { canonical: ['2026-02-31', '0000-00-00', '2026-00-00'], other: ['2026-13-01', '2026-1-1', '2026-02-32', ''] },
  time: {
    canonical: ['-838:59:59.00', '00:00:00.00'],
    other: ['1:00:00.00', '00:60:00.00', '00:00:00', '939:00:00.00'],
  },
  datetime: {
    canonical: ['2026-02-03T04:05:06.07', '0000-00-00T00:00:00.00'],
    other: ['2026-02-03 04:05:06.07', '2026-02-03T04:05:06', '2026-02-03T24:05:06.07', '2026-02-03'],
  },
  timestamp: {
    canonical: ['2026-02-03T04:05:06.07Z', '0000-00-00T00:00:00.00Z'],
    other: ['2026-02-03T04:05:06.07', '2026-02-03T04:05:06Z'],
  },
  enum: { canonical: ['', 'a'], other: ['c', 'a,b'] },
  set: { canonical: ['', 'a', 'a,b'], other: ['b,a', 'a,a', 'c', ',a'] },
  json: { canonical: ['{}'], other: [1] },
  geometry: { canonical: [Buffer.alloc(25)], other: ['x'] },
  vector: { canonical: [Buffer.alloc(8)], other: ['x'] },
};

describe('isCanonical', () => {
  it.each(Object.entries(CASES))('tells the form of %s', (kind, { canonical, other }) => {
    const column = makeColumn('c', kind as ColumnKind, { precision: 9, scale: 2, length: 12, labels: ['a', 'b'] });
    expect(canonical.filter((value) => !isCanonical(column, value))).toEqual([]);
    expect(other.filter((value) => isCanonical(column, value))).toEqual([]);
    expect(isCanonical(column, null)).toBe(true);
  });
});
