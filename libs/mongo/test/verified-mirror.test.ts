import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type CanonicalValue,
  type Column,
  formatVersion,
  GtidSet,
  keyValues,
  LOWEST_VERSION,
  type Row,
  rowOfKey,
  type TableLayout,
  TextRows,
} from '#change-events';
import { acceptChanges, testStack } from '#testing';
import { type ForeignRow, type KeyRange, type ListedPage } from '#verification';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import { readElements } from '../src/bson-reader.ts';
import { BsonType, BsonWriter, makeLabel } from '../src/bson-writer.ts';
import { lowerVersion, removeDocument } from '../src/demotion.ts';
import { makeDocumentSequence } from '../src/document-sequence.ts';
import { type StoredDocument, VerifiedMirror } from '../src/index.ts';
import { columnsOf } from './column-values.ts';
import { makeChange, makeColumn, makeLayout, makeTransaction } from './make-changes.ts';
import { MirrorFixture } from './mirror-fixture.ts';

const { Double, Int32, Long } = mongo;
const never = new AbortController().signal;
const FUTURE = `7${'0'.repeat(43)}`;
const columns = [makeColumn('id', 'integer', 'int'), makeColumn('note', 'text', 'varchar')];
const layoutOf = (table: string): TableLayout => makeLayout(columns, [0], table);
let mirror: MirrorFixture;

beforeAll(async () => {
  mirror = await MirrorFixture.open((await testStack()).url('mongo'));
});
afterAll(() => mirror.close());

type Write = readonly [number: number, before: Row | null, after: Row | null];

async function write(layout: TableLayout, writes: readonly Write[]): Promise<void> {
  const writer = await mirror.openWriter({ isReplaying: () => true });
  await writer.prepareTable(layout);
  const changes = writes.map(([number, before, after]) =>
    makeChange(before, after, { layout, transaction: makeTransaction(number) }),
  );
  acceptChanges(writer, changes, mirror.acknowledgement);
  await writer.drain(never);
}

/** As somebody may edit it. */
interface Edited extends mongo.Document {
  readonly _id: mongo.Document | number | string | boolean;
}

const documentsOf = ({ database, table }: TableLayout): mongo.Collection<Edited> =>
  mirror.db.collection(`${database}.${table}`);
const byId = (id: number | string): mongo.Filter<Edited> => ({ _id: id as never });
const keyOf = (layout: TableLayout, row: Row): Row => rowOfKey(layout, keyValues(layout, row));

/** `{_id: <text>, row: {}}`; the text need not be UTF-8. */
function textDocument(text: Buffer): Buffer {
  const writer = new BsonWriter();
  const start = writer.begin();
  const length = Buffer.alloc(4);
  length.writeInt32LE(text.length + 1);
  writer.raw(Buffer.concat([Buffer.from('\x02_id\0', 'latin1'), length, text, Buffer.alloc(1)]));
  writer.end(writer.beginIn(makeLabel(BsonType.document, 'row')));
  writer.end(start);
  return writer.bytes.subarray(0, writer.at);
}

async function insertRaw(documents: mongo.Collection<Edited>, document: Buffer): Promise<void> {
  const { db, collectionName: insert } = documents as unknown as mongo.Collection;
  expect(await db.command({ insert, documents: makeDocumentSequence('documents', [document]) })).toMatchObject({
    n: 1,
  });
}

async function readOne(layout: TableLayout, id: CanonicalValue): Promise<StoredDocument | null> {
  const [found] = await new VerifiedMirror(mirror).read(layout, [[id, null]], never);
  return found ?? null;
}

async function takeAll(listing: AsyncIterable<ListedPage>): Promise<ListedPage[]> {
  const pages: ListedPage[] = [];
  for await (const page of listing) pages.push(page);
  return pages;
}

const listAll = (layout: TableLayout, limit: number, after: string | null = null): Promise<ListedPage[]> =>
  takeAll(new VerifiedMirror(mirror).list({ layout, after, limit }, never));

const keysOf = (pages: readonly ListedPage[]): unknown[] =>
  pages.flatMap(({ keys }) => keys.map(([id]) => id)).sort((a, b) => Number(a) - Number(b));
const foreignOf = (pages: readonly ListedPage[]): ForeignRow[] => pages.flatMap(({ foreign }) => foreign);

/** A column for each way in which values of a kind are stored, after the key; and rows of hard values. */
function makeRows(count: number, seed: number): { readonly layout: TableLayout; readonly rows: Row[] } {
  const ways = Object.values(columnsOf).flat();
  const samples = ways.map((way, i) => fc.sample(way, { numRuns: count, seed: seed + i }));
  const named = samples.map(([first], i) => ({ ...(first as { column: (typeof columns)[0] }).column, name: `c${i}` }));
  const rows = Array.from({ length: count }, (_, n): Row => [n, ...samples.map((values) => values[n]?.value ?? null)]);
  return { layout: makeLayout([makeColumn('id', 'integer', 'int'), ...named], [0], `kinds${seed}`), rows };
}

const UUID = makeTransaction(1).serverUuid;

/** Of the change that `write` makes with this number. */
function versionOf(number: number): string {
  return formatVersion({ lineage: 1, fileNumber: 1, offset: number * 100, rowIndex: 0, readSequence: 0 });
}

/** As a server sends them. */
function textsOf(rows: readonly Row[]): TextRows {
  const texts = rows.map((row) => row.map(String));
  const places = texts.flatMap(([id = '', note = '']) => [0, id.length, id.length, id.length + note.length]);
  return new TextRows(
    [
      { decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)), isPlain: true },
      { decode: (bytes, start, end) => bytes.toString('utf8', start, end), isPlain: true },
    ],
    { buffers: texts.map((row) => Buffer.from(row.join(''))), places: Int32Array.from(places) },
  );
}

const chunkOf = (rows: readonly Row[], range: KeyRange | null = null): { rows: TextRows; range: KeyRange | null } => ({
  rows: textsOf(rows),
  range,
});

describe('VerifiedMirror', () => {
  it('I4: finds rows of every kind equal, byte for byte as they came back from the server', async () => {
    const { layout, rows } = makeRows(300, 1);
    await write(
      layout,
      rows.map((row, i) => [i + 1, null, row]),
    );
    const verified = new VerifiedMirror(mirror);
    const keys = rows.map((row) => keyOf(layout, row));
    const stored = await verified.read(layout, keys, never);
    expect(stored.map((document, i) => document?.damage ?? document?.compare(rows[i] as Row))).toEqual(
      rows.map(() => []),
    );
    expect(verified.comparisons).toEqual({ byBytes: rows.length, byValue: 0 });
  });

  it('I6: finds one flipped bit in any column of what the server holds', async () => {
    const { layout, rows } = makeRows(12, 2);
    await write(
      layout,
      rows.map((row, i) => [i + 1, null, row]),
    );
    const flips: { readonly document: Buffer; readonly row: Row; readonly name: string }[] = [];
    for (const document of await new VerifiedMirror(mirror).read(
      layout,
      rows.map((row) => keyOf(layout, row)),
      never,
    )) {
      const { bytes } = document as StoredDocument;
      const row = rows[bytes.readInt32LE(9)] as Row;
      const embedded = [...readElements(bytes)].find(({ name }) => name === 'row') ?? { start: 0, end: 0 };
      for (const { name, start, end } of readElements(bytes.subarray(embedded.start, embedded.end)))
        for (const place of [0.1, 0.5, 0.9].map((share) => Math.floor((end - start) * share))) {
          const index = layout.columns.findIndex((column) => column.name === name);
          const value = row[index] ?? null;
          // zeros have signs and exponents that mean nothing
          if (name === 'id' || value === null || /^-?[0.]+$/.test(String(value)) || end === start) continue;
          if (layout.columns[index]?.kind === 'json' && /(?<![\d.])-?0/.test(String(value))) continue;
          const flipped = Buffer.from(bytes);
          const at = embedded.start + start + place;
          flipped[at] = (flipped[at] as number) ^ (1 << (flips.length % 8));
          flipped.writeInt32LE(1000 + flips.length, 9);
          flips.push({ document: flipped, row, name });
        }
    }
    // one by one: most are no BSON, which the server refuses or, as bytes of text, takes
    const taken: typeof flips = [];
    for (const flip of flips) {
      const documents = makeDocumentSequence('documents', [flip.document]);
      const insert = { insert: `shop.${layout.table}`, documents };
      const reply = await mirror.db.command(insert).catch((error: unknown) => error);
      if (!(reply instanceof Error) && (reply as { n: number }).n === 1) taken.push(flip);
    }
    expect(taken.length).toBeGreaterThan(200);
    expect(new Set(taken.map(({ name }) => name)).size).toBeGreaterThan(15);
    const ids = taken.map(({ document }): Row => rowOfKey(layout, [document.readInt32LE(9)]));
    const found = await new VerifiedMirror(mirror).read(layout, ids, never);
    const unnoticed = found.flatMap((document, i) => {
      const { row, name } = taken[i] as (typeof taken)[0];
      const differences = document?.damage === null ? document.compare(row) : null;
      // the key is another one
      const others = differences?.filter(({ column }) => column !== 'id');
      return others?.length === 0 ? [{ name, value: row[layout.columns.findIndex((of) => of.name === name)] }] : [];
    });
    expect(unnoticed).toEqual([]);
  });

  it('of a chunk it counts what is equal to the last byte, and gives all else', async () => {
    const layout = layoutOf('chunk');
    const rows = [5, 3, 9, 1, 7, 2].map((id): Row => [id, `row ${id}`]);
    await write(
      layout,
      rows.map((row, i) => [i + 1, null, row]),
    );
    const documents = documentsOf(layout);
    await documents.deleteOne(byId(9));
    await documents.updateOne(byId(3), { $set: { 'row.note': 'row 4' } });
    await documents.updateOne(byId(1), { $set: { extra: 1 } });
    const [seven] = await documents.find(byId(7)).toArray();
    await documents.deleteOne(byId(7));
    await documents.insertOne({ ...seven, _id: Long.fromNumber(7) });
    const verified = new VerifiedMirror(mirror);
    const checkpoint = { version: versionOf(5), covered: GtidSet.empty };
    const { equal, others, stored } = await verified.readChunk(layout, chunkOf(rows), checkpoint, never);
    // the last one is newer than the checkpoint
    expect({ equal, others }).toEqual({ equal: 1, others: [1, 2, 3, 4, 5] });
    const found = stored.map((one, i) => one && (one.damage ?? one.compare(rows[others[i] as number] as Row)));
    expect(found).toEqual([
      [{ column: 'note', source: 'row 3', sink: 'row 4' }],
      null,
      'it has a field "extra"',
      [],
      [],
    ]);
    expect(stored.at(-1)?.version).toBe(versionOf(6));
    expect(await verified.readChunk(layout, chunkOf([]), checkpoint, never)).toEqual({
      equal: 0,
      others: [],
      stored: [],
      mayHaveExtras: false,
    });
  });

  describe('with the range of a chunk', () => {
    const bounds: KeyRange = { after: [10], upTo: [20] };
    const checkpoint = { version: versionOf(90), covered: GtidSet.empty };
    /** The keys 5, 10, 12, …, 20 and 25, as rows and as documents. */
    const rows = [5, 10, 12, 14, 16, 18, 20, 25].map((id): Row => [id, `row ${id}`]);
    const inside = rows.slice(2, 7);

    async function fill(name: string, more: readonly Write[] = []): Promise<TableLayout> {
      const layout = layoutOf(`range ${name}`.replaceAll(' ', '_'));
      await write(layout, [...rows.map((row, i): Write => [i + 1, null, row]), ...more]);
      return layout;
    }

    const readRange = (layout: TableLayout, some: readonly Row[], range: KeyRange) =>
      new VerifiedMirror(mirror).readChunk(layout, chunkOf(some, range), checkpoint, never);

    const listPart = (layout: TableLayout, part: KeyRange | 'no range', limit = 2): Promise<ListedPage[]> =>
      takeAll(new VerifiedMirror(mirror).list({ layout, part, after: null, limit }, never));

    it('finds the rows equal, and sees that there is nothing else but traces of deleted ones', async () => {
      const layout = await fill('plain', [
        [30, null, [13, 'deleted']],
        [31, [13, 'deleted'], null],
      ]);
      expect(await readRange(layout, inside, bounds)).toMatchObject({ equal: 5, others: [], mayHaveExtras: false });
      const all: KeyRange = { after: null, upTo: null };
      expect(await readRange(layout, rows, all)).toMatchObject({ equal: 8, others: [], mayHaveExtras: false });
      expect(await readRange(layout, [], { after: [25], upTo: null })).toMatchObject({ mayHaveExtras: false });
      expect(keysOf(await listPart(layout, bounds))).toEqual([12, 14, 16, 18, 20]);
      expect(keysOf(await listPart(layout, { after: [16], upTo: null }))).toEqual([18, 20, 25]);
      expect(keysOf(await listPart(layout, { after: null, upTo: [12] }))).toEqual([5, 10, 12]);
      expect(await listPart(layout, { after: [25], upTo: null })).toEqual([]);
    });

    it.each<[string, readonly Row[], KeyRange]>([
      ['between two rows', inside.filter(([id]) => id !== 16), bounds],
      ['before the first', inside.slice(1), bounds],
      ['after the last', inside.slice(0, -1), bounds],
      ['before all', rows.slice(1), { after: null, upTo: null }],
      ['after all', rows.slice(0, -1), { after: null, upTo: null }],
      ['where there are no rows', [], bounds],
    ])('sees a document without a row: %s', async (where, some, range) => {
      const layout = await fill(where);
      expect(await readRange(layout, some, range)).toMatchObject({
        ...{ equal: some.length, others: [], mayHaveExtras: true },
      });
    });

    it('sees what has no row and is damaged, or no key', async () => {
      const layout = await fill('damaged');
      const documents = documentsOf(layout);
      const edited: readonly Edited[] = [
        { _id: 13, v: FUTURE, gtid: null, deletedAt: new Date(), more: 1 },
        { _id: 13.5, row: {}, v: FUTURE },
        { _id: 13 },
      ];
      for (const document of edited) {
        await documents.insertOne(document);
        expect(await readRange(layout, inside, bounds)).toMatchObject({ equal: 5, mayHaveExtras: true });
        await documents.deleteOne(byId(document._id as number));
      }
    });

    it('finds a row whose document has an _id of another form, and one that comes last of very many documents', async () => {
      const layout = await fill('forms');
      const documents = documentsOf(layout);
      const [fourteen] = await documents.find(byId(14)).toArray();
      await documents.deleteOne(byId(14));
      await documents.insertOne({ ...fourteen, _id: Long.fromNumber(14) });
      const others = await readRange(layout, inside, bounds);
      expect(others).toMatchObject({ equal: 4, others: [1], mayHaveExtras: true });
      expect(others.stored.map((one) => one?.compare(inside[1] as Row))).toEqual([[]]);
      const many = Array.from({ length: 1_500 }, (_, i): Edited => ({ _id: 12 + (i + 1) / 2_000, row: {}, v: FUTURE }));
      await documents.insertMany(many);
      const crowded = await readRange(layout, inside, bounds);
      expect(crowded.mayHaveExtras).toBe(true);
      const found = crowded.others.map((index, i) => crowded.stored[i]?.compare(inside[index] as Row));
      expect(found).toEqual(crowded.others.map(() => []));
      expect(crowded.equal + crowded.others.length).toBe(5);
    });

    it('lists what no range of keys has in it: other types, and NaN', async () => {
      const layout = await fill('others');
      expect(await listPart(layout, 'no range')).toEqual([]);
      const notNumbers = [NaN, mongo.Decimal128.fromString('NaN'), mongo.Decimal128.fromString('-NaN')];
      const others = ['text', { a: 1 }, new mongo.Binary(Buffer.from('b')), true, new Date(0)];
      const ids = [new mongo.MinKey(), ...notNumbers, ...others];
      for (const id of ids) {
        await documentsOf(layout).insertOne({ _id: id, row: {}, v: FUTURE });
        const pages = await listPart(layout, 'no range');
        expect([keysOf(pages), foreignOf(pages).length]).toEqual([[], 1]);
        expect(foreignOf(await listAll(layout, 3))).toHaveLength(1);
        const range: KeyRange = { after: [0], upTo: [99] };
        expect(await readRange(layout, rows, range)).toMatchObject({ equal: 8, mayHaveExtras: false });
        await documentsOf(layout).deleteOne({ _id: id as never });
      }
    });

    it('is only asked for where MySQL and MongoDB have keys in one order', () => {
      const verified = new VerifiedMirror(mirror);
      const [whole, big, text] = [
        makeColumn('a', 'integer', 'int'),
        makeColumn('b', 'bigint', 'bigint', { unsigned: true }),
        makeColumn('c', 'text', 'varchar'),
      ];
      const seen = [[whole], [big], [whole, big], [text], [whole, text]].map((keys) =>
        verified.seesExtras(makeLayout(keys, [...keys.keys()])),
      );
      expect(seen).toEqual([true, true, true, false, false]);
    });

    it('takes keys of several columns, and beyond 2^63, in their order', async () => {
      const keyColumns = [makeColumn('b', 'integer', 'int'), makeColumn('a', 'bigint', 'bigint', { unsigned: true })];
      const layout = makeLayout([...keyColumns, makeColumn('note', 'text', 'varchar')], [0, 1], 'range_of_two');
      const keys: Row[] = [
        [-3, 2n ** 64n - 1n],
        [2, 0],
        [2, 2n ** 63n - 1n],
        [2, 2n ** 63n],
        [2, 2n ** 63n + 1n],
        [3, 5_000_000_000],
      ];
      await write(
        layout,
        keys.map(([b, a], i): Write => [i + 1, null, [b ?? 0, a ?? 0, '']]),
      );
      const between = async (after: number | null, upTo: number | null): Promise<unknown> => {
        const at = (index: number | null): Row | null => (index === null ? null : (keys[index] as Row));
        const pages = await listPart(layout, { after: at(after), upTo: at(upTo) }, 10);
        return pages.flatMap((page) => page.keys.map(([b, a]) => [b, a]));
      };
      for (let after = 0; after < keys.length; after++) {
        expect(await between(after, null)).toEqual(keys.slice(after + 1));
        expect(await between(null, after)).toEqual(keys.slice(0, after + 1));
        expect(await between(after, after)).toEqual([]);
      }
    });
  });

  it('of a chunk of more rows than one request asks for it finds each', async () => {
    const layout = layoutOf('long');
    const rows = Array.from({ length: 4_100 }, (_, id): Row => [id, `row ${id}`]);
    await write(
      layout,
      rows.map((row, i) => [i + 1, null, row]),
    );
    const checkpoint = { version: FUTURE, covered: GtidSet.parse(`${UUID}:1-5000`) };
    const verified = new VerifiedMirror(mirror);
    expect(await verified.readChunk(layout, chunkOf(rows), checkpoint, never)).toMatchObject({
      equal: 4_100,
      others: [],
    });
  });

  it('finds documents by keys of any kind, in the order of the keys', async () => {
    const keyColumns = [
      makeColumn('10', 'bigint', 'bigint', { unsigned: true }),
      makeColumn('2', 'decimal', 'decimal', { precision: 20, scale: 2 }),
      makeColumn('$x', 'text', 'varchar'),
      makeColumn('b', 'bytes', 'varbinary'),
      makeColumn('d', 'double', 'double'),
    ];
    const values: Row[] = [
      [5, '1.50', 'a', Buffer.from([1]), 0.1],
      [2 ** 40, '-1.50', 'A', Buffer.alloc(0), -0],
      [2n ** 63n - 1n, '0.00', 'ü😀', Buffer.from([255]), 5e-324],
      [2n ** 64n - 1n, '123456789012345678.01', '', Buffer.from([0, 0]), 1e300],
    ];
    for (const [at, { kind }] of keyColumns.entries()) {
      const layout = makeLayout(keyColumns, [at], `key_${kind}`);
      await write(
        layout,
        values.map((row, i) => [i + 1, null, row]),
      );
      await expectFound(layout, values);
    }
    const layout = makeLayout(keyColumns, [0, 1, 2, 3, 4], 'key_of_all');
    await write(
      layout,
      values.map((row, i) => [i + 1, null, row]),
    );
    await expectFound(layout, values);
  });

  async function expectFound(layout: TableLayout, rows: readonly Row[]): Promise<void> {
    const absent = keyOf(layout, [77, '7.00', 'absent', Buffer.from('absent'), 7]);
    const reversed = rows.toReversed();
    const keys = [absent, ...reversed.map((row) => keyOf(layout, row)), absent];
    const stored = await new VerifiedMirror(mirror).read(layout, keys, never);
    const judged = stored.map((document, i) => (document === null ? null : document.compare(reversed[i - 1] ?? [])));
    expect(judged).toEqual([null, ...reversed.map(() => []), null]);
    expect(stored.map((document) => document?.damage ?? null)).toEqual(stored.map(() => null));
  }

  it('knows tombstones, and reads nothing for no keys', async () => {
    const layout = layoutOf('tombstones');
    await write(layout, [
      [1, null, [1, 'a']],
      [2, [1, 'a'], null],
    ]);
    const { connection, source } = mirror;
    const verified = new VerifiedMirror({ connection, source });
    expect(await verified.read(layout, [], never)).toEqual([]);
    const [stored] = await verified.read(layout, [[1, null]], never);
    expect(stored).toMatchObject({ isDeleted: true, damage: null, gtid: makeTransaction(2).gtid });
    expect(await verified.listQuarantined(layout, [[1, null]], never)).toEqual([]);
  });

  it('finds a document under its key in the type that the key had before, and says when it has none of a key', async () => {
    const layout = layoutOf('widths');
    await write(layout, [[1, null, [1, 'a']]]);
    const [document] = await documentsOf(layout).find({}, { promoteValues: false }).toArray();
    await documentsOf(layout).insertMany([
      { ...document, _id: Long.fromNumber(2), row: { id: new Int32(2), note: 'b' } },
      { ...document, _id: new Double(3), row: { id: new Int32(3), note: 'c' } },
    ]);
    const stored = await new VerifiedMirror(mirror).read(
      layout,
      [1, 2, 3, 4].map((id) => [id, null]),
      never,
    );
    expect(stored.map((one) => one?.damage)).toEqual([null, null, 'its _id is not of the form of a key', undefined]);
    expect(stored.map((one) => one?.compare([2, 'b'])?.length)).toEqual([2, 0, 2, undefined]);
  });

  it('lists keys of rows in pages that another process continues, and what has none', async () => {
    const layout = layoutOf('listed');
    const ids = Array.from({ length: 25 }, (_, i) => i + 1);
    await write(layout, [
      ...ids.map((id): Write => [id, null, [id, 'x']]),
      [30, [4, 'x'], null],
      [31, [5, 'x'], [5, 'y']],
    ]);
    const documents = documentsOf(layout);
    const row = { id: 0, note: '' };
    const v = `${makeTransaction(7).versionPrefix}0000000000000000`;
    await documents.insertMany([
      { _id: 'odd', row, v },
      { _id: { a: 1 }, row, v: FUTURE },
      { _id: true, row, v: 5 },
      { _id: 'tombstone', v, deletedAt: new Date() },
      { _id: 101, row },
      { _id: 102, row, v: 'zz' },
      { _id: 103, row, v: `abc-${v}` },
      { _id: 104, row, v: 'ABC' },
      { _id: 105, row, v: '' },
      { _id: 106, row, v: LOWEST_VERSION },
      { _id: 107, row, v, deletedAt: new Date() },
      { _id: 117, v },
      { _id: 108, row, v: { a: 1 } },
      { _id: 109, row, v: null },
      { _id: 110, row, v: [] },
      { _id: 111, row, v: [v] },
      { _id: 112, row, v: ['zz'] },
      { _id: 113, row, v: [5] },
      { _id: 114, row, v: new Date(0) },
      { _id: 115, row, v: /x/ },
      { _id: 116, row, v: new mongo.MaxKey() },
    ]);
    const expected = [
      ...ids.filter((id) => id !== 4),
      101,
      102,
      103,
      104,
      105,
      ...Array.from({ length: 12 }, (_, i) => 106 + i),
    ];
    for (const limit of [1, 3, 1000]) {
      const pages = await listAll(layout, limit);
      expect(keysOf(pages)).toEqual(expected);
      expect(foreignOf(pages).map(({ shown }) => shown)).toEqual(
        expect.arrayContaining(['"odd"', '{"a":{"$numberInt":"1"}}', 'true']),
      );
      expect(foreignOf(pages)).toHaveLength(3);
      for (const [i, { after }] of pages.entries()) {
        const rest = keysOf(await listAll(layout, limit, after));
        const given = new Set(keysOf(pages.slice(0, i + 1)));
        expect(expected.filter((id) => !given.has(id) && !rest.includes(id))).toEqual([]);
        expect(rest).toHaveLength(expected.length - given.size);
      }
    }
    expect(await listAll(layoutOf('unknown'), 10)).toEqual([]);
  });

  it.each<['text' | 'integer', Column]>([
    ['text', makeColumn('id', 'text', 'varchar')],
    ['integer', makeColumn('id', 'integer', 'int')],
  ])('lists, shows and removes what the driver can not read; keys: %s', async (kind, column) => {
    const layout = makeLayout([column, makeColumn('note', 'text', 'varchar')], [0], `broken_${kind}`);
    const keys = kind === 'text' ? ['a', 'n', 'z'] : [1, 2, 3];
    await write(
      layout,
      keys.map((key, i): Write => [i + 1, null, [key, '']]),
    );
    const documents = documentsOf(layout);
    const broken = [Buffer.from([0xff]), Buffer.from('m\xf0', 'latin1'), Buffer.from('zz\x80', 'latin1')];
    for (const text of broken) await insertRaw(documents, textDocument(text));
    await documents.insertOne({ _id: { a: new mongo.BSONRegExp('(?<=x', '') }, row: {} });
    for (const limit of [1, 2, 100]) {
      const pages = await listAll(layout, limit);
      expect(pages.flatMap((page) => page.keys.map(([id]) => id))).toEqual(keys);
      expect(foreignOf(pages).map(({ shown }) => shown)).toEqual(
        expect.arrayContaining(['"\ufffd"', '"m\ufffd"', '"zz\ufffd"', expect.stringContaining('(?<=x')]),
      );
      expect(foreignOf(pages)).toHaveLength(broken.length + 1);
      for (const { after } of pages) expect((await listAll(layout, limit, after)).length).toBeLessThan(pages.length);
    }
    const verified = new VerifiedMirror(mirror);
    for (const { id, fingerprint } of foreignOf(await listAll(layout, 100)))
      expect(await verified.demote(layout, { foreign: id }, fingerprint, never)).toBe(true);
    expect((await documents.find().toArray()).map(({ _id }) => _id)).toEqual(keys);
  });

  it('names keys in a form that no row has: no read of the source could ask for them', async () => {
    const layout = makeLayout(
      [makeColumn('at', 'datetime', 'datetime'), makeColumn('e', 'enum', 'enum')],
      [0],
      'forms',
    );
    await write(layout, [[1, null, ['2026-02-03T04:05:06', '']]]);
    await documentsOf(layout).insertMany([
      { _id: '2026-02-03', row: {}, v: FUTURE },
      { _id: '2026-02-03T04:05:06.5', row: {}, v: FUTURE },
    ]);
    const pages = await listAll(layout, 10);
    expect(pages.flatMap(({ keys }) => keys)).toEqual([['2026-02-03T04:05:06', null]]);
    expect(foreignOf(pages).map(({ shown }) => shown)).toEqual(['"2026-02-03"', '"2026-02-03T04:05:06.5"']);
  });

  it('ends a listing while rows are written all the time', async () => {
    const layout = layoutOf('busy');
    await write(
      layout,
      [1, 2, 3, 4, 5].map((id): Write => [id, null, [id, '']]),
    );
    let number = 10;
    const keys: unknown[] = [];
    for await (const page of new VerifiedMirror(mirror).list({ layout, after: null, limit: 2 }, never)) {
      keys.push(...page.keys.map(([id]) => id));
      await write(
        layout,
        [1, 2, 3].map((more): Write => [number++, null, [number * 10 + more, '']]),
      );
      expect(number).toBeLessThan(40);
    }
    expect([1, 2, 3, 4, 5].filter((id) => !keys.includes(id))).toEqual([]);
  });
});

describe('VerifiedMirror, demoting a damaged document', () => {
  const demote = (layout: TableLayout, id: number, fingerprint: string): Promise<boolean> =>
    new VerifiedMirror(mirror).demote(layout, { key: [id, null] }, fingerprint, never);

  it.each<[string, mongo.Document]>([
    ['a version that no change has yet', { v: FUTURE }],
    ['a malformed version', { v: 5 }],
    ['a version that is no text of digits', { v: 'zz' }],
    ['an unknown field', { extra: { a: [1, new Double(2), Long.fromNumber(3)] } }],
    ['a row and deletedAt', { deletedAt: new Date() }],
    ['a row that is not a document', { row: 'x' }],
    ['unknown columns', { row: { id: 1, 'a.b': { $c: 1 }, '': 2 } }],
    ['a gtid of another type', { gtid: 5 }],
  ])('I3: the next change replaces it as a whole: %s', async (name, damage) => {
    const layout = layoutOf(`demoted ${name}`.replaceAll(' ', '_'));
    await write(layout, [[1, null, [1, 'a']]]);
    const documents = documentsOf(layout);
    const [whole] = await documents.find({}, { promoteValues: false }).toArray();
    await documents.replaceOne(byId(1), { ...whole, ...damage });
    const { fingerprint } = (await readOne(layout, 1)) as StoredDocument;
    expect(await demote(layout, 1, 'another')).toBe(false);
    expect(await demote(layout, 1, fingerprint)).toBe(true);
    expect(await documents.findOne(byId(1))).toMatchObject({ v: LOWEST_VERSION, gtid: null });
    expect(await demote(layout, 1, fingerprint)).toBe(false);
    // the very change that was there, read again
    await write(layout, [[1, [1, ''], [1, 'a']]]);
    const stored = await readOne(layout, 1);
    expect(stored).toMatchObject({ damage: null, gtid: makeTransaction(1).gtid });
    expect(stored?.compare([1, 'a'])).toEqual([]);
    expect(await documents.findOne(byId(1), { promoteValues: false })).toEqual(whole);
  });

  it('I3: leaves what was changed since it was seen, if only in the type of a number', async () => {
    const layout = layoutOf('changed');
    await write(layout, [[1, null, [1, 'a']]]);
    const documents = documentsOf(layout);
    const set = (fields: mongo.Document): Promise<unknown> => documents.updateOne(byId(1), { $set: fields });
    await set({ extra: new Int32(1), 'row.n': new Int32(1) });
    const seen = (await readOne(layout, 1)) as StoredDocument;
    for (const [change, back] of [
      [{ extra: new Double(1) }, { extra: new Int32(1) }],
      [{ 'row.n': Long.fromNumber(1) }, { 'row.n': new Int32(1) }],
      [{ 'row.note': 'b' }, { 'row.note': 'a' }],
      [{ v: FUTURE }, { v: seen.version }],
      [{ more: 1 }, null],
    ] as const) {
      await set(change);
      expect(await demote(layout, 1, seen.fingerprint)).toBe(false);
      // at the server, past the look that comes before
      expect(await lowerVersion(documents as never, seen.bytes)).toBe(false);
      expect(await removeDocument(documents as never, seen.bytes)).toBe(false);
      if (back === null) await documents.updateOne(byId(1), { $unset: { more: 1 } });
      else await set(back);
    }
    expect(await lowerVersion(documents as never, seen.bytes)).toBe(true);
  });

  it('removes what is no key, if it is still what was listed', async () => {
    const layout = layoutOf('removed');
    await write(layout, [[1, null, [1, 'a']]]);
    const documents = documentsOf(layout);
    await documents.insertMany([
      { _id: { 10: 1, 2: { b: 1, 1: 2 } }, row: {}, v: FUTURE },
      { _id: 'x', row: { id: 1 }, v: FUTURE },
      { _id: new Double(2), row: {}, v: FUTURE },
    ]);
    const verified = new VerifiedMirror(mirror);
    const foreign = foreignOf(await listAll(layout, 10));
    expect(foreign).toHaveLength(3);
    const text = foreign.find(({ shown }) => shown === '"x"') as ForeignRow;
    await documents.updateOne(byId('x'), { $set: { 'row.id': new Double(1) } });
    for (const { id, fingerprint } of foreign)
      expect(await verified.demote(layout, { foreign: id }, fingerprint, never)).toBe(id !== text.id);
    expect((await documents.find().toArray()).map(({ _id }) => _id)).toEqual([1, 'x']);
    // after a crash the same is asked for again: what is gone is removed
    for (const { id, fingerprint } of foreign)
      expect(await verified.demote(layout, { foreign: id }, fingerprint, never)).toBe(id !== text.id);
    // found by a key that it equals, it is removed too
    await documents.insertOne({ _id: new Double(3), row: {}, v: FUTURE });
    const { fingerprint } = (await readOne(layout, 3)) as StoredDocument;
    expect(await demote(layout, 3, fingerprint)).toBe(true);
    expect(await readOne(layout, 3)).toBeNull();
  });

  it('I1: loses no change that comes at the same moment', async () => {
    const layout = layoutOf('racing');
    const documents = documentsOf(layout);
    let demoted = 0;
    for (let round = 0; round < 40; round++) {
      const number = round * 10;
      await write(layout, [[number + 1, null, [1, 'seen']]]);
      await documents.updateOne(byId(1), { $set: { extra: round } });
      const { fingerprint } = (await readOne(layout, 1)) as StoredDocument;
      const [isDone] = await Promise.all([
        demote(layout, 1, fingerprint),
        write(layout, [[number + 2, null, [1, 'live']]]),
      ]);
      demoted += Number(isDone);
      expect((await readOne(layout, 1))?.compare([1, 'live'])).toEqual([]);
    }
    expect(demoted).toBeGreaterThan(0);
  });
});
