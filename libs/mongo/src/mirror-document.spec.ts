import { changeVersion, type Row } from '#change-events';
import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { makeChange, makeColumn, makeLayout, makeTransaction } from '../test/make-changes.ts';
import { DocumentEncoder } from './mirror-document.ts';

const id = makeColumn('id', 'integer', 'int');
const text = (name: string) => makeColumn(name, 'text', 'varchar');

/** Names of the string fields of an embedded document, in stored order, read from its bytes. */
function storedNames(value: unknown): string[] {
  const bytes = Buffer.from(mongo.BSON.serialize({ value }));
  const names: string[] = [];
  let offset = 4 + 1 + 'value'.length + 1 + 4;
  while (bytes[offset] === 2) {
    const end = bytes.indexOf(0, offset + 1);
    names.push(bytes.toString('utf8', offset + 1, end));
    offset = end + 1 + 4 + bytes.readInt32LE(end + 1);
  }
  return names;
}

describe('DocumentEncoder', () => {
  it('makes the document of a row', () => {
    const encoder = new DocumentEncoder(makeLayout([id, text('note')]));
    const change = makeChange(null, [7, 'hello'], { transaction: makeTransaction(3) });
    expect(encoder.upsert([7, 'hello'], change, changeVersion(change))).toEqual({
      _id: 7,
      row: { id: 7, note: 'hello' },
      v: '000000010000000100000000012c0000000000000000',
      ts: new Date(1_700_000_000_003),
      gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:3',
    });
  });

  it('makes a tombstone without the row', () => {
    const encoder = new DocumentEncoder(makeLayout([id, text('note')]));
    const change = makeChange([7, 'hello'], null);
    expect(encoder.tombstone([7, 'hello'], change, 'v', 5000)).toEqual({
      _id: 7,
      v: 'v',
      gtid: change.transaction.gtid,
      deletedAt: new Date(5000),
    });
  });

  it('embeds a key of several columns in key order, not in column order', () => {
    const encoder = new DocumentEncoder(makeLayout([text('a'), text('b'), text('c')], [2, 0]));
    expect(storedNames(encoder.id(['1', '2', '3']))).toEqual(['c', 'a']);
  });

  it('keeps the order of names that JavaScript would sort, and names that it takes for its own', () => {
    const names = ['b', '7', '1', '__proto__', '_bsontype'];
    const layout = makeLayout(names.map(text), [1, 2]);
    const change = makeChange(null, names);
    const { _id, row } = new DocumentEncoder(layout).upsert(names, change, 'v');
    expect(storedNames(row)).toEqual(names);
    expect(storedNames(_id)).toEqual(['7', '1']);
  });

  it('escapes names that begin with $ inside _id, where MongoDB refuses them', () => {
    const encoder = new DocumentEncoder(makeLayout([text('$a'), text('b')], [0, 1]));
    expect(encoder.id(['1', '2'])).toEqual({ _x0024a: '1', b: '2' });
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
