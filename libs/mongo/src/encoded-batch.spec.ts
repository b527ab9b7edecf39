import { describe, expect, it } from '@jest/globals';
import { type CanonicalValue, type Row } from '#change-events';
import { makeChange, makeColumn, makeLayout, makeTransaction } from '../test/make-changes.ts';
import { encodeBatch } from './encoded-batch.ts';
import { type MirrorEntry } from './mirror-batch.ts';
import { MirrorTables } from './mirror-tables.ts';

const layout = makeLayout([
  makeColumn('id', 'integer', 'int'),
  makeColumn('note', 'text', 'varchar'),
  makeColumn('amount', 'decimal', 'decimal', { precision: 9, scale: 2 }),
  makeColumn('document', 'json', 'json'),
]);
const tables = new MirrorTables();

function entry(row: Row): MirrorEntry {
  const transaction = makeTransaction(row[0] as number);
  return {
    table: tables.find(layout),
    identity: row[0] as number,
    change: makeChange(null, row, { layout, transaction }),
    row,
    isTombstone: false,
    isReplaying: false,
    acknowledgement: { acknowledge: () => undefined },
    keyChange: null,
    bytes: 256,
  };
}

describe('encodeBatch', () => {
  it('I6: refuses a row with a value that BSON can not hold, and encodes the others', () => {
    const batch = encodeBatch(
      [
        entry([1, 'a', '1.50', '{}']),
        entry([2, 'b', 'x', '{}']),
        entry([3, 'c', '1.50', '{']),
        entry([4, 'd', null, null]),
      ],
      0,
    );
    expect(batch.refused.map(({ entry: { identity }, error: { code } }) => [identity, code])).toEqual([
      [2, 'DITTO_MONGO_DOCUMENT_REFUSED'],
      [3, 'DITTO_MONGO_DOCUMENT_REFUSED'],
    ]);
    expect(batch.parts.map(({ collapsed, writes }) => [collapsed.length, writes.length])).toEqual([[2, 2]]);
  });

  it('I6: stops at an error that is no value’s own: what Ditto itself does wrong is no row’s fault', () => {
    const broken: Row = [1, undefined as unknown as CanonicalValue, null, null];
    expect(() => encodeBatch([entry([2, 'a', null, null]), entry(broken)], 0)).toThrow(
      expect.objectContaining({ code: 'DITTO_MONGO_DRIVER', retriable: false }),
    );
  });

  it('encodes JSON text of any length: whether MongoDB takes the document is decided by its size', () => {
    const { parts, refused } = encodeBatch([entry([1, 'a', null, JSON.stringify('x'.repeat(18_000_000))])], 0);
    expect(refused).toEqual([]);
    expect(parts[0]?.writes[0]?.document.bytes.length).toBeGreaterThan(18_000_000);
  });
});
