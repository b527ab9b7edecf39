import { describe, expect, it } from '@jest/globals';
import { RestartRows } from './restart-rows.ts';

const row = (id: number, placedMs: number, appendedMs: number) => ({ id, placedMs, appendedMs, arrivedMs: appendedMs });

describe('RestartRows', () => {
  it('says whether what was committed until then has arrived, in any order', () => {
    const rows = new RestartRows();
    rows.commit({ first: 3, count: 2 });
    rows.commit({ first: 1, count: 1 });
    rows.note(row(4, 0, 1));
    rows.note(row(1, 0, 1));
    expect(rows.hasArrived(rows.committed)).toBe(false);
    rows.note(row(3, 0, 1));
    expect(rows.hasArrived(rows.committed)).toBe(true);
  });

  it('counts each further arrival of a row as a duplicate', () => {
    const rows = new RestartRows();
    for (const id of [1, 2, 1, 1]) rows.note(row(id, 0, 1));
    expect(rows.duplicates).toBe(2);
  });

  it('finds the first append of what was committed after the kill, not what was under way', () => {
    const rows = new RestartRows();
    rows.note(row(1, 10, 12));
    rows.expectAfter(20);
    rows.note(row(2, 19, 21));
    expect(rows.firstAppendMs).toBe(Infinity);
    rows.note(row(4, 22, 95));
    rows.note(row(3, 21, 90));
    expect(rows.firstAppendMs).toBe(90);
  });
});
