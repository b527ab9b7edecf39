import { type Row, type RowChange } from '#change-events';
import { describe, expect, it } from '@jest/globals';
import { makeChange, makeTransaction } from '../test/make-changes.ts';
import { readDocument } from '../test/read-bson.ts';
import { BsonWriter } from './bson-writer.ts';
import { collapseEntries, encodeWrite, type MirrorEntry } from './mirror-batch.ts';
import { MirrorTables } from './mirror-tables.ts';

const tables = new MirrorTables();

function entryOf(change: RowChange): MirrorEntry {
  const table = tables.find(change.layout);
  const row: Row = change.after ?? change.before ?? [];
  return {
    table,
    identity: table.encoder.identity(row),
    change,
    row,
    isTombstone: change.after === null,
    isReplaying: false,
    acknowledgement: { acknowledge: () => undefined },
    keyChange: null,
    bytes: 100,
  };
}

const at = (number: number, before: Row | null, after: Row | null) =>
  entryOf(makeChange(before, after, { transaction: makeTransaction(number) }));

function collapse(entries: readonly MirrorEntry[]) {
  const writer = new BsonWriter(16);
  return [...collapseEntries(entries).values()].flat().map((one) => encodeWrite(writer, one, true, 0));
}

describe('collapseEntries', () => {
  it('keeps the last change of each key, sorted by key', () => {
    const writes = collapse([
      at(1, null, [20, 'a']),
      at(2, null, [3, 'b']),
      at(3, [20, 'a'], [20, 'c']),
      at(4, [3, 'b'], null),
    ]);
    expect(writes.map(({ document }) => readDocument(document)).map(({ _id, row }) => [_id, row])).toEqual([
      [3, undefined],
      [20, { id: 20, note: 'c' }],
    ]);
  });

  it('goes by version, not by place', () => {
    const writes = collapse([at(5, [1, 'x'], [1, 'newer']), at(4, [1, 'x'], [1, 'older'])]);
    expect(writes.map(({ document }) => readDocument(document).row)).toEqual([{ id: 1, note: 'newer' }]);
  });

  it('takes a row that was created within the batch for new, whatever came after', () => {
    const writes = collapse([at(1, null, [1, 'a']), at(2, [1, 'a'], [1, 'b']), at(3, [2, 'a'], [2, 'b'])]);
    expect(writes.map(({ isNew }) => isNew)).toEqual([true, false]);
  });

  it('of a row with a changed key only the document under the new key is taken for new', () => {
    const moved = at(1, [1, 'a'], [2, 'a']);
    const keyChange = { unconfirmed: 2 };
    const former = { ...moved, row: [1, 'a'], identity: moved.table.encoder.identity([1, 'a']), isTombstone: true };
    const writes = collapse([
      { ...former, keyChange },
      { ...moved, keyChange },
    ]);
    expect(writes.map(({ document, isNew }) => [readDocument(document)._id, isNew])).toEqual([
      [1, false],
      [2, true],
    ]);
  });
});
