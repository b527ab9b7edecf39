import { expect, it } from '@jest/globals';
import { describeKey, KEYLESS, type TableLayout } from '#change-events';
import { assumeLayout, type CopyState, KeyStore, type TableKey, newRecord, type TableRecord } from '#replication';
import { findStartingKeys } from './starting-keys.ts';

class Keys extends KeyStore {
  readonly saved: TableKey[] = [];
  readonly #stored: readonly TableKey[];

  constructor(...stored: readonly TableKey[]) {
    super();
    this.#stored = stored;
  }

  load(): Promise<readonly TableKey[]> {
    return Promise.resolve(this.#stored);
  }

  save(_: unknown, keys: readonly TableKey[]): Promise<void> {
    this.saved.push(...keys);
    return Promise.resolve();
  }

  forget(): Promise<void> {
    return Promise.reject(new Error('nothing is forgotten'));
  }
}

const record = (table: string, copy: CopyState = { state: 'done', rowsRead: 1 }): TableRecord => ({
  ...newRecord({ database: 'shop', table }),
  copy,
});
const copying = { state: 'copying', after: null, rowsRead: 1, goneBelow: null, again: false } as const;
const unavailable = { state: 'unavailable', reason: '' } as const;
const keyless = (table: string): TableLayout => ({ ...assumeLayout('shop', table), key: [] });

it('I4: a table that was copied before keys were kept has that of the catalogue, one that was not has none', async () => {
  const store = new Keys({ database: 'shop', table: 'kept', key: 'as it is', since: 'f' });
  const copied = ['kept', 'copied', 'lost'].map((table) => record(table));
  const keys = await findStartingKeys({
    grant: { source: 's', owner: 'o', token: 1 },
    store,
    copied: [
      ...copied,
      newRecord({ database: 'shop', table: 'asked' }),
      record('begun', copying),
      record('no', unavailable),
    ],
    catalogue: [
      ...['kept', 'copied', 'asked', 'begun', 'no', 'new'].map((table) => assumeLayout('shop', table)),
      keyless('lost'),
    ],
  });
  const key = describeKey(assumeLayout('shop', 'copied'));
  expect(store.saved).toEqual(['copied', 'begun'].map((table) => ({ database: 'shop', table, key, since: '' })));
  expect(keys.map(({ table }) => table)).toEqual(['kept', 'copied', 'begun']);
});

it('I6: a key that was lost before any was kept is one of its own, where rows were copied', async () => {
  const store = new Keys();
  await findStartingKeys({
    grant: { source: 's', owner: 'o', token: 1 },
    store,
    copied: [record('lost'), record('empty', { state: 'done', rowsRead: 0 }), record('never', unavailable)],
    catalogue: ['lost', 'empty', 'never'].map(keyless),
  });
  expect(store.saved).toMatchObject([{ table: 'lost', since: '' }]);
  expect(store.saved[0]?.key).not.toBe(KEYLESS);
});
