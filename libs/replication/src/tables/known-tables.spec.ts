import { describe, expect, it } from '@jest/globals';
import { KnownTables } from './known-tables.ts';
import { layout } from '../../test/windowed-read-model.ts';

describe('KnownTables', () => {
  it('keeps nothing that is compiled for a layout', () => {
    const tables = new KnownTables([]);
    tables.learn(layout);
    expect(tables.layoutOf('d', 't')).toEqual(layout);
    expect(tables.layoutOf('d', 't')).not.toBe(layout);
  });

  it('each layout is learned again when the rows of its table have ended, layouts of others are not', () => {
    const tables = new KnownTables([]);
    const [again, other] = [{ ...layout }, { ...layout, table: 'other' }];
    for (const one of [layout, again, other]) tables.markPrepared(one);
    tables.unprepare(layout);
    expect([layout, again, other].map((one) => tables.isPrepared(one))).toEqual([false, false, true]);
    tables.markPrepared(again);
    expect([layout, again].map((one) => tables.isPrepared(one))).toEqual([false, true]);
  });
});
