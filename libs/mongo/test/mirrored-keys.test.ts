import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { changeVersion, decodeSelection, READ_ROW_INDEX, type Row, type SelectionScope } from '#change-events';
import { type Logger, silentLogger } from '#kernel';
import { type SelectedKeys } from '#replication';
import { acceptChanges, testStack } from '#testing';
import { MongoMirroredKeys } from '../src/index.ts';
import { makeChange, makeColumn, makeLayout, makeTransaction } from './make-changes.ts';
import { MirrorFixture } from './mirror-fixture.ts';

const layout = makeLayout(
  [makeColumn('a', 'text', 'varchar'), makeColumn('v', 'integer', 'int'), makeColumn('b', 'bigint', 'bigint')],
  [2, 0],
  'listed',
);
const never = new AbortController().signal;
const warnings: unknown[] = [];
let mirror: MirrorFixture;
let keys: MongoMirroredKeys;

beforeAll(async () => {
  mirror = await MirrorFixture.open((await testStack()).url('mongo'));
  const { connection, source } = mirror;
  const logger: Logger = { ...silentLogger, warn: (_: string, fields?: unknown) => warnings.push(fields) };
  keys = new MongoMirroredKeys({ connection, source, logger });
  const writer = await mirror.openWriter();
  await writer.prepareTable(layout);
  const at = (number: number): { layout: typeof layout; transaction: ReturnType<typeof makeTransaction> } => ({
    layout,
    transaction: makeTransaction(number),
  });
  acceptChanges(
    writer,
    [
      ...[1, 2, 3, 4, 5].map((number) => makeChange(null, [`k${number}`, 0, number], at(number))),
      makeChange(['k2', 0, 2], null, at(6)),
      makeChange(['k3', 0, 3], null, at(7)),
      makeChange(['k4', 0, 4], ['k4', 1, 4], at(8)),
    ],
    mirror.acknowledgement,
  );
  await writer.drain(never);
});
afterAll(() => mirror.close());

function versionAt(number: number): string {
  return changeVersion(makeChange(null, ['', 0, 0], { layout, transaction: makeTransaction(number) }));
}

async function list(
  below: string,
  tombstonesAbove: string | null = null,
  limit = 100,
  above = '',
): Promise<(readonly Row[])[]> {
  const pages: (readonly Row[])[] = [];
  for await (const page of keys.list({ layout, above, below, tombstonesAbove, limit })) pages.push(page);
  return pages.map((page) => page.toSorted((one, other) => Number(one[2]) - Number(other[2])));
}

describe('keys that changed between two versions', () => {
  async function listChanged(above: string, upTo: string, limit = 2): Promise<unknown[]> {
    await keys.awaitMajority();
    const found: unknown[] = [];
    for await (const rows of keys.listChanged({ layout, above, upTo, limit })) found.push(...rows.map((row) => row[2]));
    return found.sort();
  }

  it('are those of rows and of deleted ones, with the upper version and without the lower one', async () => {
    expect(await listChanged('', versionAt(8))).toEqual([1, 2, 3, 4, 5]);
    expect(await listChanged(versionAt(5), versionAt(8))).toEqual([2, 3, 4]);
    expect(await listChanged(versionAt(6), versionAt(7))).toEqual([3]);
    expect(await listChanged(versionAt(8), versionAt(9))).toEqual([]);
    expect(await keys.newestVersion(layout, 1)).toBe(versionAt(8));
  });

  it('are those of the next lineage too, and not what a read has found or somebody has stored', async () => {
    const other = makeLayout(layout.columns, layout.key, 'two lineages');
    const writer = await mirror.openWriter();
    await writer.prepareTable(other);
    const at = (number: number, lineage: number, read = 0) => ({
      ...makeChange(null, [`k${number}`, 0, number], { layout: other, transaction: makeTransaction(number, lineage) }),
      ...(read > 0 && { op: 'read' as const, rowIndex: READ_ROW_INDEX, readSequence: read, windowId: 'w' }),
    });
    const changes = [at(7, 1), at(8, 1), at(1, 2), at(2, 2), at(3, 2, 5)];
    acceptChanges(writer, changes, mirror.acknowledgement);
    await writer.drain(never);
    const collection = mirror.db.collection('shop.two lineages');
    await collection.insertMany([
      { _id: 'no key' as never, row: {}, v: changeVersion(at(1, 2)) },
      { _id: 7.5 as never, row: {}, v: changeVersion(at(1, 2)).slice(0, 20) },
    ]);
    const found: unknown[] = [];
    const range = { above: changeVersion(at(7, 1)), upTo: changeVersion(at(3, 2, 5)), limit: 10 };
    for await (const rows of keys.listChanged({ layout: other, ...range })) found.push(...rows.map((row) => row[2]));
    expect(found).toEqual([8, 1, 2]);
  });
});

describe('keys of the mirror', () => {
  it('are listed as keys of the table: of older documents that are not tombstones', async () => {
    expect(await list(versionAt(8))).toEqual([
      [
        ['k1', null, 1],
        ['k5', null, 5],
      ],
    ]);
    expect(await list(versionAt(5))).toEqual([[['k1', null, 1]]]);
    expect(await list(versionAt(1))).toEqual([]);
  });

  it('are listed without older ones where a version is given that they must be above', async () => {
    const listed = await list(versionAt(9), versionAt(6), 100, versionAt(4));
    expect(listed.flat().map((key) => key[2])).toEqual([4, 5, 3]);
  });

  it('are listed by what the mirror can tell of a selection, from any place on', async () => {
    const select = async (scope: SelectionScope, after: string | null = null) => {
      const pages: SelectedKeys[] = [];
      const selection = decodeSelection(layout, scope);
      for await (const page of keys.select({ layout, selection, after, limit: 2 })) pages.push(page);
      return pages;
    };
    const idsOf = (pages: readonly SelectedKeys[]) => pages.flatMap((page) => page.keys.map((key) => Number(key[2])));
    const all = await select({ kind: 'range', from: null, to: null });
    expect([idsOf(all), all.map(({ isExact }) => isExact)]).toEqual([
      [1, 4, 5],
      [true, true],
    ]);
    expect(idsOf(await select({ kind: 'range', from: null, to: null }, all[0]?.after))).toEqual([5]);
    expect(idsOf(await select({ kind: 'range', from: '["4","x"]', to: '[4,"a"]' }))).toEqual([4]);
    expect(idsOf(await select({ kind: 'range', from: '[2,"k"]', to: null }))).toEqual([4, 5]);
    const changed = await select({ kind: 'filter', where: [{ column: 'v', op: '>=', value: '1' }] });
    expect([idsOf(changed), changed[0]?.isExact]).toEqual([[4], true]);
    const text = await select({ kind: 'filter', where: [{ column: 'a', op: '=', value: 'k1' }] });
    expect([idsOf(text), text[0]?.isExact]).toEqual([[1, 4, 5], false]);
    for (const [column, value, count] of [
      ['v', '1', 1],
      ['v', '-1', 0],
      ['b', '99999999999999999999', 0],
    ] as const)
      for (const op of ['=', 'in'] as const) {
        const where = [{ column, op, value: op === 'in' ? [value] : value }];
        expect(idsOf(await select({ kind: 'filter', where }))).toHaveLength(count);
      }
    expect(idsOf(await select({ kind: 'filter', where: [{ column: 'v', op: '!=', value: 0 }] }))).toEqual([4]);
    expect(idsOf(await select({ kind: 'filter', where: [{ column: 'v', op: 'is null' }] }))).toEqual([]);
  });

  it('are listed with the tombstones between two versions, when those are wanted', async () => {
    expect(await list(versionAt(8), versionAt(6))).toEqual([
      [
        ['k1', null, 1],
        ['k5', null, 5],
      ],
      [['k3', null, 3]],
    ]);
  });

  it('come in pages', async () => {
    expect((await list(versionAt(9), null, 2)).map(({ length }) => length)).toEqual([2, 1]);
  });

  it('know the newest version of a lineage', async () => {
    expect(await keys.newestVersion(layout, 1)).toBe(versionAt(8));
    expect(await keys.newestVersion(layout, 0)).toBe('');
    expect(await keys.newestVersion({ database: 'shop', table: 'unknown' }, 1)).toBe('');
  });

  it('leave out what is not a key of the table, with a warning', async () => {
    await mirror.db.collection('shop.listed').insertOne({ _id: 'odd' as never, row: {}, v: versionAt(1) });
    expect(await list(versionAt(5))).toEqual([[['k1', null, 1]]]);
    expect(warnings).toEqual([{ database: 'shop', table: 'listed', id: '"odd"' }]);
  });
});
