import { expect, it } from '@jest/globals';
import { type Row, type TableLayout } from '#change-events';
import { lookThrough, type MirrorLookOptions } from './mirror-look.ts';

const layouts = ['a', 'b', 'c'].map((table) => ({ database: 'd', table }) as TableLayout);

interface Looked {
  readonly tables: string[];
  readonly options: MirrorLookOptions;
}

/** Each table has pages of two keys. */
function prepare(pages: number, options: Partial<MirrorLookOptions> = {}): Looked {
  const tables: string[] = [];
  return {
    tables,
    options: {
      layouts,
      async *list() {
        for (let page = 0; page < pages; page++) yield await Promise.resolve([[1], [2]] as Row[]);
      },
      note: ({ table }) => void tables.push(table),
      ...{ mostKeys: 1000, mostMs: 1000, signal: new AbortController().signal, nowMs: () => 0, random: () => 0 },
      ...options,
    },
  };
}

it('looks through all tables', async () => {
  const { tables, options } = prepare(2);
  expect(await lookThrough(options)).toEqual({ keys: 12, isWhole: true });
  expect(tables.sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
});

it('ends after so many keys, and says that it was not whole', async () => {
  const { tables, options } = prepare(1000, { mostKeys: 10, random: () => 0.9 });
  const { keys, isWhole } = await lookThrough(options);
  expect(isWhole).toBe(false);
  expect(keys).toBeLessThanOrEqual(12);
  // it began with another table than the first
  expect(tables[0]).toBe('c');
});

it('ends after so long', async () => {
  let nowMs = 0;
  const { options } = prepare(1000, { nowMs: () => (nowMs += 100) });
  const { keys, isWhole } = await lookThrough(options);
  expect(isWhole).toBe(false);
  expect(keys).toBeLessThan(40);
});

it('ends with the signal', async () => {
  const { options } = prepare(1, { signal: AbortSignal.abort(new Error('stopped')) });
  await expect(lookThrough(options)).rejects.toThrow('stopped');
});
