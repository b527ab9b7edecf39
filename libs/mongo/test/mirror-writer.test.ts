import {
  type CanonicalValue,
  changeVersion,
  type Column,
  GtidSet,
  type Row,
  startVersion,
  type TableChange,
  VALUE_TYPE,
} from '#change-events';
import { silentLogger } from '#kernel';
import { type MirrorWriter } from '#mongo';
import { acceptChanges, testStack } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { MirrorLineage, openMongo, TombstoneSweeper } from '../src/index.ts';
import { makeChange, makeColumn, makeLayout, makeTransaction } from './make-changes.ts';
import { MirrorFixture } from './mirror-fixture.ts';

const never = new AbortController().signal;
const { Binary, Decimal128, Double, Int32, Long } = mongo;

let mirror: MirrorFixture;
beforeAll(async () => {
  mirror = await MirrorFixture.open((await testStack()).url('mongo'));
});
afterAll(() => mirror.close());

const columns = [makeColumn('id', 'integer', 'int'), makeColumn('note', 'text', 'varchar')];
const layoutOf = (table: string) => makeLayout(columns, [0], table);

async function write(
  table: string,
  changes: readonly (readonly [number, Row | null, Row | null])[],
  isReplaying = false,
) {
  const layout = layoutOf(table);
  const writer = await mirror.openWriter({ isReplaying: () => isReplaying });
  await writer.prepareTable(layout);
  acceptChanges(
    writer,
    changes.map(([number, before, after]) =>
      makeChange(before, after, { layout, transaction: makeTransaction(number) }),
    ),
    mirror.acknowledgement,
  );
  await writer.drain(never);
  return writer.status();
}

const notes = async (table: string) =>
  (await mirror.list(`shop.${table}`)).map(({ _id, row }) => [_id, (row as { note: string } | undefined)?.note]);

describe('the mirror on a real server', () => {
  it('I4: stores every kind of value byte for byte', async () => {
    const floats = Buffer.alloc(8);
    floats.writeFloatLE(0.5, 0);
    floats.writeFloatLE(-3, 4);
    const values: [Column, CanonicalValue, unknown][] = [
      [makeColumn('int', 'integer', 'int'), -5, new Int32(-5)],
      [makeColumn('uint', 'integer', 'int', { unsigned: true }), 4294967295, Long.fromNumber(4294967295)],
      [makeColumn('bigint', 'bigint', 'bigint'), -(2n ** 63n), Long.fromString('-9223372036854775808')],
      [
        makeColumn('ubigint', 'bigint', 'bigint', { unsigned: true }),
        2n ** 64n - 1n,
        Decimal128.fromString('18446744073709551615'),
      ],
      [
        makeColumn('dec', 'decimal', 'decimal', { precision: 34, scale: 2 }),
        '-12345678901234567890123456789012.50',
        Decimal128.fromString('-12345678901234567890123456789012.50'),
      ],
      [makeColumn('wide', 'decimal', 'decimal', { precision: 65, scale: 0 }), '9'.repeat(65), '9'.repeat(65)],
      [makeColumn('float', 'float', 'float'), 3, new Double(3)],
      [makeColumn('double', 'double', 'double'), 5e-324, new Double(5e-324)],
      [makeColumn('text', 'text', 'varchar'), 'a\0ü日本𝄞', 'a\0ü日本𝄞'],
      [makeColumn('bytes', 'bytes', 'blob'), Buffer.from([0, 1, 255]), new Binary(Buffer.from([0, 1, 255]))],
      [makeColumn('bit', 'boolean', 'bit'), true, true],
      [makeColumn('bits', 'bits', 'bit', { length: 9 }), Buffer.from([1, 0]), new Binary(Buffer.from([1, 0]))],
      [makeColumn('date', 'date', 'date'), '0000-00-00', '0000-00-00'],
      [makeColumn('time', 'time', 'time', { scale: 6 }), '-838:59:59.000000', '-838:59:59.000000'],
      [
        makeColumn('datetime', 'datetime', 'datetime', { scale: 6 }),
        '2026-02-03T04:05:06.000007',
        '2026-02-03T04:05:06.000007',
      ],
      [makeColumn('timestamp', 'timestamp', 'timestamp'), '2026-02-03T04:05:06Z', '2026-02-03T04:05:06Z'],
      [makeColumn('enum', 'enum', 'enum'), '', ''],
      [makeColumn('set', 'set', 'set'), 'a,b', 'a,b'],
      [
        makeColumn('json', 'json', 'json'),
        '{"a.b": [1, 1.0, 12345678901234567890, null, {"": "x"}]}',
        { 'a.b': [new Int32(1), new Double(1), Decimal128.fromString('12345678901234567890'), null, { '': 'x' }] },
      ],
      [makeColumn('$json', 'json', 'json'), '{"$set": 1}', { $json: '{"$set": 1}' }],
      [makeColumn('geo', 'geometry', 'point'), Buffer.alloc(25, 7), new Binary(Buffer.alloc(25, 7))],
      [makeColumn('vector', 'vector', 'vector'), floats, [new Double(0.5), new Double(-3)]],
      [makeColumn('null.dot', 'text', 'text'), null, null],
    ];
    expect(new Set(values.map(([{ kind }]) => kind))).toEqual(new Set(Object.keys(VALUE_TYPE)));
    const layout = makeLayout(
      values.map(([column]) => column),
      [0, 8, 9],
      'kinds',
    );
    const writer = await mirror.openWriter();
    await writer.prepareTable(layout);
    for (const number of [1, 2]) {
      const change = makeChange(
        null,
        values.map(([, value]) => value),
        { layout, transaction: makeTransaction(number) },
      );
      acceptChanges(writer, [change], mirror.acknowledgement);
      await writer.drain(never);
      const [stored] = await mirror.db.collection('shop.kinds').find({}, { promoteValues: false }).toArray();
      expect(stored?._id).toStrictEqual({
        int: new Int32(-5),
        text: 'a\0ü日本𝄞',
        bytes: new Binary(Buffer.from([0, 1, 255])),
      });
      expect(stored?.['row']).toStrictEqual(
        Object.fromEntries(values.map(([{ name }, , expected]) => [name, expected])),
      );
      expect(Object.keys(stored?.['row'] as object)).toEqual(values.map(([{ name }]) => name));
      expect(stored).toMatchObject({ v: changeVersion(change), gtid: change.transaction.gtid });
      expect(stored?.['ts']).toEqual(new Date(1_700_000_000_000 + number));
    }
  });

  it('I3: never goes back: an older change, repeated after a newer one, leaves the document alone', async () => {
    await write('back', [
      [5, null, [1, 'five']],
      [5, null, [2, 'five']],
    ]);
    const outside = await write('back', [
      [4, null, [1, 'four']],
      [6, [2, 'five'], [2, 'six']],
      [3, null, [3, 'three']],
    ]);
    const inside = await write('back', [[3, [1, 'two'], [1, 'three']]], true);
    expect(await notes('back')).toEqual([
      [1, 'five'],
      [2, 'six'],
      [3, 'three'],
    ]);
    expect(outside).toMatchObject({ counters: { rejectedOutsideReplay: 1, rejectedInReplay: 0 } });
    expect(inside).toMatchObject({ counters: { rejectedOutsideReplay: 0, rejectedInReplay: 1 } });
  });

  it('I3: a repeated older insert does not bring a deleted row back', async () => {
    await write('deleted', [
      [1, null, [1, 'a']],
      [2, [1, 'a'], null],
    ]);
    await write('deleted', [
      [3, null, [2, 'b']],
      [4, [2, 'b'], null],
      [4, [9, 'never seen'], null],
    ]);
    const status = await write(
      'deleted',
      [
        [1, null, [1, 'a']],
        [3, null, [2, 'b']],
        [2, null, [9, 'x']],
      ],
      true,
    );
    expect(await notes('deleted')).toEqual([
      [1, undefined],
      [2, undefined],
      [9, undefined],
    ]);
    expect((await mirror.list('shop.deleted'))[0]).toEqual({
      _id: 1,
      v: expect.any(String),
      gtid: makeTransaction(2).gtid,
      deletedAt: expect.any(Date),
    });
    expect(status.counters['rejectedInReplay']).toBe(3);
  });

  it('takes a change that is applied already for applied, without an alarm', async () => {
    await write('again', [
      [1, null, [1, 'a']],
      [2, [2, 'x'], [2, 'b']],
    ]);
    const status = await write('again', [
      [1, null, [1, 'a']],
      [2, [2, 'x'], [2, 'b']],
    ]);
    expect(status).toMatchObject({ counters: { rejectedOutsideReplay: 0 }, confirmedChanges: 2 });
  });

  it('I4: ends the rows of a table also by a layout without a key: the catalogue may be ahead of the log', async () => {
    await write('keyed', [[1, null, [1, 'a']]]);
    const writer = await mirror.openWriter();
    const layout = makeLayout(columns, [], 'keyed');
    await writer.applyTableChange({ op: 'drop', layout, transaction: makeTransaction(5), rowIndex: 0 });
    expect(await notes('keyed')).toEqual([[1, undefined]]);
  });

  it('I3: truncate ends every older row, leaves newer ones, and may be repeated', async () => {
    await write('emptied', [
      [1, null, [1, 'a']],
      [2, null, [2, 'b']],
      [9, null, [3, 'newer']],
    ]);
    const change: TableChange = {
      op: 'truncate',
      layout: layoutOf('emptied'),
      transaction: makeTransaction(5),
      rowIndex: 0,
    };
    const writer = await mirror.openWriter();
    for (let times = 0; times < 2; times++) await writer.applyTableChange(change);
    expect(await notes('emptied')).toEqual([
      [1, undefined],
      [2, undefined],
      [3, 'newer'],
    ]);
    expect((await mirror.list('shop.emptied'))[0]).toEqual({
      _id: 1,
      v: changeVersion(change),
      gtid: makeTransaction(5).gtid,
      deletedAt: expect.any(Date),
    });
    await write(
      'emptied',
      [
        [3, null, [1, 'old']],
        [6, null, [2, 'new']],
      ],
      true,
    );
    expect(await notes('emptied')).toEqual([
      [1, undefined],
      [2, 'new'],
      [3, 'newer'],
    ]);
  });

  it('I3: many writers of the same keys at once end in the newest version', async () => {
    const layout = layoutOf('crowd');
    const writers = await Promise.all(
      Array.from({ length: 4 }, () => mirror.openWriter({ lanes: 2, isReplaying: () => true })),
    );
    await writers[0]?.prepareTable(layout);
    for (let number = 1; number <= 20; number++) {
      const changes = Array.from({ length: 60 }, (_, id) =>
        makeChange(number === 1 ? null : [id, ''], [id, String(number)], {
          layout,
          transaction: makeTransaction(number),
        }),
      );
      acceptChanges(writers[number % 4] as MirrorWriter, changes, mirror.acknowledgement);
    }
    await Promise.all(writers.map((writer) => writer.drain(never)));
    expect(await notes('crowd')).toEqual(Array.from({ length: 60 }, (_, id) => [id, '20']));
  });

  it('sweeps tombstones that are old and below the checkpoint, and nothing else', async () => {
    await write('swept', [
      [1, [1, 'a'], null],
      [8, [2, 'b'], null],
      [1, null, [3, 'alive']],
    ]);
    const sweeper = (aheadMs: number) =>
      new TombstoneSweeper({ connection: mirror.connection, logger: silentLogger, nowMs: () => Date.now() + aheadMs });
    const belowVersion = makeTransaction(7).versionPrefix + 'f'.repeat(16);
    const covered = GtidSet.empty;
    const request = { source: mirror.source, olderThanMs: 86_400_000, belowVersion, covered };
    expect((await sweeper(0).sweep(request)).removed).toBe(0);
    expect((await sweeper(90_000_000).sweep({ ...request, belowVersion: '' })).removed).toBe(0);
    expect((await sweeper(90_000_000).sweep(request)).removed).toBeGreaterThanOrEqual(1);
    expect(await notes('swept')).toEqual([
      [2, undefined],
      [3, 'alive'],
    ]);
  });

  it('I3: of an older lineage only tombstones of transactions are swept that the checkpoint covers', async () => {
    await write('raised', [
      [1, [1, 'a'], null],
      [2, [2, 'b'], null],
      [3, [3, 'c'], null],
    ]);
    const documents = mirror.db.collection<{ _id: number }>('shop.raised');
    await documents.updateOne({ _id: 3 }, { $set: { gtid: 'no GTID' } });
    const covered = GtidSet.parse(makeTransaction(1).gtid ?? '');
    const belowVersion = startVersion(2, '', 0);
    const request = { source: mirror.source, olderThanMs: 0, belowVersion, covered };
    const nowMs = (): number => Date.now() + 1000;
    await new TombstoneSweeper({ connection: mirror.connection, logger: silentLogger, nowMs }).sweep(request);
    expect((await documents.find().sort({ _id: 1 }).toArray()).map(({ _id }) => _id)).toEqual([2, 3]);
  });

  it('keeps the lineage and never lowers it', async () => {
    const lineage = new MirrorLineage({ connection: mirror.connection, source: mirror.source });
    expect(await lineage.read()).toBe(0);
    await lineage.raise(3);
    await lineage.raise(2);
    expect(await lineage.read()).toBe(3);
  });

  it('prepares a table as often as it is asked, with indexes that each cover live documents or tombstones', async () => {
    const layout = layoutOf('prepared');
    const writer = await mirror.openWriter();
    await Promise.all([writer.prepareTable(layout), writer.prepareTable(layout)]);
    await writer.prepareTable(layout);
    const indexes = await mirror.db.collection('shop.prepared').indexes();
    expect(indexes.map(({ name, partialFilterExpression }) => [name, partialFilterExpression])).toEqual([
      ['_id_', undefined],
      ['versions', { row: { $exists: true } }],
      ['tombstoneVersions', { deletedAt: { $exists: true } }],
      ['tombstones', { deletedAt: { $exists: true } }],
    ]);
  });

  it('I6: stops at a document that is too large, naming it', async () => {
    const layout = layoutOf('large');
    const writer = await mirror.openWriter();
    acceptChanges(writer, [makeChange(null, [1, 'x'.repeat(20_000_000)], { layout })], mirror.acknowledgement);
    await expect(writer.drain(never)).rejects.toMatchObject({
      code: 'DITTO_MONGO_DOCUMENT_REFUSED',
      context: { collection: 'shop.large', key: '{"_id":1}' },
    });
    expect(mirror.fatal).toHaveLength(1);
  });

  it('I6: does not take a duplicate in a unique index that somebody added for a newer document', async () => {
    await write('indexed', [[1, null, [1, 'same']]]);
    await mirror.db.collection('shop.indexed').createIndex({ 'row.note': 1 }, { unique: true }, undefined);
    await expect(write('indexed', [[2, null, [2, 'same']]])).rejects.toMatchObject({
      code: 'DITTO_MONGO_DOCUMENT_REFUSED',
    });
  });

  it('takes rows of megabytes beside small ones', async () => {
    await write(
      'megabytes',
      Array.from({ length: 12 }, (_, id) => [1, null, [id, 'ü'.repeat(id % 3 === 0 ? 3_000_000 : 3)]] as const),
    );
    expect((await mirror.list('shop.megabytes')).map(({ row }) => (row as { note: string }).note.length)).toEqual(
      Array.from({ length: 12 }, (_, id) => (id % 3 === 0 ? 3_000_000 : 3)),
    );
  });

  it('refuses wrong credentials with a remedy', async () => {
    const url = new URL((await testStack()).url('mongo'));
    url.password = 'wrong';
    await expect(openMongo({ url: url.href, logger: silentLogger })).rejects.toMatchObject({
      code: 'DITTO_MONGO_ACCESS_DENIED',
      remedy: expect.any(String),
    });
  });
});
