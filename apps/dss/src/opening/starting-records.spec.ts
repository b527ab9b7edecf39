import { expect, it } from '@jest/globals';
import { describeKey, KEYLESS, type TableLayout } from '#change-events';
import { adopt, assumeLayout, type CopyState, newRecord, type TableRecord } from '#replication';
import { findStartingRecords } from './starting-records.ts';

const grant = { source: 's', owner: 'o', token: 1 };
const copying = { state: 'copying', after: null, rowsRead: 1, goneBelow: null, again: false } as const;
const unavailable = { state: 'unavailable', reason: '' } as const;
const record = (table: string, copy: CopyState = { state: 'done', rowsRead: 1 }): TableRecord => ({
  ...newRecord({ database: 'shop', table }),
  copy,
});
const keyless = (table: string): TableLayout => ({ ...assumeLayout('shop', table), key: [] });

async function start(
  stored: readonly TableRecord[],
  catalogue: readonly TableLayout[],
  includes: (database: string, table: string) => boolean = () => true,
): Promise<{ readonly records: readonly TableRecord[]; readonly saved: readonly TableRecord[] }> {
  const saved: TableRecord[] = [];
  const store = {
    load: () => Promise.resolve(stored),
    save: (_: unknown, records: readonly TableRecord[]) => {
      saved.push(...records);
      return Promise.resolve();
    },
  };
  return { records: await findStartingRecords({ grant, store, catalogue, includes }), saved };
}

it('I4: a table that was copied before keys were kept has the key of the catalogue, one that was not has none', async () => {
  const kept = adopt(record('kept'), { key: 'as it is', since: 'f', layout: null });
  const asked = record('asked', { state: 'pending', endsGone: true });
  const stored = [kept, record('copied'), record('lost'), asked, record('begun', copying), record('no', unavailable)];
  const { records, saved } = await start(stored, [
    ...['kept', 'copied', 'asked', 'begun', 'no', 'new'].map((table) => assumeLayout('shop', table)),
    keyless('lost'),
  ]);
  const key = describeKey(assumeLayout('shop', 'copied'));
  expect(saved.map(({ table, adopted, generation }) => [table, adopted, generation])).toEqual([
    ['copied', { key, since: '', layout: assumeLayout('shop', 'copied') }, 1],
    ['begun', { key, since: '', layout: assumeLayout('shop', 'begun') }, 1],
  ]);
  expect(records).toEqual([kept, saved[0], stored[2], asked, saved[1], stored[5]]);
});

it('a table that gets no change has the layout of the catalogue, if nothing says that its rows have another', async () => {
  const key = describeKey(assumeLayout('shop', 'quiet'));
  const since = 'f';
  const stored = [
    adopt(record('quiet'), { key, since, layout: null }),
    adopt(record('rekeyed'), { key: 'another', since, layout: null }),
    adopt(record('gone'), { key, since, layout: null }),
    adopt(record('known'), { key, since, layout: { ...assumeLayout('shop', 'known'), fingerprint: 'older' } }),
    adopt(record('keyless', unavailable), { key: KEYLESS, since, layout: null }),
  ];
  const { records, saved } = await start(stored, [
    ...['quiet', 'rekeyed', 'known'].map((table) => assumeLayout('shop', table)),
    keyless('keyless'),
  ]);
  expect(saved.map(({ table, adopted, generation }) => [table, adopted, generation])).toEqual([
    ['quiet', { key, since, layout: assumeLayout('shop', 'quiet') }, 2],
    ['keyless', { key: KEYLESS, since, layout: keyless('keyless') }, 2],
  ]);
  expect(records.map(({ table }) => table)).toEqual(stored.map(({ table }) => table));
});

it('I6: a key that was lost before any was kept is one of its own, where rows were copied', async () => {
  const stored = [record('lost'), record('empty', { state: 'done', rowsRead: 0 }), record('never', unavailable)];
  const { saved } = await start(stored, ['lost', 'empty', 'never'].map(keyless));
  expect(saved).toMatchObject([{ table: 'lost', adopted: { since: '' } }]);
  expect(saved[0]?.adopted?.key).not.toBe(KEYLESS);
});

it('I4: a table that is not included any more is not copied, under another generation, and keeps its key', async () => {
  const adopted = { key: 'k', since: 'f', layout: null };
  const stored = [adopt(record('in'), adopted), adopt(record('out'), adopted), record('before', { state: 'none' })];
  const { records, saved } = await start(stored, [assumeLayout('shop', 'in')], (_, table) => table === 'in');
  expect(saved).toEqual([{ ...stored[1], copy: { state: 'none' }, generation: 2 }]);
  expect(records).toEqual([stored[0], saved[0], stored[2]]);
});
