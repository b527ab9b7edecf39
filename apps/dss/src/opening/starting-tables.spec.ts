import { expect, it } from '@jest/globals';
import { parseCollectionName, type TableName } from '#change-events';
import { assumeLayout } from '#replication';
import { correctNames, findStartingTables } from './starting-tables.ts';

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

it('a table whose name reads like an escaped one is the same in the catalogue and in the mirror', () => {
  const odd = { ...assumeLayout('shop', 'a_x002Eb'), fingerprint: 'real' };
  const mirrored = ['a_x002Eb', 'c_x002Ed', 'e_x002Ef'].map(
    (table) => parseCollectionName(`shop.${table}`) as TableName,
  );
  const options = { catalogue: [odd], copied: [name('c_x002Ed')], mirrored, includes: () => true };
  expect(findStartingTables(options)).toEqual([odd, assumeLayout('shop', 'c_x002Ed'), assumeLayout('shop', 'e.f')]);
  expect(correctNames(mirrored, [odd])).toEqual(
    ['a_x002Eb', 'c.d', 'e.f'].map((table) => expect.objectContaining({ table })),
  );
});
