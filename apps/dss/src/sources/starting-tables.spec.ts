import { describe, expect, it } from '@jest/globals';
import { type TableName } from '#change-events';
import { assumeLayout } from '#replication';
import { findStartingTables } from './starting-tables.ts';

const keyed = { ...assumeLayout('shop', 'orders'), fingerprint: 'real' };
const keyless = (table: string) => ({ ...assumeLayout('shop', table), key: [], fingerprint: 'real' });
const name = (table: string): TableName => ({ database: 'shop', table });

function find(mirrored: readonly string[], withRows: readonly string[]) {
  return findStartingTables({
    catalogue: [keyed, keyless('log')],
    copied: [name('orders'), name('copied')],
    mirrored: [...mirrored, 'excluded'].map(name),
    hasMirroredRows: ({ table }) => Promise.resolve([...withRows, 'excluded'].includes(table)),
    includes: (_, table) => table !== 'excluded',
  });
}

describe('findStartingTables', () => {
  it('adds those that are gone to those that are there', async () => {
    const { tables, keyedTables } = await find(['orders', 'gone'], ['orders']);
    expect(tables).toEqual([keyed, keyless('log'), assumeLayout('shop', 'copied'), assumeLayout('shop', 'gone')]);
    expect(keyedTables).toEqual([]);
  });

  it('I6: a table without a key that the mirror has rows of had a key, one that has only tombstones was dropped', async () => {
    expect(await find(['log', 'gone'], ['log', 'gone'])).toEqual({
      tables: [keyed, assumeLayout('shop', 'log'), assumeLayout('shop', 'gone'), assumeLayout('shop', 'copied')],
      keyedTables: [name('log'), name('gone')],
    });
    expect(await find(['log'], [])).toEqual({
      tables: [keyed, keyless('log'), assumeLayout('shop', 'copied')],
      keyedTables: [],
    });
  });
});
