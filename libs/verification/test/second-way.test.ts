import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mongo } from 'mongoose';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import {
  collectionName,
  encodeKeyValues,
  keyValues,
  type Row,
  type RowChange,
  rowOfKey,
  type TableLayout,
  versionPrefix,
} from '#change-events';
import { silentLogger } from '#kernel';
import {
  BsonWriter,
  DocumentEncoder,
  mirrorDatabase,
  MirrorWriter,
  openMongo,
  readDriverTexts,
  VerifiedMirror,
} from '#mongo';
import { connectionOptionsFromUrl, openRowReader } from '#mysql';
import { acceptChanges, openSink, testStack, uniqueName } from '#testing';
import { RecordedStream, RowVerifier, type StoredRow, TextSink, type Verdict, VerifiedSink } from '#verification';
import { TABLES } from '../../../test/types/matrix.ts';
import { Random } from '../../../test/types/random.ts';
import { TypedTables } from '../../../test/types/typed-tables.ts';

const signal = new AbortController().signal;
const ROWS = 120;
const ABOVE_ALL = 'f'.repeat(44);
/** Of the lineage of what is stored. */
const ABOVE_LINEAGE = `00000001${'f'.repeat(36)}`;
const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

/** A document as it is stored; nothing of it is judged but its row. */
class StoredBytes implements StoredRow {
  readonly version = '0'.repeat(44);
  readonly gtid = null;
  readonly isDeleted = false;
  readonly damage = null;
  readonly fingerprint = '';
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  compare(): never {
    throw new Error('only texts are compared');
  }
}

/** The documents that MongoDB has, by the bytes of their `_id`. */
class Documents extends VerifiedSink {
  readonly #byId = new Map<string, Buffer>();

  add(layout: TableLayout, document: Buffer): void {
    this.#byId.set(`${layout.table} ${idOf(document)}`, document);
  }

  override read(layout: TableLayout, keys: readonly Row[]): Promise<readonly (StoredBytes | null)[]> {
    return Promise.resolve(
      keys.map((key) => {
        const bytes = this.#byId.get(`${layout.table} ${idOf(encode(layout, key))}`);
        return bytes === undefined ? null : new StoredBytes(bytes);
      }),
    );
  }
  override list(): never {
    throw new Error('nothing is listed here');
  }
  override listQuarantined(): Promise<readonly Row[]> {
    return Promise.resolve([]);
  }
  override demote(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

const encoders = new Map<TableLayout, DocumentEncoder>();

function encode(layout: TableLayout, row: Row): Buffer {
  const encoder = encoders.get(layout) ?? new DocumentEncoder(layout);
  encoders.set(layout, encoder);
  const { bytes } = encoder.upsert(new BsonWriter(1024), row, created(layout, row, 1), ABOVE_ALL);
  return Buffer.from(bytes);
}

function created(layout: TableLayout, row: Row, number: number): RowChange {
  const place = { file: 'binlog.000001', offset: number * 100 };
  const transaction = {
    ...place,
    gtid: `${UUID}:${number}`,
    serverId: 1,
    serverUuid: UUID,
    commitMicros: 1_700_000_000_000_000,
    versionPrefix: versionPrefix(1, place.file, place.offset),
  };
  return { op: 'create', layout, before: null, after: row, transaction, rowIndex: 0, readSequence: 0, windowId: null };
}

/** Where the value of an element is; documents are walked here, not by the code that is tried. */
function* elementsOf(bytes: Buffer, start = 0): Iterable<{ readonly name: string; at: number; end: number }> {
  const documentEnd = start + bytes.readInt32LE(start) - 1;
  for (let at = start + 4; at < documentEnd;) {
    const type = bytes[at] ?? 0;
    const nameEnd = bytes.indexOf(0, at + 1);
    const name = bytes.toString('utf8', at + 1, nameEnd);
    const value = nameEnd + 1;
    at = value + lengthOf(bytes, type, value);
    yield { name, at: value, end: at };
  }
}

function lengthOf(bytes: Buffer, type: number, at: number): number {
  const fixed = new Map([
    [0x01, 8],
    [0x08, 1],
    [0x09, 8],
    [0x0a, 0],
    [0x10, 4],
    [0x12, 8],
    [0x13, 16],
  ]).get(type);
  if (fixed !== undefined) return fixed;
  const length = bytes.readInt32LE(at);
  if (type === 0x02) return 4 + length;
  if (type === 0x05) return 5 + length;
  if (type === 0x03 || type === 0x04) return length;
  throw new Error(`no length of type ${type}`);
}

function idOf(document: Buffer): string {
  for (const { name, at, end } of elementsOf(document)) if (name === '_id') return document.toString('latin1', at, end);
  throw new Error('no _id');
}

/** The values of `row` by column. */
function rowElements(document: Buffer): ReadonlyMap<string, { readonly at: number; readonly end: number }> {
  for (const { name, at } of elementsOf(document))
    if (name === 'row') return new Map([...elementsOf(document, at)].map((element) => [element.name, element]));
  throw new Error('no row');
}

/** Names of an array's elements mean nothing to them. */
function isSameToDrivers(original: Buffer, flipped: Buffer): boolean {
  return normalized(original) === normalized(flipped);
}

/** A DECIMAL is equal when its value is, and a zero is one with each number of digits after the point. */
function isSameZero(original: Buffer, flipped: Buffer): boolean {
  const isZero = (value: Buffer): boolean =>
    value.length === 16 && /^0(\.0+)?(E[+-]\d+)?$/.test(new mongo.Decimal128(value).toString());
  return isZero(original) && isZero(flipped);
}

/** The document as any driver has it; null when none can read it. */
function normalized(document: Buffer): string | null {
  try {
    return Buffer.from(mongo.BSON.serialize(mongo.BSON.deserialize(document, { promoteValues: false }))).toString(
      'hex',
    );
  } catch {
    return null;
  }
}

describe('the second way: the server’s own texts against the driver’s own decoding', () => {
  const database = uniqueName('second');
  const sourceName = uniqueName('s').toLowerCase();
  const documents = new Documents();
  let admin: Connection;
  let mirror: Awaited<ReturnType<typeof openMongo>>;
  let texts: ReturnType<typeof openRowReader>;
  let values: ReturnType<typeof openRowReader>;
  let layouts: readonly TableLayout[];

  beforeAll(async () => {
    const stack = await testStack();
    const streamed = connectionOptionsFromUrl(stack.url('mysql-primary'));
    admin = await createConnection({ uri: stack.url('mysql-primary'), charset: 'utf8mb4' });
    await admin.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`);
    await admin.query(`USE ${database}`);
    const typed = new TypedTables({ connection: admin, tables: TABLES, rows: ROWS, seed: 12 });
    await typed.create();
    await typed.insertFirstCopy();
    const reading = { streamed, replica: null, includes: (name: string) => name === database };
    texts = openRowReader({ ...reading, givesTexts: true });
    values = openRowReader(reading);
    layouts = await values.listTables(signal);
    mirror = await openMongo({ url: stack.url('mongo'), logger: silentLogger });
    const changes: RowChange[] = [];
    for (const layout of layouts) {
      const chunk = await values.readChunk({ layout, after: null, limit: 2 * ROWS, dispatchedSet: '', signal });
      for (const row of chunk.rows) changes.push(created(layout, row, changes.length + 1));
    }
    await store(changes);
  }, 120_000);
  afterAll(async () => {
    texts.close();
    values.close();
    await mirror.db(mirrorDatabase({ source: sourceName })).dropDatabase();
    await mirror.close();
    await admin.query(`DROP DATABASE ${database}`);
    await admin.end();
  });

  /** As DSS stores them, then read as they are. */
  async function store(changes: readonly RowChange[]): Promise<void> {
    const { promise: confirmed, resolve, reject } = Promise.withResolvers<undefined>();
    let left = changes.length;
    const writer = new MirrorWriter({
      connection: mirror,
      source: sourceName,
      isReplaying: () => false,
      logger: silentLogger,
    });
    await openSink(writer, { onFatal: reject });
    acceptChanges(writer, changes, { acknowledge: (count) => (left -= count) === 0 && resolve(undefined) });
    await confirmed;
    await writer.close();
    const db = mirror.db(mirrorDatabase({ source: sourceName }));
    for (const layout of layouts) {
      const found = await db
        .collection(collectionName(layout.database, layout.table))
        .find({}, { raw: true })
        .toArray();
      for (const document of found as unknown as Uint8Array[]) documents.add(layout, Buffer.from(document));
    }
  }

  /** As of now all is confirmed. */
  class ConfirmedStream extends RecordedStream {
    override async readCheckpoint(): Promise<Awaited<ReturnType<RecordedStream['readCheckpoint']>>> {
      const [rows] = await admin.query<RowDataPacket[]>('SELECT @@GLOBAL.gtid_executed AS gtids');
      const gtidSet = String(rows[0]?.['gtids']).replace(/\s/g, '');
      return { gtidSet, version: ABOVE_LINEAGE, undecidedSet: '' };
    }
    override readTable({ table }: { readonly table: string }): ReturnType<RecordedStream['readTable']> {
      const layout = layouts.find((candidate) => candidate.table === table);
      return Promise.resolve(layout === undefined ? null : { generation: 1, copied: 'yes', layout });
    }
    override readHighestVersion(): Promise<string> {
      return Promise.resolve(ABOVE_ALL);
    }
  }

  function verifier(
    reader = texts,
    sink: VerifiedSink = new TextSink({
      sink: new VerifiedMirror({ connection: mirror, source: sourceName }),
      readTexts: (layout, { bytes }) => readDriverTexts(layout, bytes),
    }),
  ): RowVerifier {
    return new RowVerifier({
      reader,
      sink,
      stream: new ConfirmedStream(),
      maxBytes: 64 * 1024 * 1024,
      attempts: 3,
      backoff: { initialMs: 1, maxMs: 5 },
      waitMs: 10_000,
      pollMs: 10,
    });
  }

  async function verify(layout: TableLayout, by = verifier()): Promise<Verdict> {
    const { verdict, complete } = await by.verifyChunk({ table: layout, after: null, limit: 2 * ROWS }, signal);
    expect(complete).toBe(true);
    if (verdict.state !== 'judged') throw new Error(verdict.reason);
    return verdict;
  }

  test.each(TABLES.map(({ name }) => [name]))('%s: every bound and random value is equal', async (name) => {
    const layout = layouts.find(({ table }) => table === name);
    if (layout === undefined) throw new Error(`no table ${name}`);
    const { equal, mismatches } = await verify(layout);
    expect(mismatches.flatMap(({ kind, differences }) => [kind, ...differences])).toEqual([]);
    expect(equal).toBe(ROWS);
  });

  test.each(TABLES.map(({ name }) => [name]))('%s: by the first way each row is equal byte for byte', async (name) => {
    const layout = layouts.find(({ table }) => table === name);
    if (layout === undefined) throw new Error(`no table ${name}`);
    const sink = new VerifiedMirror({ connection: mirror, source: sourceName });
    expect(await verify(layout, verifier(values, sink))).toMatchObject({ equal: ROWS, mismatches: [], unsettled: [] });
    expect(sink.comparisons).toEqual({ byBytes: ROWS, byValue: 0 });
  });

  test.each(TABLES.map(({ name }) => [name]))('%s: one flipped bit in any value is found', async (name) => {
    const layout = layouts.find(({ table }) => table === name);
    if (layout === undefined) throw new Error(`no table ${name}`);
    const random = new Random(7);
    const { rows } = await texts.readChunk({ layout, after: null, limit: 2 * ROWS, dispatchedSet: '', signal });
    const byKey = new Map(rows.map((row) => [encodeKeyValues(layout, row), row]));
    const keys = rows.map((row) => rowOfKey(layout, keyValues(layout, row)));
    const originals = await documents.read(layout, keys);
    const missed: string[] = [];
    let found = 0;
    for (const [i, key] of keys.entries()) {
      const row = byKey.get(encodeKeyValues(layout, key));
      const original = originals[i]?.bytes;
      if (row === undefined || original === undefined) throw new Error('a row or document is missing');
      for (const [column, { at, end }] of rowElements(original)) {
        if (at === end) continue; // NULL
        const bytes = Buffer.from(original);
        const bit = random.between(0, (end - at) * 8 - 1);
        const place = at + (bit >> 3);
        bytes[place] = (bytes[place] ?? 0) ^ (1 << (bit & 7));
        const one = new Documents();
        one.add(layout, bytes);
        const damaged = new TextSink({ sink: one, readTexts: (_, stored) => readDriverTexts(layout, stored.bytes) });
        const [stored] = await damaged.read(layout, [key], signal);
        const differences = stored?.compare(row);
        if (differences?.some((difference) => difference.column === column) ?? true) found++;
        else if (!isSameToDrivers(original, bytes) && !isSameZero(original.subarray(at, end), bytes.subarray(at, end)))
          missed.push(`${column} bit ${bit}: ${original.toString('hex', at, end).slice(0, 80)}`);
      }
    }
    expect(missed).toEqual([]);
    expect(found).toBeGreaterThan(ROWS * (layout.columns.length / 2));
  });
});
