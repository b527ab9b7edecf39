import { describe, expect, it } from '@jest/globals';
import { type Column, type ColumnKind, type TableLayout } from '#change-events';
import { compareTexts } from './compare-texts.ts';

function column(name: string, kind: ColumnKind): Column {
  return { name, kind, type: '', unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] };
}

function layoutOf(...columns: readonly Column[]): TableLayout {
  return { database: 'shop', table: 't', columns, key: [0], fingerprint: '' };
}

/** Whether both texts are equal as values of a column, and as a key. */
function areEqual(kind: ColumnKind, source: string | null, stored: string | null): readonly [boolean, boolean] {
  const layout = layoutOf(column('c', kind));
  const differences = compareTexts(layout, [source], { key: [stored], row: new Map([['c', stored]]) });
  const names = differences.map((difference) => difference.column);
  return [!names.includes('c'), !names.includes('c (key)')];
}

describe('texts of one value', () => {
  it.each<readonly [ColumnKind, string, string]>([
    ['integer', '0005', '5'],
    ['bigint', '18446744073709551615', '18446744073709551615'],
    ['decimal', '001.50', '1.5'],
    ['float', '0.10000000149011612', '0.1'],
    ['float', '-0.0', '-0'],
    ['double', '1e22', '1e+22'],
    ['double', '-0.0', '-0'],
    ['json', '{"b": 1, "a": 2}', '{"a":2,"b":1.0}'],
    ['bytes', '0AFF', '0aff'],
    ['text', '', ''],
    ['boolean', 'true', 'true'],
    ['datetime', '2026-01-02T03:04:05.000007', '2026-01-02T03:04:05.000007'],
  ])('of type %s are equal: %s, %s', (kind, source, stored) => {
    expect(areEqual(kind, source, stored)).toEqual([true, true]);
  });

  it.each<readonly [ColumnKind, string | null, string | null]>([
    ['integer', '5', 'Double 5'],
    ['integer', '5', null],
    ['integer', null, '5'],
    ['bigint', '9007199254740993', '9007199254740992'],
    ['decimal', '1.50', '1.51'],
    ['float', '0.10000000149011612', '0.10000000000000002'],
    ['float', '0.10000000149011612', '0.10000000149011612'],
    ['float', '0.0', 'Int32 0'],
    ['double', '0.1', '0.10000000000000002'],
    ['json', '[1]', 'Binary []'],
    ['bytes', '0AFF', '0AFE'],
    ['bytes', '0AFF', 'string "0AFF"'],
    ['boolean', 'true', 'false'],
    ['time', '-00:00:00.01', '00:00:00.01'],
  ])('of type %s are not: %s, %s', (kind, source, stored) => {
    expect(areEqual(kind, source, stored)).toEqual([false, false]);
  });

  it('a zero of a double has a sign in a row, and none in a key', () => {
    expect(areEqual('double', '-0.0', '0')).toEqual([false, true]);
  });
});

describe('compareTexts', () => {
  const layout = layoutOf(column('id', 'integer'), column('v', 'date'));

  it('cuts no character in two, and shows half of one as U+FFFD', () => {
    const long = `${'a'.repeat(199)}😀b`;
    const stored = {
      key: ['1'],
      row: new Map([
        ['id', '1'],
        ['v', 'a\ud83d'],
      ]),
    };
    expect(compareTexts(layout, ['1', long], stored)).toEqual([
      { column: 'v', source: `${'a'.repeat(199)}😀…`, sink: 'a\ufffd' },
    ]);
  });

  it('names each column that differs, with both texts', () => {
    const stored = {
      key: ['1'],
      row: new Map([
        ['id', '1'],
        ['v', '2026-01-02'],
      ]),
    };
    expect(compareTexts(layout, ['1', '2026-01-01'], stored)).toEqual([
      { column: 'v', source: '2026-01-01', sink: '2026-01-02' },
    ]);
  });

  it('says which side lacks a column', () => {
    const stored = {
      key: ['1'],
      row: new Map([
        ['id', '1'],
        ['w', null],
      ]),
    };
    expect(compareTexts(layout, ['1', null], stored)).toEqual([
      { column: 'v', source: 'NULL', sink: null },
      { column: 'w', source: null, sink: 'NULL' },
    ]);
  });

  it('compares the key where it is stored once more', () => {
    const row = new Map([
      ['id', '1'],
      ['v', null],
    ]);
    expect(compareTexts(layout, ['1', null], { key: ['2'], row })).toEqual([
      { column: 'id (key)', source: '1', sink: '2' },
    ]);
    expect(compareTexts(layout, ['1', null], { key: [], row })).toHaveLength(1);
  });

  it('cuts long texts', () => {
    const stored = {
      key: ['1'],
      row: new Map([
        ['id', '1'],
        ['v', 'x'.repeat(10_000)],
      ]),
    };
    expect(compareTexts(layout, ['1', null], stored)[0]?.sink).toHaveLength(201);
  });
});
