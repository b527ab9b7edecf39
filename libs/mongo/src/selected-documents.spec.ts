import { describe, expect, it } from '@jest/globals';
import { decodeSelection, type SelectionScope } from '#change-events';
import { mongo } from 'mongoose';
import { makeColumn, makeLayout } from '../test/make-changes.ts';
import { selectDocuments } from './selected-documents.ts';

const columns = [
  makeColumn('id', 'bigint', 'bigint'),
  makeColumn('line', 'integer', 'integer'),
  makeColumn('price', 'decimal', 'decimal', { precision: 9, scale: 2 }),
  makeColumn('wide', 'decimal', 'decimal', { precision: 60, scale: 2 }),
  makeColumn('name', 'text', 'text'),
  makeColumn('day', 'date', 'date'),
  makeColumn('extra', 'json', 'json'),
  makeColumn('$where', 'integer', 'integer'),
  makeColumn('a.b', 'integer', 'integer'),
];

function select(scope: SelectionScope, key: readonly number[] = [0]): unknown {
  const layout = { ...makeLayout(columns), key };
  return selectDocuments(layout, decodeSelection(layout, scope));
}

const number = (text: string): unknown => mongo.Decimal128.fromString(text);

describe('the documents of a selection', () => {
  it('are selected by what both sides compare alike', () => {
    expect(
      select({
        kind: 'filter',
        where: [
          { column: 'id', op: 'in', value: ['1', '18446744073709551615'] },
          { column: 'price', op: '>=', value: '1.5' },
          { column: 'line', op: '!=', value: 3 },
          { column: 'day', op: '<', value: '2026-02-03' },
          { column: 'name', op: 'is not null' },
        ],
      }),
    ).toEqual({
      isExact: true,
      filter: {
        $and: [
          { 'row.id': { $in: [number('1'), number('18446744073709551615')] } },
          { 'row.price': { $gte: number('1.5') } },
          { 'row.line': { $exists: true, $nin: [number('3'), null] } },
          { 'row.day': { $lt: '2026-02-03' } },
          { 'row.name': { $exists: true, $not: { $type: 'null' } } },
        ],
      },
    });
  });

  it.each<SelectionScope & { kind: 'filter' }>([
    { kind: 'filter', where: [{ column: 'name', op: '=', value: 'a' }] },
    { kind: 'filter', where: [{ column: 'wide', op: '=', value: '1.00' }] },
    { kind: 'filter', where: [{ column: 'extra', op: 'is null' }] },
    { kind: 'filter', where: [{ column: '$where', op: '=', value: 1 }] },
    { kind: 'filter', where: [{ column: 'a.b', op: '=', value: 1 }] },
  ])('are more where MongoDB can not tell: %j', (scope) => {
    expect(select(scope)).toEqual({ filter: {}, isExact: false });
    const both = { ...scope, where: [...scope.where, { column: 'line', op: '=', value: 1 } as const] };
    expect(select(both)).toEqual({ filter: { $and: [{ 'row.line': { $eq: number('1') } }] }, isExact: false });
  });

  it('of a range are selected by the first column of the key', () => {
    const range = (from: string | null, to: string | null): SelectionScope => ({ kind: 'range', from, to });
    expect(select(range('[1]', '[5]'))).toMatchObject({
      filter: { $and: [{ _id: { $gte: number('1'), $lte: number('5') } }] },
    });
    expect(select(range('[1,9]', null), [0, 1])).toMatchObject({
      filter: { $and: [{ '_id.id': { $gte: number('1') } }] },
    });
    expect(select(range('["a"]', '["b"]'), [4])).toEqual({ filter: {}, isExact: false });
    expect(select(range(null, null))).toEqual({ filter: { $and: [{}] }, isExact: true });
  });
});
