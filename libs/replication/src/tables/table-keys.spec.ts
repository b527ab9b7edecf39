import { beforeEach, describe, expect, it } from '@jest/globals';
import { type TableRecord } from '../ports/stores.ts';
import { layout } from '../../test/windowed-read-model.ts';
import { TableKeys } from './table-keys.ts';
import { TableRecords } from './table-records.ts';

const grant = { source: 's', owner: 'o', token: 1 };
const other = { ...layout, fingerprint: 'other columns' };
let stored: TableRecord | undefined;
let isDown: boolean;
let place: string;
let keys: TableKeys;

function open(): TableKeys {
  const save = (_: unknown, [record]: readonly TableRecord[]): Promise<void> => {
    if (isDown) return Promise.reject(new Error('down'));
    stored = record;
    return Promise.resolve();
  };
  const records = new TableRecords({ grant, store: { save }, known: stored === undefined ? [] : [stored] });
  return new TableKeys(records, () => place);
}

beforeEach(() => {
  stored = undefined;
  isDown = false;
  place = 'place';
  keys = open();
});

describe('TableKeys', () => {
  it('keeps the layout that rows are made by, under another generation only when it is another', async () => {
    await keys.keep(layout, true);
    expect(stored).toMatchObject({ generation: 1, adopted: { since: 'place', layout } });
    await keys.learn({ ...layout });
    expect(stored?.generation).toBe(1);
    await keys.learn(other);
    expect(stored).toMatchObject({ generation: 2, adopted: { layout: other } });
    expect(keys.judge(layout)).toBe('known');
  });

  it('keeps nothing that is compiled for a layout', async () => {
    await keys.keep(layout, true);
    expect(stored?.adopted?.layout).not.toBe(layout);
  });

  it('I4: a key that is not settled is not kept, whatever else is kept of the table', async () => {
    await keys.keep(layout, true);
    const rekeyed = { ...layout, key: [1] };
    await keys.keep(rekeyed, false);
    expect(keys.judge(rekeyed)).toBe('known');
    await keys.learn({ ...rekeyed, fingerprint: 'other columns' });
    expect(open().judge(layout)).toBe('known');
    await keys.keep(rekeyed, true);
    expect(open().judge(rekeyed)).toBe('known');
  });

  it('I4: a table that has lost its key stops the source, but not where the log before the key is repeated', async () => {
    await keys.keep(layout, true);
    const keyless = { ...layout, key: [] };
    expect(() => keys.judge(keyless)).toThrow('has lost its key');
    expect(keys.judge({ ...layout, key: [1] })).toBe('changed');
    place = 'a place before';
    expect(keys.judge(keyless)).toBe('changed');
  });

  it('I1: what could not be saved is saved when it is tried again', async () => {
    await keys.keep(layout, true);
    isDown = true;
    await expect(keys.learn(other)).rejects.toThrow('down');
    isDown = false;
    await keys.learn(other);
    expect(stored?.adopted?.layout).toEqual(other);
    isDown = true;
    await expect(keys.forget(layout)).rejects.toThrow('down');
    isDown = false;
    await keys.forget(layout);
    expect(stored?.adopted).toBeNull();
  });
});
