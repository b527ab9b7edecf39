import { expect, it } from '@jest/globals';
import { type TableName } from '#change-events';
import { assumeLayout } from '#replication';
import { findStartingTables } from './starting-tables.ts';

const keyed = { ...assumeLayout('shop', 'orders'), fingerprint: 'real' };
const keyless = { ...assumeLayout('shop', 'log'), key: [], fingerprint: 'real' };
const name = (table: string): TableName => ({ database: 'shop', table });

it('a stream begins with the tables that are there, and with those that the sinks have beside them', () => {
  const tables = findStartingTables({
    catalogue: [keyed, keyless],
    copied: ['orders', 'copied', 'excluded'].map(name),
    mirrored: ['orders', 'log', 'gone', 'excluded'].map(name),
    includes: (_, table) => table !== 'excluded',
  });
  expect(tables).toEqual([keyed, keyless, assumeLayout('shop', 'copied'), assumeLayout('shop', 'gone')]);
});
