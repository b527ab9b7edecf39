import { describe, expect, it } from '@jest/globals';
import { type Column, type ColumnKind } from '#change-events';
import { columnRules } from './column-choice.ts';
import { judgeTable, layoutsOf } from './table-judgement.ts';

function column(name: string, kind: ColumnKind) {
  const made: Column = {
    ...{ name, kind, type: kind, unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] },
  };
  return { name, column: made, what: kind };
}

const table = {
  ...{ database: 'shop', table: 'orders', key: [], isVersioned: false },
  columns: [column('id', 'integer'), column('doc', 'json'), column('place', 'vector'), column('shape', 'geometry')],
};

function judge(...key: readonly string[]) {
  return judgeTable(table, columnRules({ keys: { 'shop.orders': key } }), null);
}

describe('judgeTable', () => {
  it('takes columns by which rows can be looked up as a configured key', () => {
    expect(judge('id')).toMatchObject({ unsupported: [], layout: { key: [0] } });
    expect(judge('id', 'shape')).toMatchObject({ unsupported: [], layout: { key: [0, 3] } });
  });

  it('refuses others in a key, together with all else that is wrong', () => {
    const judged = judge('doc', 'id', 'place');
    expect(judged).toMatchObject({
      unsupported: ['doc (json as a column of the key)', 'place (vector as a column of the key)'],
      layout: null,
    });
    const wrong = { ...table, columns: [...table.columns, { name: 'odd', column: null, what: 'odd type' }] };
    const all = judgeTable(wrong, columnRules({ keys: { 'shop.orders': ['doc'] } }), null);
    expect(() => layoutsOf([{ ...wrong, ...all }])).toThrow(
      expect.objectContaining({
        code: 'DITTO_SOURCE_COLUMN_UNSUPPORTED',
        message: expect.stringMatching(
          /doc \(json as a column of the key\).*; .*odd \(odd type\)|odd \(odd type\).*; .*doc \(json/,
        ),
      }),
    );
    expect(() => layoutsOf([{ ...table, ...judged }])).toThrow(
      expect.objectContaining({ remedy: expect.stringContaining('under `keys`') }),
    );
  });
});
