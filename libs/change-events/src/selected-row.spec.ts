import { describe, expect, it } from '@jest/globals';
import { makeColumn, makeLayout } from '../test/samples.ts';
import { decodeSelection, type ScopeCondition } from './row-scope.ts';
import { mayBelong, needsWholeRow } from './selected-row.ts';
import { type CanonicalValue } from './table-layout.ts';

const columns = [
  makeColumn('id', 'bigint'),
  makeColumn('line', 'decimal', { precision: 9, scale: 2 }),
  makeColumn('name', 'text'),
  makeColumn('day', 'date'),
  makeColumn('on', 'boolean'),
];
const layout = makeLayout(columns, [0, 1]);

describe('whether a row may belong to a range', () => {
  const range = decodeSelection(layout, { kind: 'range', from: '["18446744073709551610","-1.5"]', to: null });
  it.each<[CanonicalValue, CanonicalValue, boolean]>([
    [18446744073709551609n, '9.00', false],
    [18446744073709551611n, '-9.00', true],
    [18446744073709551610n, '-1.50', true],
    [18446744073709551610n, '-1.51', false],
    [18446744073709551610n, '0.00', true],
  ])('from [18446744073709551610, -1.5]: [%s, %s] %s', (id, line, expected) => {
    expect(mayBelong(layout, range, [id, line, null, null, null], false)).toBe(expected);
  });

  it('goes on to its other end, and says yes where only the source knows the order', () => {
    const upTo = decodeSelection(layout, { kind: 'range', from: '[1,2]', to: '[5,1]' });
    const keys = [[0], [1, '1.99'], [1, '2.00'], [5, '1.00'], [5, '1.01'], [6, '0.00']] as const;
    expect(keys.map(([id, line = '0.00']) => mayBelong(layout, upTo, [id, line, null, null, null], false))).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
    const byName = makeLayout(columns, [2]);
    const names = decodeSelection(byName, { kind: 'range', from: '["m"]', to: '["n"]' });
    expect(mayBelong(byName, names, [null, null, 'a', null, null], false)).toBe(true);
  });
});

describe('whether a row may fulfil a filter', () => {
  const row = [7, '1.50', 'Jane', '2026-02-03', null] as const;
  it.each<[ScopeCondition, boolean]>([
    [{ column: 'id', op: '=', value: 7 }, true],
    [{ column: 'id', op: '!=', value: 7 }, false],
    [{ column: 'id', op: 'in', value: [1, 7] }, true],
    [{ column: 'id', op: 'in', value: [1, 2] }, false],
    [{ column: 'line', op: '<=', value: '1.5' }, true],
    [{ column: 'line', op: '<', value: '1.5' }, false],
    [{ column: 'day', op: '>', value: '2026-02-02' }, true],
    [{ column: 'day', op: '>=', value: '2026-02-04' }, false],
    [{ column: 'name', op: '=', value: 'jane' }, true],
    [{ column: 'name', op: 'is null' }, false],
    [{ column: 'on', op: 'is null' }, true],
    [{ column: 'on', op: 'is not null' }, false],
    [{ column: 'on', op: '!=', value: true }, false],
  ])('%j: %s', (condition, expected) => {
    const filter = decodeSelection(layout, { kind: 'filter', where: [condition] });
    expect(mayBelong(layout, filter, row, true)).toBe(expected);
    const isOfKey = ['id', 'line'].includes(condition.column);
    expect(needsWholeRow(layout, filter)).toBe(!isOfKey);
    // of the other columns nothing is known
    expect(mayBelong(layout, filter, [7, '1.50', null, null, null], false)).toBe(isOfKey ? expected : true);
  });
});
