import { describe, expect, it } from '@jest/globals';
import { layout } from '../../test/windowed-read-model.ts';
import { type CopyState } from '../ports/stores.ts';
import { adopt, beginEmpty, isCopied, newRecord } from './table-record.ts';

const table = { database: 'd', table: 't' };
const adopted = { key: 'k', since: '', layout };
const copying = { state: 'copying', after: null, rowsRead: 1, goneBelow: null, again: false } as const;
const states: readonly CopyState[] = [
  { state: 'none' },
  { state: 'pending', endsGone: false },
  { state: 'pending', endsGone: true },
  copying,
  { ...copying, again: true },
  { state: 'ending', rowsRead: 1, goneBelow: 'f', again: false },
  { state: 'done', rowsRead: 1 },
  { state: 'unavailable', reason: 'it was not there' },
];

describe('a table that is made', () => {
  it.each(states)('I4: is copied unless a reading was asked for, which then still comes: %p', (copy) => {
    const record = { ...newRecord(table), copy };
    const begun = beginEmpty(record);
    const isUntouched = copy.state === 'none' || copy.state === 'unavailable';
    expect(begun).toEqual(isUntouched ? { ...record, copy: { state: 'done', rowsRead: 0 }, generation: 1 } : record);
    expect(beginEmpty(begun)).toBe(begun);
  });

  it.each(states)('I4: is not copied by this where the sinks have rows under its name: %p', (copy) => {
    const record = adopt({ ...newRecord(table), copy }, adopted);
    expect(beginEmpty(record)).toBe(record);
  });
});

describe('a layout without a key', () => {
  const keyless = { ...adopted, layout: { ...layout, key: [] } };

  it.each(states)('is never copied: %p', (copy) => {
    const record = adopt({ ...newRecord(table), copy }, keyless);
    expect(record.copy).toEqual(copy.state === 'done' ? { ...record.copy, state: 'unavailable' } : copy);
    expect(isCopied(record)).not.toBe('yes');
  });
});
