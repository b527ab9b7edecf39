import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { changeVersion, type Row } from '#change-events';
import { type Logger, silentLogger } from '#kernel';
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

async function list(below: string, tombstonesAbove: string | null = null, limit = 100): Promise<(readonly Row[])[]> {
  const pages: (readonly Row[])[] = [];
  for await (const page of keys.list({ layout, below, tombstonesAbove, limit })) pages.push(page);
  return pages.map((page) => page.toSorted((one, other) => Number(one[2]) - Number(other[2])));
}

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
