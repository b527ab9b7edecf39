import { GtidSet, type Row, startVersion, type TableChange, type TableLayout } from '#change-events';
import { silentLogger } from '#kernel';
import { acceptChanges, testStack } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type mongo } from 'mongoose';
import { MongoMirroredKeys, TombstoneSweeper } from '../src/index.ts';
import { makeChange, makeColumn, makeLayout, makeTransaction } from './make-changes.ts';
import { MirrorFixture } from './mirror-fixture.ts';

const never = new AbortController().signal;

let mirror: MirrorFixture;
beforeAll(async () => {
  mirror = await MirrorFixture.open((await testStack()).url('mongo'));
});
afterAll(() => mirror.close());

async function write(layout: TableLayout, rows: readonly Row[], number = 1): Promise<void> {
  const writer = await mirror.openWriter();
  await writer.prepareTable(layout);
  const changes = rows.map((row, rowIndex) =>
    makeChange(null, row, { layout, transaction: makeTransaction(number), rowIndex }),
  );
  acceptChanges(writer, changes, mirror.acknowledgement);
  await writer.drain(never);
}

async function truncate(layout: TableLayout, number: number): Promise<void> {
  const change: TableChange = { op: 'truncate', layout, transaction: makeTransaction(number), rowIndex: 0 };
  await (await mirror.openWriter()).applyTableChange(change);
}

const documentsOf = (table: string): mongo.Collection => mirror.db.collection(`shop.${table}`);
const countLive = (table: string): Promise<number> => documentsOf(table).countDocuments({ row: { $exists: true } });
const indexNames = async (table: string): Promise<(string | undefined)[]> =>
  (await documentsOf(table).indexes()).map(({ name }) => name);

describe('the end of a table', () => {
  it.each([
    ['numbers, which an object of JavaScript reorders', ['10', '2', '1']],
    ["names of every object's prototype", ['__proto__', 'constructor', 'b']],
    ["operators of MongoDB's", ['$in', '$ref', '$id']],
  ])('I4: reaches documents whose composite key has columns named like %s', async (_, names) => {
    const table = `named${names[1]?.length ?? 0}`;
    const layout = makeLayout(
      [...names.map((name) => makeColumn(name, 'integer', 'int')), makeColumn('note', 'text', 'varchar')],
      [0, 1, 2],
      table,
    );
    await write(layout, [
      [1, 2, 3, 'a'],
      [3, 2, 1, 'b'],
    ]);
    const { connection, source } = mirror;
    const keys = new MongoMirroredKeys({ connection, source, logger: silentLogger });
    const listed: Row[] = [];
    for await (const page of keys.list({ layout, above: '', below: 'f', tombstonesAbove: null, limit: 10 }))
      listed.push(...page);
    expect(listed.toSorted()).toEqual([
      [1, 2, 3, null],
      [3, 2, 1, null],
    ]);
    await truncate(layout, 5);
    expect([await countLive(table), await documentsOf(table).countDocuments()]).toEqual([0, 2]);
    const sweeper = new TombstoneSweeper({ connection, logger: silentLogger, nowMs: () => Date.now() + 1000 });
    await sweeper.sweep({
      source,
      olderThanMs: 0,
      belowVersion: startVersion(1, 'binlog.999999', 4),
      covered: GtidSet.empty,
    });
    expect(await documentsOf(table).countDocuments()).toBe(0);
  });

  it('I4: takes pages: thousands of rows of one version, keys of several types, and tombstones', async () => {
    const columns = [makeColumn('id', 'integer', 'int'), makeColumn('note', 'text', 'varchar')];
    const layout = makeLayout(columns, [0], 'paged');
    await write(
      layout,
      Array.from({ length: 4500 }, (_, id) => [id, '']),
    );
    const textKeys = makeLayout(
      [makeColumn('id', 'text', 'varchar'), makeColumn('note', 'text', 'varchar')],
      [0],
      'paged',
    );
    await write(
      textKeys,
      Array.from({ length: 10 }, (_, id) => [`k${id}`, '']),
      2,
    );
    await truncate(layout, 5);
    expect(await countLive('paged')).toBe(0);
    await truncate(layout, 6);
    const { versionPrefix: newest } = makeTransaction(6);
    expect(await documentsOf('paged').countDocuments({ v: { $gte: newest } })).toBe(4510);
  });
});

describe('a collection of an older Ditto', () => {
  it('gets the indexes while its table is written', async () => {
    const layout = makeLayout([makeColumn('id', 'integer', 'int')], [0], 'older');
    const version = `${makeTransaction(1).versionPrefix}0000000000000000`;
    await documentsOf('older').insertOne({ _id: 7 as never, row: { id: 7 }, v: version, gtid: null });
    expect(await indexNames('older')).toEqual(['_id_']);
    await write(layout, [[8]], 2);
    for (let names: unknown[] = []; names.length < 4; names = await indexNames('older'))
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await indexNames('older')).toEqual(['_id_', 'versions', 'tombstoneVersions', 'tombstones']);
    await truncate(layout, 5);
    expect(await countLive('older')).toBe(0);
  });
});
