import { describe, expect, it } from '@jest/globals';
import { describeKey, KEYLESS } from './key-description.ts';
import { type TableLayout } from './table-layout.ts';

function layout(key: readonly number[], changes: Record<string, unknown> = {}): TableLayout {
  const columns = ['a', 'b'].map((name) => ({ name, kind: 'integer', scale: 0, type: 'int', ...changes }));
  return { database: 'd', table: 't', columns, key, fingerprint: '' } as unknown as TableLayout;
}

describe('describeKey', () => {
  it.each([
    ['other columns', layout([1])],
    ['another order', layout([1, 0])],
    ['more columns', layout([0, 1])],
    ['another name', layout([0], { name: 'c' })],
    ['another form of values', layout([0], { kind: 'bigint' })],
    ['other digits', layout([0], { scale: 3 })],
    ['no column', layout([])],
  ])('I4: a key differs from one with %s', (_, other) => {
    expect(describeKey(other)).not.toBe(describeKey(layout([0])));
  });

  it('is the same whatever the other columns and the types within a form are', () => {
    expect(describeKey(layout([0], { type: 'smallint' }))).toBe(describeKey(layout([0])));
    expect(describeKey(layout([]))).toBe(KEYLESS);
  });
});
