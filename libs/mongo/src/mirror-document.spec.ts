import { changeVersion, type Row, type RowChange, type TableLayout } from '#change-events';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import { columnWithValue } from '../test/column-values.ts';
import { makeChange, makeColumn, makeLayout, makeTransaction } from '../test/make-changes.ts';
import { encodeBsonValue } from '../test/driver-values.ts';
import { readDocument } from '../test/read-bson.ts';
import { BsonWriter } from './bson-writer.ts';
import { DocumentEncoder, type EncodedDocument } from './mirror-document.ts';

const id = makeColumn('id', 'integer', 'int');
const text = (name: string) => makeColumn(name, 'text', 'varchar');

const change = makeChange(null, [7, 'hello'], { transaction: makeTransaction(3) });

function encode(layout: TableLayout, row: Row, of: RowChange = change): EncodedDocument {
  return new DocumentEncoder(layout).upsert(new BsonWriter(1), row, of, changeVersion(of));
}

/**
 * Names of an embedded document's fields of text, in stored order, read from the bytes after the name of the document.
 */
function storedNames(bytes: Uint8Array, name: string): string[] {
  const document = Buffer.from(bytes);
  const names: string[] = [];
  let offset = document.indexOf(`\u0003${name}\u0000`) + 1 + name.length + 1 + 4;
  while (document[offset] === 2) {
    const end = document.indexOf(0, offset + 1);
    names.push(document.toString('utf8', offset + 1, end));
    offset = end + 1 + 4 + document.readInt32LE(end + 1);
  }
  return names;
}

describe('DocumentEncoder', () => {
  it('makes the document of a row', () => {
    const document = encode(makeLayout([id, text('note')]), [7, 'hello']);
    expect(readDocument(document)).toEqual({
      _id: 7,
      row: { id: 7, note: 'hello' },
      v: '000000010000000100000000012c0000000000000000',
      ts: new Date(1_700_000_000_003),
      gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:3',
    });
    expect(document.version).toBe('000000010000000100000000012c0000000000000000');
    expect(document.idEnd).toBe(mongo.BSON.serialize({ _id: 7 }).length - 1);
  });

  it('makes a tombstone without the row', () => {
    const encoder = new DocumentEncoder(makeLayout([id, text('note')]));
    const of = makeChange([7, 'hello'], null);
    const tombstone = encoder.tombstone(new BsonWriter(1), [7, 'hello'], of, 'v', 5000);
    expect(readDocument(tombstone)).toEqual({
      _id: 7,
      v: 'v',
      gtid: of.transaction.gtid,
      deletedAt: new Date(5000),
    });
    const withoutGtid = { ...of, transaction: { ...of.transaction, gtid: null } };
    expect(readDocument(encoder.tombstone(new BsonWriter(), [7, ''], withoutGtid, 'v', 5000)).gtid).toBeNull();
  });

  it('embeds a key of several columns in key order, not in column order', () => {
    const layout = makeLayout([text('a'), text('b'), text('c')], [2, 0]);
    expect(storedNames(encode(layout, ['1', '2', '3']).bytes, '_id')).toEqual(['c', 'a']);
  });

  it('keeps the order of names that JavaScript would sort, and names that it takes for its own', () => {
    const names = ['b', '7', '1', '__proto__', '_bsontype', 'toBSON', 'ü'];
    const { bytes } = encode(makeLayout(names.map(text), [1, 2]), names);
    expect(storedNames(bytes, 'row')).toEqual(names);
    expect(storedNames(bytes, '_id')).toEqual(['7', '1']);
  });

  it('escapes names that begin with $ inside _id, where MongoDB refuses them', () => {
    const document = encode(makeLayout([text('$a'), text('b')], [0, 1]), ['1', '2']);
    expect(readDocument(document)).toMatchObject({ _id: { _x0024a: '1', b: '2' }, row: { $a: '1', b: '2' } });
  });

  it('is, byte for byte, what the driver writes of the values', () => {
    fc.assert(
      fc.property(fc.array(columnWithValue, { minLength: 1, maxLength: 12 }), fc.nat(100), (members, capacity) => {
        const columns = members.map(({ column }, i) => ({ ...column, name: `c${i}` }));
        const layout = makeLayout([...columns, text('k'), id], [columns.length + 1, columns.length]);
        const row: Row = [...members.map(({ value }) => value), 'key', 5];
        const writer = new BsonWriter(capacity);
        const document = new DocumentEncoder(layout).upsert(writer, row, change, 'v');
        const { commitMicros, gtid } = change.transaction;
        const named = layout.columns.map((column, i) => [column.name, encodeBsonValue(column, row[i] ?? null)]);
        const fields = Object.fromEntries(named) as Readonly<Record<string, unknown>>;
        const expected = mongo.BSON.serialize({
          _id: { id: 5, k: 'key' },
          row: fields,
          v: 'v',
          ts: new Date(Math.floor(commitMicros / 1000)),
          gtid,
        });
        expect(Buffer.from(document.bytes).toString('latin1')).toBe(Buffer.from(expected).toString('latin1'));
      }),
      { numRuns: 500 },
    );
  });

  it('gives equal identities exactly to equal keys', () => {
    const encoder = new DocumentEncoder(makeLayout([text('a'), text('b')], [0, 1]));
    expect(encoder.identity(['x', '1:y'])).not.toBe(encoder.identity(['x1:', 'y']));
    expect(encoder.identity(['x', 'y'])).toBe(encoder.identity(['x', 'y']));
    const bytes = new DocumentEncoder(makeLayout([makeColumn('k', 'bytes', 'binary')]));
    expect(bytes.identity([Buffer.from([1, 200])])).toBe(bytes.identity([Buffer.from([1, 200])]));
    expect(bytes.identity([Buffer.from([1, 200])])).not.toBe(bytes.identity([Buffer.from([1, 201])]));
  });

  it('estimates long values by their length', () => {
    const encoder = new DocumentEncoder(makeLayout([id, text('note')]));
    const short: Row = [1, ''];
    expect(encoder.rowBytes([1, 'x'.repeat(1000)]) - encoder.rowBytes(short)).toBe(1000);
  });
});
