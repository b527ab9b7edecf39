import { expect, test } from '@jest/globals';
import { silentLogger } from '#kernel';
import { assumeLayout, ColumnStore, type Grant } from '#replication';
import { adoptColumns } from './column-adoption.ts';

const grant = { source: 's', owner: 'o', token: 1 };
const tables = [
  assumeLayout('shop', 'orders'),
  assumeLayout('shop', 'lines'),
  { ...assumeLayout('shop', 'keyless'), key: [] },
];

class Columns extends ColumnStore {
  adopted: { readonly patterns: readonly string[]; readonly tables: readonly string[] } | null = null;
  readonly #stored: readonly string[] | null;

  constructor(stored: readonly string[] | null) {
    super();
    this.#stored = stored;
  }

  override excludedBy(): Promise<readonly string[] | null> {
    return Promise.resolve(this.#stored);
  }

  override adopt(_: Grant, patterns: readonly string[], reread: readonly { readonly table: string }[]): Promise<void> {
    this.adopted = { patterns, tables: reread.map(({ table }) => table) };
    return Promise.resolve();
  }
}

test.each<{
  name: string;
  stored: string[] | null;
  now: string[];
  isKnown: boolean;
  adopted: { patterns: string[]; tables: string[] } | null;
}>([
  {
    name: 'a new source has nothing to be read again',
    stored: null,
    now: ['shop.orders.a'],
    isKnown: false,
    adopted: { patterns: ['shop.orders.a'], tables: [] },
  },
  {
    name: 'a source from before there were patterns had all columns',
    stored: null,
    now: ['shop.orders.a'],
    isKnown: true,
    adopted: { patterns: ['shop.orders.a'], tables: ['orders'] },
  },
  {
    name: 'a source from before that still has all columns',
    stored: null,
    now: [],
    isKnown: true,
    adopted: { patterns: [], tables: [] },
  },
  {
    name: 'order and repeats are no matter',
    stored: ['a.b.c', 'a.b.d'],
    now: ['a.b.d', ' a.b.c', 'a.b.d'],
    isKnown: true,
    adopted: null,
  },
  {
    name: 'tables with a key are read again, also when less is excluded',
    stored: ['shop.l*.a', 'shop.orders.b'],
    now: ['shop.orders.b', 'shop.key*.b'],
    isKnown: true,
    adopted: { patterns: ['shop.key*.b', 'shop.orders.b'], tables: ['lines'] },
  },
])('$name', async ({ stored, now, isKnown, adopted }) => {
  const store = new Columns(stored);
  const options = { grant, store, tables, isKnown: () => Promise.resolve(isKnown), logger: silentLogger };
  await adoptColumns({ ...options, excludeColumns: now });
  expect(store.adopted).toEqual(adopted);
});
